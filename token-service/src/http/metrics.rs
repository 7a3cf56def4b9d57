//! `GET /metrics`, for Prometheus.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::measure::{CONTENT_TYPE, measurements};
use crate::state::Shared;

/// Says nothing of members and holds no secret, but which servers there are and how busy they are: so it is on listeners
/// that are not for everybody.
pub async fn show(State(app): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], measurements().show(&app).await)
}
