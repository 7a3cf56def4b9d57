//! Figures of a span of time.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use super::query::SummaryQuery;
use crate::clock::Timestamp;
use crate::http::admin::acting::Acting;
use crate::http::admin::time;
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;
use crate::record_store::{Count, Outcome, Range, RecordId};
use crate::records::summary::Figures;

#[derive(Debug, Serialize, ToSchema)]
pub struct SummaryView {
    /// RFC 3339.
    pub from: String,
    /// RFC 3339.
    pub until: String,
    pub interval_seconds: u64,
    /// RFC 3339: where there are very many records, only those since this time were counted. Absent if all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_from: Option<String>,
    pub total: FiguresView,
    /// Those in which there was something.
    pub intervals: Vec<IntervalView>,
    /// The most frequent tools, callers and servers, most first.
    pub tools: Vec<ToolCount>,
    pub callers: Vec<CallerCount>,
    pub servers: Vec<ServerCount>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct FiguresView {
    pub requests: u64,
    pub ok: u64,
    pub denied: u64,
    pub connect_required: u64,
    pub errors: u64,
    /// Percentiles of the latency in milliseconds, within an eighth; absent of nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<LatencyView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LatencyView {
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct IntervalView {
    /// When it begins: RFC 3339.
    pub at: String,
    #[serde(flatten)]
    pub figures: FiguresView,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ToolCount {
    pub server: String,
    pub tool: String,
    pub requests: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CallerCount {
    pub caller: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub requests: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ServerCount {
    pub server: String,
    pub requests: u64,
}

impl From<&Figures> for FiguresView {
    fn from(figures: &Figures) -> Self {
        let of = |outcome| figures.outcomes.get(&outcome).copied().unwrap_or(0);
        let percentile = |percent| figures.percentile(percent);
        let latency = percentile(50).zip(percentile(95)).zip(percentile(99));
        Self {
            requests: figures.requests(),
            ok: of(Outcome::Ok),
            denied: of(Outcome::Denied),
            connect_required: of(Outcome::ConnectRequired),
            errors: of(Outcome::Error),
            latency_ms: latency.map(|((p50, p95), p99)| LatencyView { p50, p95, p99 }),
        }
    }
}

/// Sums up the records that the caller may see: the newest 200000 of each workspace that they manage or, for
/// administrators, of all.
#[utoipa::path(
    get, path = "/v1/records/summary", tag = "records", params(SummaryQuery),
    responses((status = OK, body = SummaryView))
)]
pub async fn summary(
    app: Acting,
    StrictQuery(query): StrictQuery<SummaryQuery>,
) -> Result<Json<SummaryView>, ApiError> {
    let window = query.window(app.clock.now())?;
    let records = app.records()?;
    let _place = super::place(&records.downloads, "summaries and downloads")?;
    let at = |seconds: u64| RecordId::first_at(seconds * 1_000_000);
    let range = Range { from: at(window.from), until: at(window.until) };
    let visibility = app.principal().visible_records();
    let summary = records.summary(&visibility, &window.query, range, window.interval * 1_000_000).await?;
    let spell = |seconds| time::spell(Timestamp::from_seconds(seconds));
    let intervals = summary.intervals.iter().map(|(number, figures)| IntervalView {
        at: spell(window.from + number * window.interval),
        figures: figures.into(),
    });
    Ok(Json(SummaryView {
        from: spell(window.from),
        until: spell(window.until),
        interval_seconds: window.interval,
        counted_from: summary.covered_from.map(|id| super::view::spell(id.started_us())),
        total: (&summary.total).into(),
        intervals: intervals.collect(),
        tools: summary.tools.into_iter().map(Into::into).collect(),
        callers: summary.callers.into_iter().map(Into::into).collect(),
        servers: summary.servers.into_iter().map(Into::into).collect(),
    }))
}

impl From<Count> for ToolCount {
    fn from(count: Count) -> Self {
        Self { server: count.first, tool: count.second.unwrap_or_default(), requests: count.records }
    }
}

impl From<Count> for CallerCount {
    fn from(count: Count) -> Self {
        Self { caller: count.first, name: count.second, requests: count.records }
    }
}

impl From<Count> for ServerCount {
    fn from(count: Count) -> Self {
        Self { server: count.first, requests: count.records }
    }
}
