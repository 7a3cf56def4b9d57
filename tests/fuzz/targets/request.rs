//! Bodies of requests. What is accepted is JSON to `serde_json` too, with the same method and names.
//!
//! The first byte chooses the version that the headers say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_filter_core::json::Limits;
use portcullis_filter_core::mcp::{McpHeaders, Request, read_request};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let theirs: Option<Value> = serde_json::from_slice(body).ok();
    let headers = if choice % 2 == 0 { legacy() } else { modern(theirs.as_ref()) };
    let Ok(headers) = McpHeaders::gather(&headers) else { return };
    match read_request(body, &headers, &Limits::default()) {
        Ok(request) => judge(&request, &theirs.expect("what is accepted is JSON")),
        Err(fault) => drop(serde_json::from_slice::<Value>(&fault.body()).expect("a refusal is JSON")),
    }
});

fn judge(request: &Request, theirs: &Value) {
    let named = match request.method_name.as_str() {
        "tools/call" | "prompts/get" => &theirs["params"]["name"],
        "resources/read" => &theirs["params"]["uri"],
        _ => return,
    };
    assert_eq!(theirs["method"], request.method_name.as_str());
    let names: Vec<&str> = request.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(named.as_str().into_iter().collect::<Vec<_>>(), names);
}

fn legacy() -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![header("mcp-protocol-version", "2025-11-25")]
}

fn modern(body: Option<&Value>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut headers = vec![header("mcp-protocol-version", "2026-07-28")];
    let Some(body) = body else { return headers };
    headers.extend(body["method"].as_str().map(|method| header("mcp-method", method)));
    let name = body["params"]["name"].as_str().or(body["params"]["uri"].as_str());
    headers.extend(name.map(|name| header("mcp-name", name)));
    headers
}

fn header(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.into(), value.into())
}
