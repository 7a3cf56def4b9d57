//! What records are searched by, as queries spell it.

use std::time::Duration;

use serde::Deserialize;
use utoipa::IntoParams;

use super::super::check::Problems;
use super::super::time;
use crate::clock::Timestamp;
use crate::http::error::ApiError;
use crate::record_store::{Column, FIELDS, Kind, Outcome, Query, Range, RecordId, StatusFilter};

const DEFAULT_LIMIT: u32 = 100;
const LARGEST_LIMIT: u32 = 1_000;
const DEFAULT_DOWNLOAD: u32 = 10_000;
const LARGEST_DOWNLOAD: u32 = 100_000;

/// The longest that a follower waits, and how long it does if nothing is said, in seconds.
const LONGEST_WAIT: u64 = 25;
const DEFAULT_WAIT: u64 = 10;

/// A query with the filters that all of them have. Serde cannot flatten one strict query into another.
macro_rules! with_filters {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize, IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub struct $name {
            /// Of this server: its slug.
            pub server: Option<String>,
            /// Of this workspace: its slug.
            pub workspace: Option<String>,
            /// Of this caller: a member's id, or a service key's.
            pub caller: Option<String>,
            /// With this API key: its public id.
            pub key: Option<String>,
            /// Of this JSON-RPC method.
            pub method: Option<String>,
            /// Of this tool, prompt or resource.
            pub name: Option<String>,
            /// `allow`, `deny`, `connect_required` or `error`.
            pub decision: Option<String>,
            /// `ok`, `denied`, `connect_required` or `error`, which is also what was allowed and failed.
            pub outcome: Option<String>,
            /// With this rule, exactly.
            pub rule: Option<String>,
            /// An HTTP status, or a class of them such as `4xx`.
            pub status: Option<String>,
            /// With this error code of JSON-RPC.
            pub error_code: Option<String>,
            pub request_id: Option<String>,
            pub trace_id: Option<String>,
            pub decision_id: Option<String>,
            /// RFC 3339: requests that came at this time or later …
            pub from: Option<String>,
            /// … and before this one.
            pub until: Option<String>,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            fn filters(&self, problems: &mut Problems) -> (Query, Range) {
                let columns = [
                    (Column::Server, &self.server),
                    (Column::Workspace, &self.workspace),
                    (Column::Caller, &self.caller),
                    (Column::Key, &self.key),
                    (Column::Method, &self.method),
                    (Column::Name, &self.name),
                    (Column::Decision, &self.decision),
                    (Column::Outcome, &self.outcome),
                    (Column::Rule, &self.rule),
                    (Column::ErrorCode, &self.error_code),
                    (Column::RequestId, &self.request_id),
                    (Column::TraceId, &self.trace_id),
                    (Column::DecisionId, &self.decision_id),
                ];
                let query = read_columns(problems, &columns);
                let query = match &self.status {
                    Some(status) => read_status(problems, query, status),
                    None => query,
                };
                (query, read_range(problems, self.from.as_deref(), self.until.as_deref()))
            }
        }
    };
}

with_filters! {
    /// Query of a search.
    RecordsQuery {
        /// The `next` of the page before.
        after: Option<String>,
        /// 1 to 1000; 100 if absent.
        #[param(minimum = 1, maximum = 1000)]
        limit: Option<u32>,
        /// `true`: with parameters and responses.
        payloads: Option<bool>,
    }
}

with_filters! {
    /// Query of a download.
    DownloadQuery {
        /// `csv` or `ndjson`.
        format: Option<String>,
        /// The id of the last record of the download before.
        after: Option<String>,
        /// 1 to 100000; 10000 if absent.
        #[param(minimum = 1, maximum = 100_000)]
        limit: Option<u32>,
        /// `true`: with parameters and responses.
        payloads: Option<bool>,
    }
}

with_filters! {
    /// Query of a follower.
    TailQuery {
        /// The `next` of the answer before; absent: from now on.
        after: Option<String>,
        /// How many seconds to wait for records, 0 to 25; 10 if absent.
        #[param(minimum = 0, maximum = 25)]
        wait: Option<u64>,
        /// `true`: with parameters and responses.
        payloads: Option<bool>,
    }
}

