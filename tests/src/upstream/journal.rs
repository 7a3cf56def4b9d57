//! What reached an upstream, word for word.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Older entries give way to newer ones.
const CAPACITY: usize = 1000;
/// Larger than anything the gateway lets through.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// One request as the upstream received it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In the order received; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// Bytes that are not UTF-8 are replaced.
    pub body: String,
}

impl Entry {
    /// All values of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The JSON-RPC method of the body, if it has one.
    pub fn rpc_method(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        Some(body.get("method")?.as_str()?.to_owned())
    }

    /// Whether `text` occurs anywhere in the request.
    pub fn contains(&self, text: &str) -> bool {
        self.target.contains(text)
            || self.body.contains(text)
            || self.headers.iter().any(|(name, value)| name.contains(text) || value.contains(text))
    }
}

/// The list of requests received so far. Clones share it.
#[derive(Clone, Debug)]
pub struct Journal {
    entries: Arc<Mutex<Vec<Entry>>>,
    changed: watch::Sender<()>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { entries: Arc::default(), changed: watch::Sender::new(()) }
    }
}

impl Journal {
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Waits for the first entry that `wanted` says yes to; entries of the past count.
    pub async fn wait_for(&self, wanted: impl Fn(&Entry) -> bool) -> Entry {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(entry) = self.entries().into_iter().find(&wanted) {
                return entry;
            }
            // The sender lives in `self`, so this cannot fail.
            let _ = changed.changed().await;
        }
    }

    fn add(&self, entry: Entry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.remove(0);
        }
        entries.push(entry);
        drop(entries);
        self.changed.send_replace(());
    }
}

/// Middleware that writes down each request before it is judged, and passes it on.
pub async fn record(State(journal): State<Journal>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        // The client went away, or sends without end: nothing was received.
        return StatusCode::BAD_REQUEST.into_response();
    };
    journal.add(entry(&parts, &body));
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// Handler of `GET /journal`.
pub async fn show(State(journal): State<Journal>) -> Json<Vec<Entry>> {
    Json(journal.entries())
}

/// Handler of `DELETE /journal`.
pub async fn forget(State(journal): State<Journal>) -> StatusCode {
    journal.clear();
    StatusCode::NO_CONTENT
}

pub(super) fn entry(parts: &axum::http::request::Parts, body: &Bytes) -> Entry {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Entry {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect(),
        body: text(body),
    }
}
