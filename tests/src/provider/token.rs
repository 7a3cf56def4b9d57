//! The token and revocation endpoints.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Inner;
use super::books::Denied;
use super::clients::{Client, Shown};
use super::ledger::{Event, Issued, Refusal, TokenRequest};
use super::params::Params;
use super::register::introduce;
use super::shape::{KeptAnswer, Refresh, Words};

pub(super) async fn token(State(provider): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let params = match form(&headers, &body) {
        Ok(params) => params,
        Err(refusal) => return refusal.into_response(),
    };
    let shown = Shown::read(authorization(&headers), &params);
    if let Ok(shown) = &shown {
        introduce(&provider, shown.client_id()).await;
    }
    let (client_id, authentication) = match &shown {
        Ok(shown) => (Some(shown.client_id().to_owned()), shown.method()),
        Err(_) => (None, "none"),
    };
    let outcome = shown.map_err(Denied::from).and_then(|shown| provider.answer(&shown, &params));
    let outcome = outcome.map_err(|denied| {
        if let Some((subject, family)) = denied.reuse {
            provider.ledger.add(Event::ReuseDetected { subject, family });
        }
        denied.refusal
    });
    let grant_type = params.get("grant_type").unwrap_or_default().to_owned();
    let response = match &outcome {
        Ok(issued) => no_store(Json(provider.told(issued, &grant_type)).into_response()),
        Err(refusal) if provider.shape.words == Words::Slack => {
            no_store(Json(json!({"ok": false, "error": slack(refusal.error, &grant_type)})).into_response())
        }
        Err(refusal) => refusal.clone().into_response(),
    };
    let request = TokenRequest { grant_type, client_id, authentication, parameters: params, outcome };
    provider.ledger.add(Event::Token(request));
    response
}

/// RFC 7009: an unknown token is as good as revoked.
pub(super) async fn revoke(State(provider): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    match revoked(&provider, &headers, &body) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn revoked(provider: &Inner, headers: &HeaderMap, body: &Bytes) -> Result<(), Refusal> {
    let params = form(headers, body)?;
    let shown = Shown::read(authorization(headers), &params)?;
    let client = provider.books().authenticate(&shown)?;
    let token = params.require("token", "token is missing")?.to_owned();
    let subject = provider.books().revoke(&client, &token);
    provider.ledger.add(Event::Revoked { client_id: client.client_id, token, subject });
    Ok(())
}

impl Inner {
    fn answer(&self, shown: &Shown, params: &Params) -> Result<Issued, Denied> {
        let mut books = self.books();
        let client: Client = books.authenticate(shown)?;
        let now = Instant::now();
        match params.require("grant_type", "grant_type is missing")? {
            "authorization_code" => books.redeem(&client, params, now),
            "refresh_token" => books.refresh(&client, params, now),
            "client_credentials" => books.client_credentials(&client, params, now),
            _ => Err(Refusal::new(400, "unsupported_grant_type", "not this one").into()),
        }
    }

    /// The body of a success (RFC 6749, section 5.1).
    fn told(&self, issued: &Issued, grant_type: &str) -> Value {
        let mut body = json!({
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "scope": issued.scope,
        });
        if let Some(lifetime) = self.shape.access_lifetime {
            body["expires_in"] = lifetime.as_secs().into();
        }
        let told = match (self.shape.refresh, grant_type) {
            (Refresh::Kept { answer: KeptAnswer::Omitted, .. }, "refresh_token") => None,
            (Refresh::Kept { answer: KeptAnswer::Empty, .. }, "refresh_token") => Some(""),
            _ => issued.refresh_token.as_deref(),
        };
        if let Some(token) = told {
            body["refresh_token"] = token.into();
        }
        if self.shape.words == Words::Slack {
            body["ok"] = true.into();
            body["token_type"] = "user".into();
            body["scope"] = issued.scope.replace(' ', ",").into();
        }
        self.name(issued, &mut body);
        body
    }
}

/// What Slack says in place of the codes of RFC 6749.
fn slack(error: &'static str, grant_type: &str) -> &'static str {
    match (error, grant_type) {
        ("invalid_grant", "authorization_code") => "invalid_code",
        ("invalid_grant", _) => "invalid_refresh_token",
        ("invalid_client", _) => "bad_client_secret",
        (other, _) => other,
    }
}

fn form(headers: &HeaderMap, body: &Bytes) -> Result<Params, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Refusal::new(400, "invalid_request", "the body must be a form"));
    }
    Params::read(body)
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = json!({"error": self.error, "error_description": self.description});
        let mut response = no_store((status, Json(body)).into_response());
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"provider\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
