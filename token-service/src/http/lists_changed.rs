//! `POST /v1/lists-changed`, for filters.

use axum::Json;
use axum::extract::State;
use portcullis_wire::catalogue::ListsChanged;
use serde_json::{Value, json};

use super::error::ApiError;
use super::read::StrictJson;
use crate::state::Shared;

/// Has the server's catalogue learnt soon.
pub async fn note(
    State(app): State<Shared>,
    StrictJson(changed): StrictJson<ListsChanged>,
) -> Result<Json<Value>, ApiError> {
    app.lists_changed(&changed.server.as_str().into()).await?;
    Ok(Json(json!({})))
}
