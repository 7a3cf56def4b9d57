//! How much is admitted: requests in a time, by all workers together, and requests at once.

use std::rc::Rc;

use portcullis_filter_core::reply::LocalReply;
use portcullis_filter_core::step::Step;
use portcullis_wire::unconnected::SESSION_PREFIX;
use portcullis_wire::watch::Invalidation;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{
    Gateway, Request, body_of, call, connect_required, denying, granted, legacy_call, let_go, reply,
};

const DAY_MS: u64 = 86_400_000;

fn rate(requests: u32) -> Value {
    json!({"counter": "c-1", "name": "workspace/limits:all", "requests": requests, "window_ms": DAY_MS})
}

fn limited(terms: &Value) -> Value {
    let mut lease = granted(&denying("delete_*"));
    lease["terms"] = terms.clone();
    lease
}

fn send(gateway: &mut Gateway, request: &Request) -> Step {
    let stream = gateway.open(request);
    gateway.send_body(stream, &request.body)
}

fn header<'a>(reply: &'a LocalReply, name: &str) -> &'a str {
    let found = reply.headers.iter().find(|(header, _)| header == name);
    found.map(|(_, value)| value.as_str()).unwrap_or_default()
}

#[wasm_bindgen_test(unsupported = test)]
fn one_too_many_is_told_when_to_come_back() {
    for request in [call("search"), legacy_call("search")] {
        let mut lease = limited(&json!({"rates": [rate(2)]}));
        lease["terms"]["rates"][0]["window_ms"] = 5_000.into();
        let mut gateway = Gateway::knowing(&lease);
        let_go(&mut gateway, &request);
        let_go(&mut gateway, &request);
        let refused = reply(send(&mut gateway, &request));
        assert_eq!((refused.status, refused.details.as_str()), (429, "portcullis_rate_limited"));
        assert_eq!(header(&refused, "retry-after"), "3", "2.5 seconds, rounded up");
        let body = body_of(&refused);
        assert_eq!((&body["id"], &body["error"]["code"]), (&json!(1), &json!(-31006)));
        assert_eq!(body["error"]["data"], json!({"reason": "rate_limited", "retryAfterMs": 2_500}));
        let stream = gateway.last_stream();
        let record = gateway.record(stream);
        let logged = ["decision", "rule", "error_code", "name"].map(|field| record[field].as_str());
        assert_eq!(logged, ["deny", "workspace/limits:all", "-31006", "search"]);
        gateway.pass_ms(2_500);
        let_go(&mut gateway, &request);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn workers_count_together_and_callers_apart() {
    let mut one = Gateway::knowing(&limited(&json!({"rates": [rate(3)]})));
    let mut two = Gateway::knowing(&limited(&json!({"rates": [rate(3)]})));
    two.shared = Rc::clone(&one.shared);
    let_go(&mut one, &call("search"));
    let_go(&mut two, &call("search"));
    let_go(&mut one, &call("search"));
    for worker in [&mut one, &mut two] {
        assert_eq!(reply(send(worker, &call("search"))).status, 429);
    }
    let mut another = limited(&json!({"rates": [rate(3)]}));
    another["terms"]["rates"][0]["counter"] = "c-2".into();
    let mut three = Gateway::knowing(&another);
    three.shared = Rc::clone(&one.shared);
    let_go(&mut three, &call("search"));
    assert_eq!(one.shared.keys(), ["portcullis.rate.c-1", "portcullis.rate.c-2"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn only_what_is_allowed_and_asked_for_counts() {
    let mut gateway = Gateway::knowing(&limited(&json!({"rates": [rate(1)], "concurrency": 1})));
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let mut notification = legacy_call("search");
    notification.body = initialized.into_bytes();
    for _ in 0..3 {
        let denied = reply(send(&mut gateway, &call("delete_all")));
        assert_eq!(denied.details, "portcullis_policy_denied");
        assert!(matches!(send(&mut gateway, &notification), Step::Forward { .. }));
        let get = legacy_call("search").with(":method", "GET");
        assert!(matches!(gateway.open_bodiless(&get), Step::Forward { .. }));
    }
    assert_eq!(gateway.shared.asked.get(), 0);
    let_go(&mut gateway, &call("search"));
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_asked_of_the_host_where_nothing_is_limited() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = let_go(&mut gateway, &call("search"));
    gateway.tick();
    gateway.leave(stream);
    assert_eq!(gateway.shared.asked.get(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn who_waits_and_is_woken_is_counted_once() {
    let mut gateway = Gateway::knowing(&limited(&json!({"rates": [rate(2)], "concurrency": 2})));
    let session = format!("{SESSION_PREFIX}x");
    let request = legacy_call("search").with("mcp-session-id", &session);
    let stream = gateway.open(&request);
    assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
    let id = gateway.take_call("/v1/sessions").id;
    assert_eq!(gateway.resume(stream), Step::Wait, "woken for nothing");
    let found =
        json!({"result": "opened", "session_id": "u-1", "protocol_version": "2025-11-25", "ttl_ms": 60_000});
    gateway.answer(id, &found);
    assert!(matches!(gateway.resume(stream), Step::Forward { .. }));
    let_go(&mut gateway, &call("search"));
    let refused = reply(send(&mut gateway, &call("search")));
    assert_eq!(refused.status, 429);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_changed_limit_applies_with_the_next_lease() {
    let mut gateway = Gateway::knowing(&limited(&json!({"rates": [rate(1)]})));
    let_go(&mut gateway, &call("search"));
    assert_eq!(reply(send(&mut gateway, &call("search"))).status, 429);
    gateway.news(&[Invalidation::Workspace("w1".into())]);
    let request = call("search");
    let stream = gateway.open(&request);
    assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
    let (id, _) = gateway.lease_call();
    let mut wider = limited(&json!({"rates": [rate(3)]}));
    wider["terms"]["rates"][0]["counter"] = "c-2".into();
    wider["revision"] = 2.into();
    gateway.answer(id, &wider);
    assert!(matches!(gateway.resume(stream), Step::Forward { .. }));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_server_has_so_many_at_once_whoever_calls() {
    let lease = limited(&json!({"concurrency": 2}));
    let mut one = Gateway::knowing(&lease);
    let mut two = Gateway::named("vm-2", &lease);
    two.shared = Rc::clone(&one.shared);
    let first = let_go(&mut one, &call("search"));
    let_go(&mut two, &call("search"));
    for worker in [&mut one, &mut two] {
        let refused = reply(send(worker, &call("search")));
        assert_eq!((refused.status, refused.details.as_str()), (429, "portcullis_too_many_at_once"));
        assert_eq!(header(&refused, "retry-after"), "1");
        assert_eq!(body_of(&refused)["error"]["data"]["reason"], "too_many_at_once");
        let stream = worker.last_stream();
        assert_eq!(worker.record(stream)["rule"], "server/concurrency");
    }
    one.leave(first);
    let_go(&mut two, &call("search"));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_rate_refuses_is_not_under_way() {
    let lease = limited(&json!({"rates": [rate(1)], "concurrency": 2}));
    let mut gateway = Gateway::knowing(&lease);
    let_go(&mut gateway, &call("search"));
    for _ in 0..5 {
        assert_eq!(reply(send(&mut gateway, &call("search"))).details, "portcullis_rate_limited");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_of_the_token_service_is_counted_and_not_under_way() {
    let mut connect = connect_required(&[]);
    connect["terms"] = json!({"rates": [rate(2)], "concurrency": 1});
    let mut gateway = Gateway::knowing(&connect);
    let_go(&mut gateway, &call("search"));
    let_go(&mut gateway, &call("search"));
    assert_eq!(reply(send(&mut gateway, &call("search"))).details, "portcullis_rate_limited");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_counted_does_not_pass() {
    for terms in [json!({"rates": [rate(9)]}), json!({"concurrency": 9})] {
        let mut gateway = Gateway::knowing(&limited(&terms));
        gateway.shared.is_gone.set(true);
        let refused = reply(send(&mut gateway, &call("search")));
        assert_eq!((refused.status, refused.details.as_str()), (503, "portcullis_limits_unavailable"));
        let stream = gateway.last_stream();
        assert_eq!(gateway.record(stream)["decision"], "error");
    }
}
