//! Where a program that finds the admin listener starts.

use std::sync::Arc;

use axum::{Extension, Json};
use utoipa::openapi::OpenApi;

/// The description of this API (`OpenAPI` 3.1).
#[utoipa::path(
    get, path = "/openapi.json", tag = "start", security(()),
    responses((status = OK, body = Object))
)]
pub async fn description(Extension(document): Extension<Arc<OpenApi>>) -> Json<OpenApi> {
    Json(OpenApi::clone(&document))
}
