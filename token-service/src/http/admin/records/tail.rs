//! Following records as they arrive.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::place;
use super::query::TailQuery;
use super::view::RecordView;
use crate::http::admin::acting::Acting;
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;
use crate::record_store::{Arrival, Bounds};

/// How much an answer holds, and how many records are looked at for it at a time.
const MOST: u32 = 500;
const ROWS: u32 = 5_000;

#[derive(Debug, Serialize, ToSchema)]
pub struct News {
    /// In the order of their arrival: a request that took long comes after those that came later and were quick.
    pub records: Vec<RecordView>,
    /// For the next request, as `after`.
    pub next: String,
}

/// Waits for records, and shows them as soon as there are any. Asked again and again with `next`, it leaves none out.
#[utoipa::path(
    get, path = "/v1/records/tail", tag = "records", params(TailQuery), responses((status = OK, body = News))
)]
pub async fn tail(app: Acting, StrictQuery(query): StrictQuery<TailQuery>) -> Result<Json<News>, ApiError> {
    let tail = query.tail()?;
    let records = app.records()?;
    let _place = place(&records.followers, "followers")?;
    let visibility = app.principal().visible_records();
    let bounds = Bounds { records: MOST, rows: ROWS, payloads: tail.payloads };
    let until = (tail.wait, &app.shutdown);
    let news = records.news(&visibility, &tail.query, tail.after.map(Arrival), bounds, until).await?;
    let is_within = |id| tail.range.from <= id && id < tail.range.until;
    let found = news.records.into_iter().filter(|record| is_within(record.id));
    Ok(Json(News { records: found.map(Into::into).collect(), next: news.next.0.to_string() }))
}
