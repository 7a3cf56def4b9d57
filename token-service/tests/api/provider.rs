//! An authorization server and two MCP servers that it protects, on loopback, with an account of what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde_json::{Value, json};
use tokio::sync::watch;

/// A provider that runs until it is dropped.
pub(crate) struct Provider {
    pub(crate) url: String,
    shared: Arc<Shared>,
    running: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    url: String,
    /// Whether it promises to name itself in its responses.
    iss_parameter: bool,
    answer: Mutex<Answer>,
    token_requests: Mutex<Vec<BTreeMap<String, String>>>,
    /// The tokens that it was told to revoke.
    revocations: watch::Sender<Vec<String>>,
}

/// What the token endpoint answers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Answer {
    /// Tokens, with this scope if one is named.
    #[default]
    Tokens,
    TokensWithScope(&'static str),
    /// A status and a body.
    Other(u16, Value),
}

pub(crate) const ACCESS_TOKEN: &str = "canary-access-7d21";
pub(crate) const REFRESH_TOKEN: &str = "canary-refresh-90bc";

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::start_with(true).await
    }

    pub(crate) async fn start_with(iss_parameter: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared { url: url.clone(), iss_parameter, ..Shared::default() });
        let routes = Router::new()
            .route("/.well-known/oauth-protected-resource/{server}", get(resource))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/register", post(register))
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/{server}", post(protected).get(protected))
            .with_state(Arc::clone(&shared));
        let running = tokio::spawn(async move { axum::serve(listener, routes).await.expect("serves") });
        Self { url, shared, running }
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().expect("no panic") = answer;
    }

    /// The forms that came to the token endpoint.
    pub(crate) fn token_requests(&self) -> Vec<BTreeMap<String, String>> {
        self.shared.token_requests.lock().expect("no panic").clone()
    }

    pub(crate) fn revocations(&self) -> Vec<String> {
        self.shared.revocations.borrow().clone()
    }

    /// Returns once it was told to revoke this token.
    pub(crate) async fn revoked(&self, token: &str) {
        let mut revocations = self.shared.revocations.subscribe();
        revocations.wait_for(|tokens| tokens.iter().any(|revoked| revoked == token)).await.expect("it runs");
    }

    /// `portcullis.yaml` with two of its servers, and people in two workspaces.
    pub(crate) fn configuration(&self) -> String {
        let url = &self.url;
        format!(
            "
sign_in: {{development: true}}
egress: {{development_loopback: true}}
workspaces:
  - slug: core
    name: Core team
    members:
      - {{issuer: 'https://idp.example', subject: ada, name: Ada Lovelace}}
      - {{issuer: 'https://idp.example', subject: eve, name: Eve Mallory}}
  - slug: support
    name: Support
    members:
      - {{issuer: 'https://idp.example', subject: ada, name: Ada Lovelace}}
servers:
  - {{slug: linear, name: Linear, url: '{url}/linear', allow_http: true, auth: {{type: oauth}}, workspaces: [core]}}
  - {{slug: notion, name: Notion, url: '{url}/notion', allow_http: true, auth: {{type: oauth}}, workspaces: all}}
  - {{slug: open, name: Open, url: '{url}/open', allow_http: true, auth: {{type: none}}, workspaces: all}}
"
        )
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn protected(State(shared): State<Arc<Shared>>, Path(server): Path<String>) -> Response {
    let metadata = format!("{}/.well-known/oauth-protected-resource/{server}", &shared.url);
    let challenge = format!("Bearer resource_metadata=\"{metadata}\", scope=\"read write\"");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
}

async fn resource(State(shared): State<Arc<Shared>>, Path(server): Path<String>) -> Json<Value> {
    let url = &shared.url;
    Json(json!({"resource": format!("{url}/{server}"), "authorization_servers": [url]}))
}

async fn metadata(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let url = &shared.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "registration_endpoint": format!("{url}/register"),
        "revocation_endpoint": format!("{url}/revoke"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": shared.iss_parameter,
    }))
}

async fn register(Json(request): Json<Value>) -> Response {
    let client = json!({
        "client_id": "portcullis-client",
        "redirect_uris": request["redirect_uris"],
        "token_endpoint_auth_method": "none",
    });
    (StatusCode::CREATED, Json(client)).into_response()
}

async fn token(State(shared): State<Arc<Shared>>, Form(form): Form<BTreeMap<String, String>>) -> Response {
    shared.token_requests.lock().expect("no panic").push(form);
    let answer = shared.answer.lock().expect("no panic").clone();
    let mut tokens = json!({
        "access_token": ACCESS_TOKEN, "refresh_token": REFRESH_TOKEN, "token_type": "Bearer", "expires_in": 3600,
    });
    match answer {
        Answer::Tokens => Json(tokens).into_response(),
        Answer::TokensWithScope(scope) => {
            tokens["scope"] = scope.into();
            Json(tokens).into_response()
        }
        Answer::Other(status, body) => {
            (StatusCode::from_u16(status).expect("a status"), Json(body)).into_response()
        }
    }
}

async fn revoke(State(shared): State<Arc<Shared>>, Form(form): Form<BTreeMap<String, String>>) -> StatusCode {
    shared.revocations.send_modify(|tokens| tokens.extend(form.get("token").cloned()));
    StatusCode::OK
}
