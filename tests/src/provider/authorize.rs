//! The authorization endpoint, and the page on which a person signs in and agrees (RFC 6749, section 4.1.1).

use std::fmt::Write as _;
use std::sync::{Arc, PoisonError};

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use tokio::time::Instant;
use url::Url;

use super::Inner;
use super::books::Grant;
use super::ledger::{Authorization, Event, Refusal};
use super::params::Params;
use super::register::introduce;
use super::shape::{Iss, Pkce, Refresh};

const AUTO_APPROVE: &str = "auto_approve";

/// A request that may be shown to a person.
struct Asked {
    params: Params,
    redirect_uri: Url,
    grant: Grant,
}

/// Why not: nobody is sent anywhere before client and redirect URI are known to belong together.
enum Unfit {
    Page(&'static str),
    SentBack(Url, Option<String>, Refusal),
}

pub(super) async fn show(
    State(provider): State<Arc<Inner>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = match read(&provider, query.unwrap_or_default().as_bytes()).await {
        Ok(asked) => asked,
        Err(unfit) => return provider.refuse(unfit),
    };
    match provider.absent_person(&headers) {
        Some(subject) => provider.approve(asked, &subject),
        None => Html(page(&provider, &asked)).into_response(),
    }
}

/// The answer of the page: the request again, who, and what they decided.
pub(super) async fn decide(State(provider): State<Arc<Inner>>, body: Bytes) -> Response {
    let asked = match read(&provider, &body).await {
        Ok(asked) => asked,
        Err(unfit) => return provider.refuse(unfit),
    };
    let subject = asked.params.get("subject").map(str::to_owned);
    if let (Some("allow"), Some(subject)) = (asked.params.get("decision"), subject) {
        return provider.approve(asked, &subject);
    }
    provider.ledger.add(Event::Declined { client_id: asked.grant.client_id });
    let state = asked.params.get("state").map(str::to_owned);
    let refusal = Refusal::new(400, "access_denied", "the person did not agree");
    provider.refuse(Unfit::SentBack(asked.redirect_uri, state, refusal))
}

async fn read(provider: &Inner, encoded: &[u8]) -> Result<Asked, Unfit> {
    let params = Params::read(encoded).map_err(|refusal| Unfit::Page(refusal.description))?;
    let client_id = params.get("client_id").ok_or(Unfit::Page("client_id is missing"))?;
    introduce(provider, client_id).await;
    let client = provider.books().client(client_id).cloned().ok_or(Unfit::Page("there is no such client"))?;
    let redirect_uri = params.get("redirect_uri").ok_or(Unfit::Page("redirect_uri is missing"))?;
    if !client.redirect_uris.iter().any(|known| known == redirect_uri) {
        return Err(Unfit::Page("redirect_uri is none of this client's"));
    }
    let redirect_uri = Url::parse(redirect_uri).map_err(|_| Unfit::Page("redirect_uri is no URL"))?;
    match judge(provider, &params, client.may_refresh) {
        Ok((scope, resource, refreshable)) => {
            let (client_id, subject) = (client.client_id, String::new());
            let grant = Grant { client_id, subject, scope, resource, refreshable };
            Ok(Asked { params, redirect_uri, grant })
        }
        Err(refusal) => {
            let state = params.get("state").map(str::to_owned);
            Err(Unfit::SentBack(redirect_uri, state, refusal))
        }
    }
}

fn judge(
    provider: &Inner,
    params: &Params,
    may_refresh: bool,
) -> Result<(String, Option<String>, bool), Refusal> {
    if params.get("response_type") != Some("code") {
        return Err(Refusal::new(400, "unsupported_response_type", "response_type must be code"));
    }
    let method = params.get("code_challenge_method");
    let fits = match (provider.shape.pkce, params.get("code_challenge")) {
        (Pkce::Required, Some(_)) => method == Some("S256"),
        (Pkce::Unadvertised, Some(_)) => method.is_none_or(|method| method == "S256"),
        (Pkce::PlainOnly, Some(_)) => method == Some("plain"),
        (Pkce::Required, None) => false,
        (Pkce::Unadvertised | Pkce::PlainOnly, None) => true,
    };
    if !fits {
        return Err(Refusal::new(400, "invalid_request", "code_challenge is missing or of another method"));
    }
    let offline = params.get("access_type") == Some("offline");
    let refreshable = match provider.shape.refresh {
        Refresh::Never => false,
        Refresh::Kept { only_offline, .. } => may_refresh && (offline || !only_offline),
        Refresh::Rotated { .. } => may_refresh,
    };
    let books = provider.books();
    Ok((books.scope(params)?, books.resource(params)?, refreshable))
}

impl Inner {
    /// Who agrees without being asked.
    fn absent_person(&self, headers: &HeaderMap) -> Option<String> {
        let by_switch = self.approve_as.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cookies = || headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        by_switch.or_else(|| {
            let pairs = cookies().flat_map(|cookies| cookies.split("; "));
            pairs
                .filter_map(|pair| pair.split_once('='))
                .find(|(name, _)| *name == AUTO_APPROVE)
                .map(|(_, subject)| subject.to_owned())
        })
    }

