//! `POST /v1/leases`, for filters.

use axum::Json;
use axum::extract::State;
use portcullis_wire::lease::{LeaseReply, LeaseRequest};

use super::error::ApiError;
use super::read::StrictJson;
use crate::state::Shared;

/// Answers 200 for every decision; other statuses mean that the request itself is broken.
pub async fn lease(
    State(app): State<Shared>,
    StrictJson(request): StrictJson<LeaseRequest>,
) -> Result<Json<LeaseReply>, ApiError> {
    Ok(Json(app.lease(&request).await))
}
