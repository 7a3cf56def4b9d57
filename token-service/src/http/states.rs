//! `POST /v1/states`, for filters.

use axum::Json;
use axum::extract::State;
use portcullis_wire::unconnected::{OpenState, OpenedState};

use super::error::ApiError;
use super::read::StrictJson;
use crate::state::Shared;

/// A state may carry 64 KiB of the upstream's own, sealed and in Base64.
const LIMIT: usize = 256 * 1024;

/// Answers 200 for every decision; other statuses mean that the request itself is broken.
pub async fn open(
    State(app): State<Shared>,
    StrictJson(request): StrictJson<OpenState, LIMIT>,
) -> Result<Json<OpenedState>, ApiError> {
    Ok(Json(app.open_state(&request).await))
}
