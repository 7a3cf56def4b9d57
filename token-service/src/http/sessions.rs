//! `POST /v1/sessions`, for filters.

use axum::Json;
use axum::extract::State;
use portcullis_wire::unconnected::{SessionReply, SessionRequest};

use super::error::ApiError;
use super::read::StrictJson;
use crate::state::Shared;

/// Answers 200 for every decision; other statuses mean that the request itself is broken.
pub async fn open(
    State(app): State<Shared>,
    StrictJson(request): StrictJson<SessionRequest>,
) -> Result<Json<SessionReply>, ApiError> {
    Ok(Json(app.open_session(&request).await))
}
