//! Where a person or a program that finds the admin listener starts.

use std::sync::Arc;

use axum::response::Html;
use axum::{Extension, Json};
use utoipa::openapi::OpenApi;

/// A small page that says what this is.
#[utoipa::path(
    get, path = "/", tag = "start", security(()),
    responses((status = OK, body = String, content_type = "text/html"))
)]
pub async fn page() -> Html<&'static str> {
    Html(include_str!("start.html"))
}

/// The description of this API (`OpenAPI` 3.1).
#[utoipa::path(
    get, path = "/openapi.json", tag = "start", security(()),
    responses((status = OK, body = Object))
)]
pub async fn description(Extension(document): Extension<Arc<OpenApi>>) -> Json<OpenApi> {
    Json(OpenApi::clone(&document))
}
