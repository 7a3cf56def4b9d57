//! Records as the token-service keeps them: what Envoy sends is what it wrote, of every request, once.

mod delivery;
mod fields;
mod injection;
mod outcomes;

use portcullis_tests::patience::poll;
use portcullis_tests::stack::Stack;
use serde_json::Value;

/// Waits for the record of one request, by the `x-request-id` of its response.
async fn record_of(stack: &Stack, request_id: &str) -> Value {
    let target = format!("/v1/records?payloads=true&request_id={request_id}");
    let found = poll(async || {
        let answer = stack.admin().get(&target).await.expect("an answer");
        let mut records = answer["records"].as_array().expect("records").clone();
        assert!(records.len() <= 1, "{records:?}");
        records.pop()
    });
    found.await.unwrap_or_else(|| panic!("no record of request {request_id}"))
}

/// The same request as Envoy has written it and as it was kept.
fn assert_same(line: &Value, record: &Value) {
    for field in portcullis_token_service::record_store::FIELDS {
        let text = |value: &Value| match value {
            Value::String(text) if text == "-" || text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        if field.name != "attributes" {
            assert_eq!(text(&line[field.name]), text(&record[field.name]), "{} of {line}", field.name);
        }
    }
    assert!(record["further"].is_null(), "every attribute has its field: {record}");
    let milliseconds = |value: &Value| value.as_str().and_then(|text| text.get(..23)).map(str::to_owned);
    assert_eq!(milliseconds(&line["timestamp"]), milliseconds(&padded(&record["at"])), "{record}");
}

/// With three digits of a second at least.
fn padded(at: &Value) -> Value {
    let text = at.as_str().unwrap_or_default().trim_end_matches('Z');
    let text = if text.contains('.') { text.to_owned() } else { format!("{text}.") };
    let missing = 23_usize.saturating_sub(text.len());
    format!("{text}{}Z", "0".repeat(missing)).into()
}
