//! Servers that say that their lists changed, and who hears of it.

use portcullis_filter_core::step::{CallOutcome, ResponseChunk};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{Gateway, Request, call, connect_required, denying, granted, let_go, marked, replied};

const EVENTS: [(&str, &str); 2] = [(":status", "200"), ("content-type", "text/event-stream")];
const CHANGED: &str = "notifications/tools/list_changed";
const PATH: &str = "/v1/lists-changed";

fn event(message: &Value) -> Vec<u8> {
    format!("data: {message}\n\n").into_bytes()
}

fn notification(method: &str) -> Vec<u8> {
    event(&json!({"jsonrpc": "2.0", "method": method}))
}

/// A call whose answer is a stream that has begun.
fn streaming(gateway: &mut Gateway) -> u32 {
    let stream = let_go(gateway, &call("search"));
    gateway.respond(stream, &EVENTS);
    stream
}

fn told(gateway: &mut Gateway) -> Vec<(u64, Value)> {
    gateway
        .take_calls(PATH)
        .into_iter()
        .map(|call| (call.id, serde_json::from_slice(&call.body).expect("JSON")))
        .collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn the_token_service_is_told_and_the_client_hears_it_too() {
    for method in [CHANGED, "notifications/prompts/list_changed", "notifications/resources/list_changed"] {
        let mut gateway = Gateway::with_lease(&denying("x"));
        let stream = streaming(&mut gateway);
        assert_eq!(gateway.response_body(stream, &notification(method), false), ResponseChunk::Keep);
        let told = told(&mut gateway);
        assert_eq!(told.len(), 1, "{method}");
        assert_eq!(told[0].1, json!({"server": "s1"}));
        assert!(gateway.answer(told[0].0, &json!({})).is_empty(), "nobody waits for it");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_else_is_news() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = streaming(&mut gateway);
    for message in [
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": CHANGED}}),
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed2"}),
        json!({"jsonrpc": "2.0", "id": 1, "result": {"method": CHANGED}}),
    ] {
        gateway.response_body(stream, &event(&message), false);
    }
    assert_eq!(told(&mut gateway), []);
}

#[wasm_bindgen_test(unsupported = test)]
fn many_announcements_are_one_call_and_the_last_is_not_lost() {
    let mut gateway = Gateway::with_lease(&[]);
    let streams = [streaming(&mut gateway), streaming(&mut gateway)];
    for stream in [streams[0], streams[1], streams[0]] {
        gateway.response_body(stream, &notification(CHANGED), false);
    }
    let first = told(&mut gateway);
    assert_eq!(first.len(), 1);
    gateway.answer(first[0].0, &json!({}));
    gateway.response_body(streams[1], &notification(CHANGED), false);
    gateway.pass_ms(4_999);
    assert_eq!(told(&mut gateway), [], "told a moment ago");
    gateway.pass_ms(1);
    assert_eq!(told(&mut gateway).len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_did_not_arrive_is_told_again() {
    for lost in [
        CallOutcome::Failed,
        replied(&[(":status", "503")], b"no healthy upstream"),
        marked("500", &json!({})),
    ] {
        let mut gateway = Gateway::with_lease(&[]);
        let stream = streaming(&mut gateway);
        gateway.response_body(stream, &notification(CHANGED), false);
        let first = told(&mut gateway);
        gateway.outcome(first[0].0, lost);
        gateway.pass_ms(5_000);
        let again = told(&mut gateway);
        assert_eq!(again.len(), 1);
        gateway.answer(again[0].0, &json!({}));
        gateway.pass_ms(50_000);
        assert_eq!(told(&mut gateway), []);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn streams_that_are_opened_to_listen_are_heard() {
    let mut gateway = Gateway::knowing(&granted(&[]));
    let get = Request::new("tools/call", &json!({"name": "x"}))
        .with(":method", "GET")
        .with("mcp-protocol-version", "2025-11-25")
        .without("content-type")
        .without("mcp-method")
        .without("mcp-name");
    gateway.open_bodiless(&get);
    let stream = gateway.last_stream();
    gateway.respond(stream, &EVENTS);
    gateway.response_body(stream, &notification(CHANGED), false);
    assert_eq!(told(&mut gateway).len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_token_service_says_itself_is_no_news_to_it() {
    let mut gateway = Gateway::knowing(&connect_required(&[]));
    let stream = let_go(&mut gateway, &call("search"));
    let mut head = EVENTS.to_vec();
    head.push(("x-portcullis-service", "1"));
    gateway.respond(stream, &head);
    gateway.response_body(stream, &notification(CHANGED), false);
    assert_eq!(told(&mut gateway), []);
}
