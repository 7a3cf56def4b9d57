//! `POST /oauth/token`

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::client_auth::authenticate;
use super::form::OAuthForm;
use crate::authorization_server::{Answer, CodeGrant, OAuthError, RefreshGrant};
use crate::measure;
use crate::state::{Service, Shared};

pub(super) async fn token(State(app): State<Shared>, form: OAuthForm) -> Result<Response, OAuthError> {
    let grant = match form.get("grant_type") {
        Some("authorization_code") => "authorization_code",
        Some("refresh_token") => "refresh_token",
        _ => "other",
    };
    let answer = answer(&app, &form).await;
    measure::token_request(grant, answer.as_ref().err().map_or("ok", OAuthError::word));
    Ok(shown(&answer?))
}

async fn answer(app: &Service, form: &OAuthForm) -> Result<Answer, OAuthError> {
    let client = authenticate(app, form).await?;
    let resource = form.get("resource");
    match form.require("grant_type", "grant_type is missing")? {
        "authorization_code" => {
            let grant = CodeGrant {
                client_id: &client.id,
                code: form.require("code", "code is missing")?,
                redirect_uri: form.require("redirect_uri", "redirect_uri is missing")?,
                verifier: form.get("code_verifier").unwrap_or_default(),
                resource,
            };
            app.redeem_code(&grant).await
        }
        "refresh_token" => {
            let token = form.require("refresh_token", "refresh_token is missing")?;
            let grant = RefreshGrant { client_id: &client.id, token, scope: form.get("scope"), resource };
            app.refresh_session(&grant).await
        }
        _ => Err(OAuthError::UnsupportedGrantType),
    }
}

/// RFC 6749, section 5.1.
fn shown(answer: &Answer) -> Response {
    let body = Json(json!({
        "access_token": answer.access.expose(),
        "token_type": "Bearer",
        "expires_in": answer.expires_in,
        "refresh_token": answer.refresh.expose(),
        "scope": answer.extent.scope(),
    }));
    ([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], body).into_response()
}
