//! A gateway with one server, `demo`, and one caller, driven through the fake host.

use portcullis_wire::api_key::ApiKey;
use serde_json::{Value, json};

use crate::fake_host::{self as host, Call, Event, Headers};

pub(crate) const ROOT: u32 = 1;
/// The root context that a new configuration brings.
pub(crate) const NEXT_ROOT: u32 = 2;
/// The fast tick, in milliseconds.
pub(crate) const FAST: u32 = 1;
pub(crate) const SLOW: u32 = 250;

pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

pub(crate) const CLUSTER: &str = "token_service";

pub(crate) fn configuration(cluster: &str) -> String {
    gated(cluster, "hold")
}

fn gated(cluster: &str, body_gate: &str) -> String {
    json!({
        "config_version": 1,
        "public_url": "https://gateway.example",
        "token_service": {"cluster": cluster, "authority": "token-service"},
        "body_gate": body_gate
    })
    .to_string()
}

/// A tool call, as text.
pub(crate) fn tool_call(name: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": name, "arguments": {}}})
        .to_string()
}

/// The module loaded, one root context configured.
pub(crate) fn start() {
    portcullis_filter::start();
    host::create_root(ROOT);
    assert!(host::configure(ROOT, &configuration(CLUSTER)));
}

/// Started, and the first watch answered with the registry.
pub(crate) fn ready() {
    start();
    host::tick(ROOT);
    answer_watch(&take_call("/v1/watch"));
}

pub(crate) fn marked(body: &Value) -> (Headers, Vec<u8>) {
    let headers = host::headers(&[
        (":status", "200"),
        (portcullis_wire::MARKER_HEADER, portcullis_wire::CONTRACT_VERSION),
        ("content-type", "application/json"),
    ]);
    (headers, body.to_string().into_bytes())
}

/// The one call in flight whose path begins so.
pub(crate) fn take_call(path: &str) -> Call {
    let mut calls = calls(path);
    assert_eq!(calls.len(), 1, "{path}: {calls:?}");
    calls.remove(0)
}

pub(crate) fn calls(path: &str) -> Vec<Call> {
    host::with(|host| {
        host.calls.iter().filter(|call| call.header(":path").starts_with(path)).cloned().collect()
    })
}

pub(crate) fn answer_watch(call: &Call) {
    let registry = json!({
        "servers": [{
            "id": "server-1",
            "slug": "demo",
            "upstream": {"tls": true, "authority": "mcp.example", "path": "/mcp"}
        }],
        "issuers": []
    });
    let now_ms = host::with(|host| host.now_ms);
    host::answer(
        call,
        Some(marked(&json!({"cursor": 5, "now_ms": now_ms, "hold_ms": 1000, "registry": registry}))),
    );
}

/// Grants the lease that a call asks for, a renewed one if it asks for that. Tools named `forbidden` are denied.
pub(crate) fn grant(call: &Call) {
    grant_within(call, &json!({}));
}

/// Grants a lease with these limits.
pub(crate) fn grant_within(call: &Call, limits: &Value) {
    grant_on(call, limits, &json!({}));
}

/// Grants a lease with these limits of the credential and on these terms.
pub(crate) fn grant_on(call: &Call, limits: &Value, terms: &Value) {
    let is_renewal = call.body.windows(8).any(|part| part == b"rejected");
    let generation: u64 = if is_renewal { 2 } else { 1 };
    host::answer(
        call,
        Some(marked(&json!({
            "result": "granted",
            "caller": {"id": "member-1", "name": "Ada", "credential": "member_key", "key_id": KEY_ID},
            "workspace": {"id": "workspace-1", "slug": "core"},
            "server_id": "server-1",
            "policy": {"levels": [{"level": "workspace", "tools": {"deny": ["forbidden"]}}]},
            "limits": limits,
            "terms": terms,
            "connection_id": "connection-1",
            "credential_generation": generation,
            "credential_headers": [{"name": "authorization", "value": "Bearer upstream"}],
            "ttl_ms": 60000,
            "revision": 5
        }))),
    );
}

/// Names [`api_key`].
pub(crate) const KEY_ID: &str = "0123456789";

pub(crate) fn api_key() -> String {
    let entropy: Vec<u8> = (0..128).collect();
    ApiKey::spell("test", &entropy).expect("enough entropy").0.expose().to_owned()
}

/// A caller's POST, with what else a client would send.
pub(crate) fn post_headers() -> Headers {
    let mut headers = host::headers(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "gateway.example"),
        (":path", "/demo/mcp"),
        ("x-forwarded-proto", "https"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-06-18"),
    ]);
    headers.push((b"authorization".to_vec(), format!("Bearer {}", api_key()).into_bytes()));
    headers
}

/// A new stream with a complete POST; what the shell said to the body.
pub(crate) fn post(id: u32, body: &str) -> u32 {
    host::create_stream(id, ROOT);
    assert_eq!(host::request_headers(id, post_headers(), false), host::PAUSE);
    host::request_body(id, body.as_bytes(), true)
}

/// A gateway whose lease for the caller is cached.
pub(crate) fn warm() {
    ready();
    assert_eq!(post(10, &tool_call("echo")), host::PAUSE);
    host::tick(ROOT);
    grant(&take_call("/v1/leases"));
    assert!(events(10).contains(&Event::Continue), "{:?}", events(10));
    host::end(10);
}

/// [`warm`], on a host that does not hold headers. Paths other than endpoints' pass.
pub(crate) fn warm_streaming() {
    warm();
    assert!(host::configure(ROOT, &streaming()));
    host::tick(ROOT);
}

/// The host has a new configuration, under which headers are not held; what is open goes on under the old one.
pub(crate) fn stream_from_now_on() {
    host::create_root(NEXT_ROOT);
    assert!(host::configure(NEXT_ROOT, &streaming()));
    host::tick(NEXT_ROOT);
}

fn streaming() -> String {
    let mut configuration: Value = serde_json::from_str(&gated(CLUSTER, "stream")).expect("JSON");
    configuration["other_paths"] = "pass".into();
    configuration.to_string()
}

/// A stream that was let go to the upstream at once.
pub(crate) fn let_go(id: u32) {
    assert_eq!(post(id, &tool_call("echo")), host::CONTINUE);
}

pub(crate) fn events(id: u32) -> Vec<Event> {
    host::with(|host| host.stream(id).events.clone())
}

/// The local replies that a stream got: status and details.
pub(crate) fn replies(id: u32) -> Vec<(u32, String)> {
    let events = events(id).into_iter();
    events
        .filter_map(|event| match event {
            Event::Reply { status, details, .. } => Some((status, details)),
            _ => None,
        })
        .collect()
}

pub(crate) fn tick_period(root: u32) -> u32 {
    host::with(|host| host.roots[&root])
}
