//! What a record says: one for each request, whatever becomes of it.

mod endings;
mod lines;
mod payloads;

use portcullis_tests::stack::Stack;
use reqwest::RequestBuilder;
use serde_json::Value;

/// A request by a user agent of this name, by which its record is found, also if there never is a response.
fn called(name: &str, request: RequestBuilder) -> RequestBuilder {
    request.header("user-agent", name)
}

/// The record of the request [`called`] so, with these fields.
async fn record(stack: &Stack, name: &str, expected: &Value) -> Value {
    let found = stack.envoy.access_log.wait_for(|record| record["user_agent"] == name).await;
    let record =
        found.unwrap_or_else(|| panic!("no record of {name:?} in\n{}", stack.envoy.access_log.text()));
    for (field, value) in expected.as_object().expect("fields") {
        assert_eq!(&record[field], value, "{name}: {field} in {record}");
    }
    record
}

/// How many records there are of requests [`called`] so.
fn count(stack: &Stack, name: &str) -> usize {
    stack.envoy.access_log.records().iter().filter(|record| record["user_agent"] == name).count()
}