with_filters! {
    /// Query of a summary: the last 24 hours if `from` and `until` are absent, 31 days at most.
    SummaryQuery {
        /// How long an interval is, in seconds: at least 60, and at most 500 intervals; about 50 if absent.
        #[param(minimum = 60)]
        interval: Option<u64>,
    }
}

/// What to search for, and how much of it.
pub(super) struct Search {
    pub(super) query: Query,
    pub(super) range: Range,
    pub(super) limit: u32,
    pub(super) payloads: bool,
}

impl RecordsQuery {
    pub(super) fn search(&self) -> Result<Search, ApiError> {
        let mut problems = Problems::default();
        let (query, range) = self.filters(&mut problems);
        let range = read_after(&mut problems, range, self.after.as_deref());
        let limit = read_limit(&mut problems, self.limit, DEFAULT_LIMIT, LARGEST_LIMIT);
        problems.finish(Some(Search { query, range, limit, payloads: self.payloads.unwrap_or(false) }))
    }
}

/// How a download is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    NdJson,
}

impl DownloadQuery {
    pub(super) fn search(&self) -> Result<(Search, Format), ApiError> {
        let mut problems = Problems::default();
        let (query, range) = self.filters(&mut problems);
        let range = read_after(&mut problems, range, self.after.as_deref());
        let limit = read_limit(&mut problems, self.limit, DEFAULT_DOWNLOAD, LARGEST_DOWNLOAD);
        let format = match self.format.as_deref() {
            Some("csv") => Format::Csv,
            Some("ndjson") | None => Format::NdJson,
            Some(_) => {
                problems.add("format", "is neither `csv` nor `ndjson`", "choose one of them");
                Format::NdJson
            }
        };
        let payloads = self.payloads.unwrap_or(false);
        problems.finish(Some((Search { query, range, limit, payloads }, format)))
    }
}

/// What to follow, and for how long.
pub(super) struct Tail {
    pub(super) query: Query,
    pub(super) range: Range,
    pub(super) after: Option<u64>,
    pub(super) wait: Duration,
    pub(super) payloads: bool,
}

impl TailQuery {
    pub(super) fn tail(&self) -> Result<Tail, ApiError> {
        let mut problems = Problems::default();
        let (query, range) = self.filters(&mut problems);
        let after = self.after.as_deref().map(str::parse).transpose().unwrap_or_else(|_| {
            problems.add("after", "is no `next` of this operation", "leave it out to follow from now on");
            None
        });
        let wait = self.wait.unwrap_or(DEFAULT_WAIT);
        if wait > LONGEST_WAIT {
            problems.add("wait", "is longer than 25 seconds", "wait for less and ask again");
        }
        let (wait, payloads) = (Duration::from_secs(wait.min(LONGEST_WAIT)), self.payloads.unwrap_or(false));
        problems.finish(Some(Tail { query, range, after, wait, payloads }))
    }
}

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 3_600;
const LONGEST_WINDOW: u64 = 31 * DAY;
const MOST_INTERVALS: u64 = 500;
/// What is chosen among, in seconds.
const LENGTHS: [u64; 9] = [60, 300, 900, 1_800, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, DAY];

/// What to sum up: times in seconds.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) query: Query,
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) interval: u64,
}

impl SummaryQuery {
    pub(super) fn window(&self, now: Timestamp) -> Result<Window, ApiError> {
        let mut problems = Problems::default();
        let (query, range) = self.filters(&mut problems);
        let seconds = |id: RecordId| id.started_us() / 1_000_000;
        // The second that has begun counts.
        let until = match self.until {
            Some(_) => seconds(range.until),
            None => now.as_millis() / 1_000 + 1,
        };
        let from = match self.from {
            Some(_) => seconds(range.from),
            None => until.saturating_sub(DAY),
        };
        let length = until.saturating_sub(from);
        if length == 0 || length > LONGEST_WINDOW {
            problems.add("from", "is not between 31 days and a second before `until`", "choose another time");
        }
        let chosen = LENGTHS.into_iter().find(|interval| length / interval <= 50).unwrap_or(DAY);
        let interval = self.interval.unwrap_or(chosen);
        let interval = interval.clamp(MINUTE, LONGEST_WINDOW);
        let is_unchanged = self.interval.is_none_or(|given| given == interval);
        if !is_unchanged || length / interval > MOST_INTERVALS {
            let problem = "is not between a minute and 31 days, or makes more than 500";
            problems.add("interval", problem, "choose another one");
        }
        problems.finish(Some(Window { query, from, until, interval }))
    }
}

