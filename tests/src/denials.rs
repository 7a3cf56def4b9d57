//! Whether everything that was denied in a story has a true answer to "why?".
//!
//! Each story produces denials that no table foresees. When its stack ends, one denial of each rule is asked about, by the
//! id in its record.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::access_log::AccessLog;
use crate::admin::Admin;

/// What is wrong with the explanations of what these logs say was denied; nothing if the service does not answer any more.
pub fn unexplained(logs: &[&AccessLog], admin: &Admin) -> Vec<String> {
    let denied: BTreeMap<String, Value> =
        logs.iter().flat_map(|log| log.records()).filter_map(kind_of).collect();
    if denied.is_empty() {
        return Vec::new();
    }
    let (url, token) = (admin.url().to_owned(), admin.token().to_owned());
    // The story's runtime cannot be waited for from where a value is dropped.
    let asked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(ask(Admin::new(&url, &token)?, denied))
    });
    match asked.join() {
        Ok(Ok(faults)) => faults,
        Ok(Err(error)) => vec![format!("cannot ask: {error:#}")],
        Err(_) => vec!["asking has panicked".to_owned()],
    }
}

/// The record of something denied, by what denied it.
fn kind_of(record: Value) -> Option<(String, Value)> {
    let is_denied = record["decision"] == "deny";
    is_denied.then(|| (format!("{} {}", record["rule"], record["status"]), record))
}

async fn ask(admin: Admin, denied: BTreeMap<String, Value>) -> anyhow::Result<Vec<String>> {
    if admin.get("/v1/status").await.is_err() {
        return Ok(Vec::new());
    }
    let mut faults = Vec::new();
    for record in denied.into_values() {
        let question = json!({"decision": record["decision_id"]});
        match admin.post("/v1/explain", question).await {
            Ok(answer) => faults.extend(fault(&record, &answer)),
            Err(error) => faults.push(format!("{error:#}: {record}")),
        }
    }
    Ok(faults)
}

fn fault(record: &Value, answer: &Value) -> Option<String> {
    let then = &answer["then"];
    let says = then["says"].as_str().unwrap_or_default();
    let revision = then["revision"].as_u64().map(|revision| revision.to_string());
    let is_true = then["rule"] == record["rule"]
        // Envoy logs no status for a client that has left.
        && (then["status"] == record["status"] || record["status"] == 0)
        && (record["server"].is_null() || then["server"] == record["server"])
        && (record["revision"].is_null() || revision.as_deref() == record["revision"].as_str())
        && !says.is_empty()
        && !says.contains("for a reason that this version does not know");
    (!is_true).then(|| format!("the record {record} is explained as {answer}"))
}
