//! The log of requests: searched, looked at one by one, and followed as they come.

use std::fmt::Write as _;

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::entry::Refused;
use super::shell::{Visit, filters, page, part, segment};
use crate::http::admin::acting::Acting;
use crate::http::admin::records::{self, RecordView, RecordsQuery, TailQuery};
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;

/// What the form of the log filters by, and what people call it.
const FILTERS: [(&str, &str); 6] = [
    ("server", "Server"),
    ("workspace", "Workspace"),
    ("caller", "Member or service key (id)"),
    ("key", "API key (id)"),
    ("name", "Tool, prompt or resource"),
    ("method", "Method"),
];

const OUTCOMES: [(&str, &str); 5] = [
    ("", "any outcome"),
    ("ok", "OK"),
    ("denied", "denied"),
    ("error", "errors"),
    ("connect_required", "account needed"),
];

/// The query of the log, as its form sends it: an empty field says nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filters {
    server: Option<String>,
    workspace: Option<String>,
    caller: Option<String>,
    key: Option<String>,
    name: Option<String>,
    method: Option<String>,
    outcome: Option<String>,
    rule: Option<String>,
    status: Option<String>,
    /// Times of the form have no zone; they are UTC.
    from: Option<String>,
    until: Option<String>,
    after: Option<String>,
    live: Option<String>,
}

impl Filters {
    fn without_empty(mut self) -> Self {
        for field in [
            &mut self.server,
            &mut self.workspace,
            &mut self.caller,
            &mut self.key,
            &mut self.name,
            &mut self.method,
            &mut self.outcome,
            &mut self.rule,
            &mut self.status,
            &mut self.from,
            &mut self.until,
            &mut self.after,
            &mut self.live,
        ] {
            *field = field.take().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        }
        self.from = self.from.map(in_utc);
        self.until = self.until.map(in_utc);
        self
    }

    fn pairs(&self) -> [(&'static str, &Option<String>); 11] {
        [
            ("server", &self.server),
            ("workspace", &self.workspace),
            ("caller", &self.caller),
            ("key", &self.key),
            ("name", &self.name),
            ("method", &self.method),
            ("outcome", &self.outcome),
            ("rule", &self.rule),
            ("status", &self.status),
            ("from", &self.from),
            ("until", &self.until),
        ]
    }

    /// As the query of a link.
    fn query(&self) -> String {
        let mut query = String::new();
        for (name, value) in self.pairs() {
            if let Some(value) = value {
                let _ = write!(query, "{name}={}&", segment(value));
            }
        }
        query.trim_end_matches('&').to_owned()
    }

    fn search(&self) -> RecordsQuery {
        let this = self.clone();
        RecordsQuery {
            server: this.server,
            workspace: this.workspace,
            caller: this.caller,
            key: this.key,
            name: this.name,
            method: this.method,
            outcome: this.outcome,
            rule: this.rule,
            status: this.status,
            from: this.from,
            until: this.until,
            after: this.after,
            ..RecordsQuery::default()
        }
    }

    fn tail(&self) -> TailQuery {
        let this = self.clone();
        TailQuery {
            server: this.server,
            workspace: this.workspace,
            caller: this.caller,
            key: this.key,
            name: this.name,
            method: this.method,
            outcome: this.outcome,
            rule: this.rule,
            status: this.status,
            after: this.after,
            ..TailQuery::default()
        }
    }
}

fn in_utc(text: String) -> String {
    let seconds = if text.len() == 16 { ":00" } else { "" };
    if text.ends_with('Z') || text.contains('+') { text } else { format!("{text}{seconds}Z") }
}

#[derive(Template)]
#[template(path = "console/requests.html")]
struct List {
    filters: Vec<(&'static str, &'static str, String)>,
    outcomes: Vec<(&'static str, &'static str, bool)>,
    from: String,
    until: String,
    query: String,
    rows: Vec<RecordView>,
    next: Option<String>,
    /// Whether the page follows what comes.
    live: bool,
    /// Where it begins to follow; of the first answer of the tail.
    is_filtered: bool,
}

pub(super) async fn list(
    app: Acting,
    visit: Visit,
    StrictQuery(filters): StrictQuery<Filters>,
) -> Result<Response, Refused> {
    let filters = filters.without_empty();
    let Json(found) = records::list(app, StrictQuery(filters.search())).await?;
    let value = |name: &str| {
        let found = filters.pairs().into_iter().find(|(each, _)| *each == name);
        found.and_then(|(_, value)| value.clone()).unwrap_or_default()
    };
    let minutes = |text: String| text.trim_end_matches('Z').to_owned();
    let query = filters.query();
    let outcome = value("outcome");
    let content = List {
        filters: FILTERS.iter().map(|(name, label)| (*name, *label, value(name))).collect(),
        outcomes: OUTCOMES.iter().map(|(word, name)| (*word, *name, *word == outcome)).collect(),
        from: minutes(value("from")),
        until: minutes(value("until")),
        is_filtered: !query.is_empty(),
        query,
        rows: found.records,
        next: found.next,
        live: filters.live.is_some() && filters.after.is_none(),
    };
    Ok(page(&visit, "Requests", &content))
}

#[derive(Template)]
#[template(path = "console/requests_live.html")]
struct Live {
    rows: Vec<RecordView>,
    query: String,
    next: String,
}

/// The records that have come, and the element that asks for the next.
pub(super) async fn live(
    app: Acting,
    StrictQuery(filters): StrictQuery<Filters>,
) -> Result<Response, Refused> {
    let filters = filters.without_empty();
    let Json(mut news) = records::tail(app, StrictQuery(filters.tail())).await?;
    news.records.reverse();
    Ok(part(&Live { rows: news.records, query: filters.query(), next: news.next }))
}

#[derive(Template)]
#[template(path = "console/request.html")]
struct One<'a> {
    visit: &'a Visit,
    record: RecordView,
    /// Every field that it has: name and value.
    fields: Vec<(String, String)>,
    /// What was sent, laid out where it is JSON.
    payloads: Vec<(&'static str, String)>,
}

pub(super) async fn show(app: Acting, visit: Visit, Path(id): Path<String>) -> Result<Response, Refused> {
    let Json(record) = records::show(app, Path(id)).await?;
    let value = serde_json::to_value(&record).map_err(|error| ApiError::Internal(error.into()))?;
    let mut fields = Vec::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !matches!(name.as_str(), "parameters" | "response") {
            fields.push((name.replace('_', " "), text));
        }
    }
    let payload = |name, text: &Option<String>| text.as_deref().map(|text| (name, laid_out(text)));
    let payloads =
        [payload("Parameters", &record.fields.parameters), payload("Response", &record.fields.response)];
    let payloads = payloads.into_iter().flatten().collect();
    Ok(page(&visit, "Request", &One { visit: &visit, record, fields, payloads }))
}

/// JSON on several lines. What is no JSON, such as what was cut, stays as it is.
fn laid_out(text: &str) -> String {
    let value: Option<Value> = serde_json::from_str(text).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| text.to_owned())
}
