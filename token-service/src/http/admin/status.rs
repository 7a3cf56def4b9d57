//! How far the service and its filters have come.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use super::time;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::access::Operation;
use crate::http::error::ApiError;
use crate::record_store::Usage;
use crate::records::intake::Received;
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
    /// Of records of requests; absent where none are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<RecordsStatus>,
}

/// How many records there are, and what became of those that came since the service has started.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordsStatus {
    pub records: u64,
    /// What they take in the database.
    pub bytes: u64,
    /// When the oldest request came: RFC 3339; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<String>,
    pub received: Received,
}

/// Shows the newest commit, how fast changes arrive, and which filters are connected and how far they have come.
#[utoipa::path(get, path = "/v1/status", tag = "status", responses((status = OK, body = Status)))]
pub async fn show(app: Acting) -> Result<Json<Status>, ApiError> {
    app.may_in_organization(Operation::See)?;
    let revision = app.store.current_revision().await?;
    let filters = app.watch_hub.status(app.clock.now());
    let revocation_delay_ms = app.watch_hub.delay();
    let records = match &app.records {
        Some(records) => {
            let Usage { records: kept, bytes, oldest } = records.store.usage().await?;
            let oldest = oldest.map(|id| time::spell(Timestamp(id.started_us() / 1_000)));
            Some(RecordsStatus { records: kept, bytes, oldest, received: records.intake.received() })
        }
        None => None,
    };
    Ok(Json(Status { version: env!("CARGO_PKG_VERSION"), revision, filters, revocation_delay_ms, records }))
}
