//! The log of requests: searched, looked at one by one, and followed as they come.

use std::collections::BTreeMap;

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::entry::Refused;
use super::form::read;
use super::shell::{Visit, filters, page, part};
use crate::http::admin::acting::Acting;
use crate::http::admin::records::{self, RecordView, TailQuery};
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

/// What the log is searched by, as its form and links say it: the filters of the API, by name. An empty field says nothing.
struct Filters(BTreeMap<String, String>);

impl Filters {
    fn of(query: BTreeMap<String, String>) -> Self {
        let mut filters = BTreeMap::new();
        for (name, value) in query {
            let value = value.trim();
            let value =
                if matches!(name.as_str(), "from" | "until") { in_utc(value) } else { value.to_owned() };
            if !value.is_empty() {
                filters.insert(name, value);
            }
        }
        Self(filters)
    }

    fn value(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// As the query of a link.
    fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// As the query of an operation, read as strictly as if a program had sent it.
    fn read<T: DeserializeOwned>(&self) -> Result<StrictQuery<T>, ApiError> {
        read(&json!(self.0)).map(StrictQuery)
    }
}

/// Times of the form, to the minute or the second, have no zone: they are UTC.
fn in_utc(text: &str) -> String {
    match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

#[derive(Template)]
#[template(path = "console/requests.html")]
struct List {
    filters: [(&'static str, &'static str, String); 6],
    outcomes: [(&'static str, &'static str, bool); 5],
    from: String,
    until: String,
    query: String,
    rows: Vec<RecordView>,
    next: Option<String>,
    /// Where the page begins to follow what comes, if it does.
    follows: Option<String>,
    is_filtered: bool,
}

pub(super) async fn list(
    app: Acting,
    visit: Visit,
    StrictQuery(query): StrictQuery<BTreeMap<String, String>>,
) -> Result<Response, Refused> {
    let mut filters = Filters::of(query);
    let is_live = filters.take("live").is_some();
    let Json(found) = records::list(app.clone(), filters.read()?).await?;
    filters.take("after");
    let follows = if is_live {
        let StrictQuery(tail) = filters.read::<TailQuery>()?;
        let now = TailQuery { wait: Some(0), ..tail };
        Some(records::tail(app, StrictQuery(now)).await?.0.next)
    } else {
        None
    };
    let minutes = |name| filters.value(name).trim_end_matches('Z').to_owned();
    let query = filters.query();
    let outcome = filters.value("outcome");
    let content = List {
        filters: FILTERS.map(|(name, label)| (name, label, filters.value(name).to_owned())),
        outcomes: OUTCOMES.map(|(word, name)| (word, name, word == outcome)),
        from: minutes("from"),
        until: minutes("until"),
        is_filtered: !query.is_empty(),
        query,
        rows: found.records,
        next: found.next,
        follows,
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
    StrictQuery(query): StrictQuery<BTreeMap<String, String>>,
) -> Result<Response, Refused> {
    let mut filters = Filters::of(query);
    let Json(mut news) = records::tail(app, filters.read()?).await?;
    news.records.reverse();
    filters.take("after");
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
