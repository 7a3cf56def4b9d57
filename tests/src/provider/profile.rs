//! What an account is called (OpenID Connect Core, sections 2 and 5.3): its subject is its address.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Inner;
use super::ledger::Issued;
use super::shape::Named;

/// `/userinfo`
pub(super) async fn userinfo(State(provider): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = shown.strip_prefix("Bearer ").unwrap_or_default();
    let access = provider.books().look_up(token, Instant::now());
    match access.filter(|access| is_openid(&access.scope)) {
        Some(access) => Json(claims(&access.subject)).into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

impl Inner {
    /// Adds to the answer of the token endpoint what this provider says there.
    pub(super) fn name(&self, issued: &Issued, body: &mut Value) {
        match self.shape.named {
            Named::InIdToken if is_openid(&issued.scope) => {
                let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
                // Nobody has its key, and nobody may need it.
                let (head, payload) = (part(json!({"alg": "RS256"})), part(claims(&issued.subject)));
                body["id_token"] = format!("{head}.{payload}.c2lnbmF0dXJl").into();
            }
            Named::ByTeam => {
                body["team"] = json!({"id": "T024BE7LD", "name": format!("Team of {}", issued.subject)});
            }
            Named::InIdToken | Named::AtUserinfo | Named::Nowhere => {}
        }
    }
}

fn claims(subject: &str) -> Value {
    json!({"sub": "248289761001", "email": subject, "email_verified": true})
}

fn is_openid(scope: &str) -> bool {
    scope.split(' ').any(|scope| scope == "openid")
}
