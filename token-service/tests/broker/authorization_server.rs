//! An authorization server with rotating refresh tokens that notices every reuse, and a ledger of all that happened.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What is done about a refresh token that comes a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// It is refused, and all that descends from it is revoked.
    Strict,
    /// It gets the same answer again, as long as its successor was not used.
    Grace,
}

/// What the token endpoint does in place of the usual, once.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(StatusCode, Value),
    /// Said to be JSON.
    Text {
        status: u16,
        retry_after: Option<&'static str>,
        body: String,
    },
    RetryAfter(u32),
    /// The request is carried out, and its answer lost.
    LostAfterwards,
    /// Nothing is carried out, and nothing answered.
    LostBefore,
    /// As usual, without a refresh token.
    WithoutRefresh,
    /// As usual, once the test says so.
    Held,
}

#[derive(Default)]
pub(crate) struct Ledger {
    refresh: HashMap<String, Refresh>,
    access: HashMap<String, Access>,
    next: u64,
    /// In place of the usual answers, the next first.
    pub(crate) script: VecDeque<Answer>,
    pub(crate) token_requests: u32,
    /// The refresh tokens that were shown, in order.
    pub(crate) shown: Vec<String>,
    pub(crate) client_credentials: u32,
    pub(crate) registrations: u32,
    /// Tokens that were revoked by request (RFC 7009).
    pub(crate) revoked: Vec<String>,
}

struct Refresh {
    subject: String,
    family: u64,
    uses: u32,
    revoked: bool,
    successor: Option<(String, String)>,
}

struct Access {
    subject: String,
    family: u64,
    revoked: bool,
}

#[derive(Clone)]
pub(crate) struct AuthorizationServer {
    pub(crate) origin: String,
    ledger: Arc<Mutex<Ledger>>,
    /// Lets a held answer go, and tells that one is held.
    pub(crate) release: Arc<Notify>,
    pub(crate) held: Arc<Notify>,
    reuse: Reuse,
}

impl AuthorizationServer {
    pub(crate) async fn start(reuse: Reuse) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let server =
            Self { origin, ledger: Arc::default(), release: Arc::default(), held: Arc::default(), reuse };
        let routes = Router::new()
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/register", post(register))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        server
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic while writing")
    }

    pub(crate) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.ledger().script.extend(answers);
    }

    /// What a consent of this person gives: an access token and a refresh token.
    pub(crate) fn consent(&self, subject: &str) -> (String, String) {
        let mut ledger = self.ledger();
        ledger.next += 1;
        let family = ledger.next;
        ledger.issue(subject, family)
    }
}

impl Ledger {
    fn issue(&mut self, subject: &str, family: u64) -> (String, String) {
        self.next += 1;
        let (access, refresh) = (format!("access-{}", self.next), format!("refresh-{}", self.next));
        let subject = subject.to_owned();
        self.access.insert(access.clone(), Access { subject: subject.clone(), family, revoked: false });
        let record = Refresh { subject, family, uses: 0, revoked: false, successor: None };
        self.refresh.insert(refresh.clone(), record);
        (access, refresh)
    }

    /// Whose this access token is, if it is good.
    pub(crate) fn owner_of(&self, access: &str) -> Option<&str> {
        self.access.get(access).filter(|access| !access.revoked).map(|access| access.subject.as_str())
    }

    /// Each refresh token of this person, with how often it was used.
    pub(crate) fn uses(&self, subject: &str) -> Vec<u32> {
        let mut uses: Vec<u32> =
            self.refresh.values().filter(|token| token.subject == subject).map(|token| token.uses).collect();
        uses.sort_unstable();
        uses
    }

    /// The provider ends everything of this person.
    pub(crate) fn revoke_all(&mut self, subject: &str) {
        for token in self.refresh.values_mut().filter(|token| token.subject == subject) {
            token.revoked = true;
        }
        self.revoke_access(subject);
    }

    pub(crate) fn revoke_access(&mut self, subject: &str) {
        for token in self.access.values_mut().filter(|token| token.subject == subject) {
            token.revoked = true;
        }
    }

    fn refresh(&mut self, token: &str, reuse: Reuse) -> Response {
        let Some(record) = self.refresh.get_mut(token) else { return invalid_grant() };
        record.uses += 1;
        let (subject, family) = (record.subject.clone(), record.family);
        if record.revoked {
            return invalid_grant();
        }
        if let Some((access, refresh)) = record.successor.clone() {
            if reuse == Reuse::Grace && self.refresh.get(&refresh).is_some_and(|next| next.uses == 0) {
                return tokens(&access, Some(&refresh));
            }
            self.refresh
                .values_mut()
                .filter(|token| token.family == family)
                .for_each(|token| token.revoked = true);
            self.access
                .values_mut()
                .filter(|token| token.family == family)
                .for_each(|token| token.revoked = true);
            return invalid_grant();
        }
        let (access, refresh) = self.issue(&subject, family);
        if let Some(record) = self.refresh.get_mut(token) {
            record.successor = Some((access.clone(), refresh.clone()));
        }
        tokens(&access, Some(&refresh))
    }

