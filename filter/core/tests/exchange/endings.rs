//! How requests end, as their records say.

use portcullis_filter_core::step::ResponseHead;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{Gateway, JSON, Request, call, denying, legacy_call, let_go, reply};

const DOWNSTREAM: u64 = 1 << 14;
const UPSTREAM_FAILED: u64 = 1 << 5;
const UPSTREAM_ENDED: u64 = 1 << 6;
const IDLE: u64 = 1 << 16;

const RESULT: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

/// A call whose answer has begun.
fn answering(gateway: &mut Gateway, status: &str) -> u32 {
    let stream = let_go(gateway, &call("search"));
    gateway.respond(stream, &[(":status", status), JSON]);
    stream
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_that_came_to_its_end_is_complete_whatever_the_host_says() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = answering(&mut gateway, "200");
    gateway.response_body(stream, RESULT, true);
    assert_eq!(gateway.over(stream, DOWNSTREAM, "via_upstream")["ended"], "complete");
    let stream = let_go(&mut gateway, &call("search"));
    gateway.respond_whole(stream, &[(":status", "202")], true);
    assert_eq!(gateway.over(stream, 0, "via_upstream")["ended"], "complete");
}

#[wasm_bindgen_test(unsupported = test)]
fn without_an_end_the_host_knows_why() {
    for (flags, details, ended) in [
        (DOWNSTREAM, "downstream_remote_disconnect", "cancelled"),
        (IDLE, "stream_idle_timeout", "timeout"),
        (UPSTREAM_ENDED, "upstream_reset_after_response_started{connection_termination}", "upstream_reset"),
        (0, "", "cancelled"),
    ] {
        let mut gateway = Gateway::with_lease(&[]);
        let stream = answering(&mut gateway, "200");
        gateway.response_body(stream, b"{", false);
        assert_eq!(gateway.over(stream, flags, details)["ended"], ended, "{details}");
        let waiting = let_go(&mut gateway, &call("search"));
        assert_eq!(gateway.over(waiting, flags, details)["ended"], ended, "{details}");
    }
    let mut gateway = Gateway::with_lease(&[]);
    let stream = gateway.open(&call("search"));
    assert_eq!(gateway.over(stream, 0, "request_overall_timeout")["ended"], "timeout");
    let stream = gateway.open(&call("search"));
    assert_eq!(gateway.over(stream, DOWNSTREAM, "downstream_remote_disconnect")["ended"], "cancelled");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_error_may_be_the_hosts_own() {
    for (status, flags, details, ended) in [
        ("503", UPSTREAM_FAILED, "upstream_reset_before_response_started", "upstream_unreachable"),
        ("503", 0, "via_upstream", "complete"),
        ("403", 0, "rbac_access_denied", "refused"),
        ("404", 0, "via_upstream", "complete"),
    ] {
        let mut gateway = Gateway::with_lease(&[]);
        let stream = answering(&mut gateway, status);
        gateway.response_body(stream, br#"{"jsonrpc":"2.0","error":{"code":-1,"message":"m"}}"#, true);
        let record = gateway.over(stream, flags, details);
        assert_eq!((&*record["ended"], &*record["error_code"]), (ended, "-1"), "{details}");
    }
    for (flags, ended) in
        [(UPSTREAM_FAILED, "upstream_unreachable"), (UPSTREAM_ENDED, "upstream_reset"), (0, "rejected")]
    {
        let mut gateway = Gateway::with_lease(&[]);
        let stream = let_go(&mut gateway, &call("search"));
        assert!(matches!(gateway.respond(stream, &[(":status", "503")]), ResponseHead::Reply(_)));
        assert_eq!(gateway.over(stream, flags, "portcullis_upstream_failed")["ended"], ended);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_the_gateway_answers_is_refused() {
    let mut gateway = Gateway::with_lease(&denying("delete_*"));
    let request = call("delete_all");
    let stream = gateway.open(&request);
    reply(gateway.send_body(stream, &request.body));
    let record = gateway.over(stream, DOWNSTREAM, "portcullis_policy_denied");
    assert_eq!((&*record["ended"], &*record["rpc_id"]), ("refused", "1"));
    assert!(
        record["parameters"].contains("delete_all")
            && record["parameters_bytes"].parse().is_ok_and(|bytes: usize| bytes > 20)
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn who_asks_and_by_which_id() {
    let client = json!({"name": "Agent", "version": "1.2"});
    let mut gateway = Gateway::with_lease(&[]);
    let request = Request::new("tools/list", &json!({}));
    let body = String::from_utf8(request.body.clone()).expect("text");
    let meta = r#""io.modelcontextprotocol/clientCapabilities""#;
    let body = body.replace(meta, &format!(r#""io.modelcontextprotocol/clientInfo":{client},{meta}"#));
    let body = body.replace(r#""id":1"#, r#""id":"a\"b""#);
    let stream = gateway.open(&request.without("content-length"));
    gateway.send_body(stream, body.as_bytes());
    let record = gateway.over(stream, 0, "");
    assert_eq!(
        (&*record["client_name"], &*record["client_version"], &*record["rpc_id"]),
        ("Agent", "1.2", "a\"b")
    );

    let legacy = |message: &serde_json::Value| {
        let mut request = legacy_call("search");
        request.body = message.to_string().into_bytes();
        request
    };
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let hello = legacy(&json!({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": params}));
    let stream = let_go(&mut gateway, &hello);
    let record = gateway.over(stream, 0, "");
    assert_eq!((&*record["client_name"], &*record["rpc_id"]), ("Agent", "7"));

    let params = json!({"requestId": 7, "reason": "enough"});
    let cancel = legacy(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    let stream = let_go(&mut gateway, &cancel);
    let record = gateway.over(stream, 0, "");
    assert_eq!((&*record["cancels"], record.get("rpc_id"), record.get("client_name")), ("7", None, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn events_and_errors_of_tools_are_told() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = let_go(&mut gateway, &call("search"));
    gateway.respond(stream, &[(":status", "200"), ("content-type", "text/event-stream")]);
    let result = r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[]}}"#;
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
    let body = format!(": hello\n\ndata: {progress}\n\nid: 3\n\ndata: {result}\n\n");
    gateway.response_body(stream, body.as_bytes(), true);
    let record = gateway.over(stream, 0, "");
    let told = ["events", "tool_error", "response", "ended"].map(|field| &*record[field]);
    assert_eq!(told, ["2", "true", result, "complete"]);
    assert_eq!(record["response_bytes"], result.len().to_string());
}
