//! How far the service and its filters have come.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use crate::domain::Revision;
use crate::domain::access::Operation;
use crate::http::error::ApiError;
use crate::watch_hub::{FilterStatus, RevocationDelay};

#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    pub version: &'static str,
    /// The newest commit.
    #[schema(value_type = u64)]
    pub revision: Revision,
    /// Every filter heard of in the last five minutes.
    pub filters: Vec<FilterStatus>,
    /// How long the latest changes took from their commit until filters had acknowledged them; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_delay_ms: Option<RevocationDelay>,
}

/// Shows the newest commit, how fast changes arrive, and which filters are connected and how far they have come.
#[utoipa::path(get, path = "/v1/status", tag = "status", responses((status = OK, body = Status)))]
pub async fn show(app: Acting) -> Result<Json<Status>, ApiError> {
    app.may_in_organization(Operation::See)?;
    let revision = app.store.current_revision().await?;
    let filters = app.watch_hub.status(app.clock.now());
    let revocation_delay_ms = app.watch_hub.delay();
    Ok(Json(Status { version: env!("CARGO_PKG_VERSION"), revision, filters, revocation_delay_ms }))
}