    fn carry_out(&mut self, form: &HashMap<String, String>, headers: &HeaderMap, reuse: Reuse) -> Response {
        match form.get("grant_type").map(String::as_str) {
            Some("refresh_token") => {
                self.refresh(form.get("refresh_token").map_or("", String::as_str), reuse)
            }
            Some("client_credentials") => {
                // base64 of gateway:hunter2-hunter2
                let basic = headers
                    .get("authorization")
                    .is_some_and(|value| value == "Basic Z2F0ZXdheTpodW50ZXIyLWh1bnRlcjI=");
                if !basic {
                    return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"})))
                        .into_response();
                }
                self.client_credentials += 1;
                self.next += 1;
                let (access, _) = self.issue("gateway", self.next);
                tokens(&access, None)
            }
            _ => (StatusCode::BAD_REQUEST, Json(json!({"error": "unsupported_grant_type"}))).into_response(),
        }
    }
}

fn tokens(access: &str, refresh: Option<&str>) -> Response {
    let mut body = json!({"access_token": access, "token_type": "Bearer", "expires_in": 3600});
    if let Some(refresh) = refresh {
        body["refresh_token"] = refresh.into();
    }
    Json(body).into_response()
}

fn invalid_grant() -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response()
}

fn parse(body: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

/// What some proxy in front says when it has lost the answer.
fn lost() -> Response {
    (StatusCode::BAD_GATEWAY, "<h1>Bad Gateway</h1>").into_response()
}

async fn token(State(server): State<AuthorizationServer>, headers: HeaderMap, body: String) -> Response {
    let form = parse(&body);
    let script = {
        let mut ledger = server.ledger();
        ledger.token_requests += 1;
        ledger.shown.extend(form.get("refresh_token").cloned());
        ledger.script.pop_front()
    };
    let carry_out = || server.ledger().carry_out(&form, &headers, server.reuse);
    match script {
        None => carry_out(),
        Some(Answer::Status(status, body)) => (status, Json(body)).into_response(),
        Some(Answer::Text { status, retry_after, body }) => text(status, retry_after, body),
        Some(Answer::RetryAfter(seconds)) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Some(Answer::LostAfterwards) => {
            carry_out();
            lost()
        }
        Some(Answer::LostBefore) => lost(),
        Some(Answer::WithoutRefresh) => {
            server.ledger().next += 1;
            let form_token = form.get("refresh_token").map_or("", String::as_str);
            let mut ledger = server.ledger();
            let Some(record) = ledger.refresh.get_mut(form_token) else { return invalid_grant() };
            record.uses += 1;
            let (subject, family) = (record.subject.clone(), record.family);
            let access = format!("access-{}", ledger.next);
            ledger.access.insert(access.clone(), Access { subject, family, revoked: false });
            tokens(&access, None)
        }
        Some(Answer::Held) => {
            let answer = carry_out();
            server.held.notify_one();
            server.release.notified().await;
            answer
        }
    }
}

fn text(status: u16, retry_after: Option<&'static str>, body: String) -> Response {
    let headers = [("content-type", "application/json")].into_iter();
    let headers = headers.chain(retry_after.map(|text| ("retry-after", text)));
    let status = StatusCode::from_u16(status).expect("a status");
    (status, AppendHeaders(headers.collect::<Vec<_>>()), Body::from(body)).into_response()
}

async fn revoke(State(server): State<AuthorizationServer>, body: String) -> StatusCode {
    let token = parse(&body).remove("token").unwrap_or_default();
    let mut ledger = server.ledger();
    if let Some(record) = ledger.refresh.get_mut(&token) {
        record.revoked = true;
    }
    if let Some(record) = ledger.access.get_mut(&token) {
        record.revoked = true;
    }
    ledger.revoked.push(token);
    drop(ledger);
    server.held.notify_one();
    StatusCode::OK
}

async fn register(State(server): State<AuthorizationServer>, Json(request): Json<Value>) -> Response {
    let mut ledger = server.ledger();
    ledger.registrations += 1;
    let client_id = format!("client-{}", ledger.registrations);
    let answer = json!({
        "client_id": client_id,
        "client_secret": "a-secret-of-its-own",
        "redirect_uris": request["redirect_uris"],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    (StatusCode::CREATED, Json(answer)).into_response()
}
