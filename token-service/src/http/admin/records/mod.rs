//! Records of requests: who called what, and what became of it.
//!
//! Everybody sees what they may ([`crate::domain::access::Principal::visible_records`]); what they may not see is not there,
//! whatever they search by.

mod csv;
mod download;
mod query;
mod summary;
mod tail;
mod view;

use axum::Json;
use axum::extract::Path;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;

pub use self::download::{__path_download, download};
pub(super) use self::query::{RecordsQuery, SummaryQuery, TailQuery};
pub use self::summary::{__path_summary, SummaryView, summary};
pub use self::tail::{__path_tail, tail};
pub(super) use self::view::RecordView;
use super::acting::Acting;
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;
use crate::record_store::RecordId;
use crate::records::Records;

#[derive(Debug, Serialize, ToSchema)]
pub struct RecordList {
    /// Newest first.
    pub records: Vec<RecordView>,
    /// Where the next page begins, for `after`; absent on the last. A page may have fewer records than asked for, or none, and
    /// still a next one: a request looks at a hundred thousand records at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Searches records, newest first.
#[utoipa::path(
    get, path = "/v1/records", tag = "records", params(RecordsQuery),
    responses((status = OK, body = RecordList))
)]
pub async fn list(
    app: Acting,
    StrictQuery(query): StrictQuery<RecordsQuery>,
) -> Result<Json<RecordList>, ApiError> {
    let search = query.search()?;
    let visibility = app.principal().visible_records();
    let records = app.records()?;
    let page = records.page(&visibility, &search.query, search.range, search.limit, search.payloads).await?;
    let next = page.next.map(|id| id.to_string());
    Ok(Json(RecordList { records: page.records.into_iter().map(Into::into).collect(), next }))
}

/// Shows a record, with parameters and response as far as they were kept.
#[utoipa::path(
    get, path = "/v1/records/{record}", tag = "records", params(("record" = String, Path)),
    responses((status = OK, body = RecordView))
)]
pub async fn show(app: Acting, Path(id): Path<String>) -> Result<Json<RecordView>, ApiError> {
    let missing = ApiError::NotFound { what: "record" };
    let Some(id) = RecordId::parse(&id) else { return Err(missing) };
    let record = app.records()?.visible(&app.principal().visible_records(), id).await?;
    record.map(|record| Json(record.into())).ok_or(missing)
}

impl Acting {
    fn records(&self) -> Result<&Records, ApiError> {
        self.records.as_ref().ok_or_else(|| ApiError::Conflict {
            detail: "records are not kept here".to_owned(),
            remedy: "set `records.enabled` in the configuration file, or ask where Envoy sends them"
                .to_owned(),
        })
    }
}

/// One of the places for what takes long.
fn place(places: &std::sync::Arc<Semaphore>, what: &'static str) -> Result<OwnedSemaphorePermit, ApiError> {
    std::sync::Arc::clone(places).try_acquire_owned().map_err(|_| ApiError::Busy { what })
}
