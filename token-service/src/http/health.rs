//! Whether the process lives and whether it can serve. Says nothing else, because anybody may ask.

use axum::extract::State;
use axum::http::StatusCode;

use crate::state::Shared;

/// The process answers; restarting it would not help with whatever else is wrong.
pub async fn live() -> &'static str {
    "alive\n"
}

/// The store answers and no stop is under way.
pub async fn ready(State(app): State<Shared>) -> (StatusCode, &'static str) {
    if app.shutdown.is_requested() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match app.store.current_revision().await {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n")
        }
    }
}