fn read_columns(problems: &mut Problems, columns: &[(Column, &Option<String>)]) -> Query {
    let mut query = Query::default();
    for (column, value) in columns {
        let Some(value) = value else { continue };
        let longest = FIELDS.iter().find(|field| field.name == column.as_str()).map(|field| field.kind);
        let longest = if let Some(Kind::Text(longest)) = longest { longest } else { 32 };
        let is_known = *column != Column::Outcome || Outcome::parse(value).is_some();
        if value.is_empty() {
            problems.add(column.as_str(), "is empty", "say what to look for, or leave it out");
        } else if value.len() > longest {
            problems.add(column.as_str(), "is longer than what is kept", "shorten it");
        } else if value.contains('\0') {
            problems.add(column.as_str(), "has a NUL in it", "remove it");
        } else if !is_known {
            let remedy = "choose `ok`, `denied`, `connect_required` or `error`";
            problems.add(column.as_str(), "is no outcome", remedy);
        } else {
            query = query.with(*column, value.as_str());
        }
    }
    query
}

fn read_status(problems: &mut Problems, query: Query, text: &str) -> Query {
    if let Some(status) = StatusFilter::parse(text) {
        return query.with_status(status);
    }
    problems.add("status", "is no HTTP status", "write 404, or 4xx for a class; 0 is no response");
    query
}

fn read_range(problems: &mut Problems, from: Option<&str>, until: Option<&str>) -> Range {
    let mut read = |field: &str, text: Option<&str>, otherwise: RecordId| match text.map(time::read) {
        None => otherwise,
        Some(Some(time)) => RecordId::first_at(time.as_millis().saturating_mul(1_000)),
        Some(None) => {
            let problem = "is not a time of the form 2027-01-31T12:00:00Z (RFC 3339)";
            problems.add(field, problem, "give such a time, or leave it out");
            otherwise
        }
    };
    Range { from: read("from", from, Range::ALL.from), until: read("until", until, Range::ALL.until) }
}

fn read_after(problems: &mut Problems, range: Range, after: Option<&str>) -> Range {
    match after.map(RecordId::parse) {
        None => range,
        Some(Some(id)) => Range { until: range.until.min(id), ..range },
        Some(None) => {
            problems.add("after", "is no `next` of a page before", "leave it out for the first page");
            range
        }
    }
}

fn read_limit(problems: &mut Problems, limit: Option<u32>, default: u32, largest: u32) -> u32 {
    let limit = limit.unwrap_or(default);
    if !(1..=largest).contains(&limit) {
        problems.add("limit", format!("is not 1 to {largest}"), "ask for fewer and follow `next`");
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_428_000_000);

    #[test]
    fn every_fault_is_named() {
        let query = RecordsQuery {
            server: Some(String::new()),
            name: Some("x".repeat(1_100)),
            outcome: Some("fine".into()),
            status: Some("4xx; DROP".into()),
            from: Some("yesterday".into()),
            after: Some("rec_1".into()),
            limit: Some(0),
            ..RecordsQuery::default()
        };
        let Err(ApiError::Invalid(problems)) = query.search() else { panic!("it has faults") };
        let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["server", "name", "outcome", "status", "from", "after", "limit"]);
    }

    #[test]
    fn a_window_has_about_fifty_intervals() {
        let window = SummaryQuery::default().window(NOW).expect("a window");
        assert_eq!((window.until - window.from, window.interval), (DAY, 1_800));
        let month = SummaryQuery { from: Some("2026-10-25T00:00:00Z".into()), ..SummaryQuery::default() };
        assert_eq!(month.window(NOW).expect("a window").interval, DAY);
        let ever = SummaryQuery { from: Some("2020-10-25T00:00:00Z".into()), ..SummaryQuery::default() };
        assert!(ever.window(NOW).is_err());
        let tiny = SummaryQuery { interval: Some(1), ..SummaryQuery::default() };
        assert!(tiny.window(NOW).is_err());
        let back = SummaryQuery { until: Some("1970-01-01T00:00:00Z".into()), ..SummaryQuery::default() };
        assert!(back.window(NOW).is_err());
    }
}
