//! The client ID metadata document: at the URL that is the gateway's client id, for authorization servers to read.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::trouble::PageError;
use crate::domain::ids::ServerId;
use crate::domain::server::ServerAuth;
use crate::state::Shared;

/// `GET /oauth/client/{server}`. Holds nothing that is secret, and nothing of the request but the server's id.
pub(super) async fn show(
    State(app): State<Shared>,
    Path(server): Path<ServerId>,
) -> Result<Response, PageError> {
    let server = app.store.server(&server).await?;
    let server = server.filter(|server| matches!(server.settings.auth, ServerAuth::OAuth(_)));
    let server = server.ok_or(PageError::NotFound)?;
    let client_id = format!("{}/oauth/client/{}", app.settings.public_url, server.id);
    let document = app.broker.client_metadata(&server).document(&client_id);
    Ok(([(header::CACHE_CONTROL, "public, max-age=300")], Json(document)).into_response())
}
