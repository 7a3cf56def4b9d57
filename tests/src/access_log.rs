//! Envoy's access log, read as it grows.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::patience::poll;

/// The file of JSON lines that Envoy writes.
#[derive(Clone, Debug)]
pub struct AccessLog {
    path: PathBuf,
}

impl AccessLog {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that is written so far.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_default()
    }

    /// All complete records so far.
    ///
    /// # Panics
    /// If a complete line is not a JSON object.
    pub fn records(&self) -> Vec<Value> {
        let text = self.text();
        // Envoy may be in the middle of the last line.
        let complete = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        complete
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in record {line}")))
            .collect()
    }

    /// Waits for the record of one request, by the `x-request-id` of its response.
    ///
    /// # Panics
    /// If it does not come.
    pub async fn record_of(&self, request_id: &str) -> Value {
        let found = self.wait_for(|record| record["request_id"] == request_id).await;
        found.unwrap_or_else(|| panic!("no record of request {request_id} in\n{}", self.text()))
    }

    /// Waits for the first record that `wanted` says yes to.
    pub async fn wait_for(&self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        poll(async || self.records().into_iter().find(&wanted)).await
    }
}
