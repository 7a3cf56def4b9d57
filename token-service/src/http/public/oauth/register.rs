//! `POST /oauth/register` (RFC 7591), where the configuration allows it.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use crate::authorization_server::OAuthError;
use crate::authorization_server::registration::{MAX_REQUEST, client, information};
use crate::http::error::ApiError;
use crate::oauth::json::object_of;
use crate::state::Shared;

pub(super) async fn register(State(app): State<Shared>, request: Request) -> Response {
    if !app.settings.authorization.dynamic_registration {
        return ApiError::NotFound { what: "page" }.into_response();
    }
    match registered(&app, request).await {
        Ok(body) => (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn registered(app: &Shared, request: Request) -> Result<Value, OAuthError> {
    let body = read(request).await?;
    let client = client(&body, &*app.entropy, app.clock.now())?;
    if !app.store.register_client(&client).await? {
        tracing::warn!("a client was not registered: too many have been of late");
        return Err(OAuthError::TooMany);
    }
    tracing::info!(client = client.id, "a client has registered itself");
    Ok(information(&client))
}

async fn read(request: Request) -> Result<Map<String, Value>, OAuthError> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_REQUEST).await.map_err(|_| OAuthError::TooLarge)?;
    let named = parts.headers.contains_key(header::CONTENT_TYPE);
    let object = object_of(&parts.headers, &body).ok().filter(|_| named);
    object.ok_or(OAuthError::InvalidClientMetadata(
        "send one JSON object, with no member twice, as application/json",
    ))
}
