//! Revoking a token (RFC 7009), and asking about one (RFC 7662). Of tokens of other clients, and of what is no token,
//! nobody learns anything.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::client_auth::authenticate;
use super::form::OAuthForm;
use crate::authorization_server::OAuthError;
use crate::state::Shared;
use crate::store::Actor;

/// `POST /oauth/revoke`. Whichever token it is, the sign-in that it comes from ends.
pub(super) async fn revoke(State(app): State<Shared>, form: OAuthForm) -> Result<StatusCode, OAuthError> {
    let client = authenticate(&app, &form).await?;
    let token = form.require("token", "token is missing")?;
    let found = app.session_of_token(token).await?;
    if let Some((session, _)) = found.filter(|(session, _)| session.client.id == client.id) {
        app.store.on_behalf_of(Actor::Member, app.clock.now()).end_client_session(&session.id).await?;
    }
    Ok(StatusCode::OK)
}

/// `POST /oauth/introspect`, for clients with a secret.
pub(super) async fn introspect(
    State(app): State<Shared>,
    form: OAuthForm,
) -> Result<Json<Value>, OAuthError> {
    let client = authenticate(&app, &form).await?;
    if !client.is_confidential {
        return Err(OAuthError::InvalidClient { basic: false });
    }
    let token = form.require("token", "token is missing")?;
    let found = app.session_of_token(token).await?.filter(|(session, _)| session.client.id == client.id);
    let Some((session, access)) = found else { return Ok(Json(json!({"active": false}))) };
    let mut answer = json!({
        "active": true,
        "iss": app.settings.public_url,
        "aud": session.resource.url(&app.settings.public_url),
        "sub": session.member.as_str(),
        "sid": session.id.as_str(),
        "client_id": session.client.id,
        "scope": session.extent.scope(),
        "exp": session.expires_at.as_millis() / 1000,
    });
    if let Some(access) = access {
        answer["token_type"] = "Bearer".into();
        answer["scope"] = access.scope.into();
        answer["iat"] = access.issued_at.into();
        answer["exp"] = access.expires_at.into();
    }
    Ok(Json(answer))
}