    fn approve(&self, asked: Asked, subject: &str) -> Response {
        let Asked { params, redirect_uri, mut grant } = asked;
        subject.clone_into(&mut grant.subject);
        // As the client wrote it, which a parsed URL need not be.
        let redirect_text = params.get("redirect_uri").unwrap_or_default().to_owned();
        self.ledger.add(Event::Authorized(Authorization {
            client_id: grant.client_id.clone(),
            subject: grant.subject.clone(),
            scope: grant.scope.clone(),
            resource: grant.resource.clone(),
            redirect_uri: redirect_text.clone(),
            parameters: params.clone(),
        }));
        let challenge = params.get("code_challenge");
        let code = self.books().issue_code(grant, &redirect_text, challenge, Instant::now());
        self.send_back(redirect_uri, params.get("state"), &[("code", &code)])
    }

    fn refuse(&self, unfit: Unfit) -> Response {
        match unfit {
            Unfit::Page(why) => (StatusCode::BAD_REQUEST, Html(format!("<h1>{why}</h1>"))).into_response(),
            Unfit::SentBack(redirect_uri, state, refusal) => self.send_back(
                redirect_uri,
                state.as_deref(),
                &[("error", refusal.error), ("error_description", refusal.description)],
            ),
        }
    }

    fn send_back(&self, mut to: Url, state: Option<&str>, answer: &[(&str, &str)]) -> Response {
        let iss = match &self.shape.iss {
            Iss::Sent => Some(self.issuer.as_str()),
            Iss::Wrong(other) => Some(other.as_str()),
            Iss::Absent | Iss::Forgotten => None,
        };
        let mut query = to.query_pairs_mut();
        query.extend_pairs(answer);
        query.extend_pairs(state.map(|state| ("state", state)));
        query.extend_pairs(iss.map(|iss| ("iss", iss)));
        drop(query);
        Redirect::to(to.as_str()).into_response()
    }
}

fn page(provider: &Inner, asked: &Asked) -> String {
    let name = escaped(provider.shape.name);
    let client = escaped(&asked.grant.client_id);
    let scope = escaped(&asked.grant.scope);
    let mut hidden = String::new();
    for (key, value) in asked.params.iter().filter(|(key, _)| !matches!(*key, "subject" | "decision")) {
        let (key, value) = (escaped(key), escaped(value));
        // Writing to a string cannot fail.
        let _ = write!(hidden, "<input type=\"hidden\" name=\"{key}\" value=\"{value}\">");
    }
    // No `action`: the form goes back to where the page came from.
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{name}: sign in</title>\
         <h1>Sign in to {name}</h1>\
         <p>The application <code>{client}</code> asks for: <strong>{scope}</strong>.</p>\
         <form method=\"post\" action=\"?\">{hidden}\
         <p><label>Account <input name=\"subject\" value=\"ada\" autocomplete=\"off\"></label></p>\
         <button name=\"decision\" value=\"allow\">Allow</button> \
         <button name=\"decision\" value=\"deny\">Deny</button></form></html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
