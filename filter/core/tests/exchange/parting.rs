//! Headers that go before their body (`body_gate: stream`), and requests that are none of the gateway's.

use portcullis_filter_core::step::{Headers, ResponseChunk, ResponseHead, Step};
use portcullis_wire::secret::SecretText;
use portcullis_wire::session::bind;
use portcullis_wire::watch::Invalidation;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{
    Gateway, JSON, Request, body_of, call, connect_required, denying, granted, granted_by_connection, header,
    legacy_call, replied, reply,
};

/// The headers that go before the body, and their stream.
fn part(gateway: &mut Gateway, request: &Request) -> (u32, Headers) {
    match gateway.open_step(request) {
        Step::Part { headers } => (gateway.last_stream(), headers),
        step => panic!("headers, not {step:?}"),
    }
}

fn goes_nowhere(headers: &Headers) -> bool {
    header(headers, "x-portcullis-upstream") == Some("service")
        && header(headers, "x-portcullis-handle").is_none()
        && header(headers, "authorization").is_none()
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_go_once_they_are_judged_and_the_body_once_it_is() {
    for request in [call("search"), legacy_call("search")] {
        let mut gateway = Gateway::streaming(&granted(&[]));
        let (stream, headers) = part(&mut gateway, &request);
        assert_eq!(header(&headers, "authorization"), Some("Bearer upstream-secret"));
        assert_eq!(header(&headers, ":authority"), Some("mcp.example"));
        assert_eq!(header(&headers, "x-portcullis-api-key"), None);
        for end in 0..request.body.len() {
            assert_eq!(gateway.send_part(stream, &request.body[..end]), Step::Wait, "{end}");
        }
        assert_eq!(gateway.send_body(stream, &request.body), Step::Follow);
        assert_eq!(gateway.record(stream)["decision"], "allow");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_wait_for_a_lease_and_go_when_they_are_woken() {
    let mut gateway = Gateway::streaming(&granted(&[]));
    gateway.news(&[Invalidation::All]);
    let request = call("search");
    let stream = gateway.open(&request);
    let (id, _) = gateway.lease_call();
    let mut lease = granted(&[]);
    lease["revision"] = 9.into();
    assert_eq!(gateway.answer(id, &lease), [stream]);
    assert!(matches!(gateway.resume(stream), Step::Part { .. }));
    assert_eq!(gateway.send_body(stream, &request.body), Step::Follow);
}

#[wasm_bindgen_test(unsupported = test)]
fn without_a_body_there_is_nothing_to_hold() {
    let mut gateway = Gateway::streaming(&granted(&[]));
    let get = legacy_call("search").with(":method", "GET").without("content-type");
    assert!(matches!(gateway.open_bodiless(&get), Step::Forward { .. }));
    let (stream, headers) = part(&mut gateway, &get);
    assert_eq!(header(&headers, ":method"), Some("GET"));
    assert_eq!(gateway.send_body(stream, b""), Step::Follow);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_headers_deny_never_reaches_the_upstream_and_is_denied_in_the_same_words() {
    let request = call("delete_all");
    let mut holding = Gateway::with_lease(&denying("delete_*"));
    let stream = holding.open(&request);
    let in_hold = reply(holding.send_body(stream, &request.body));

    let mut gateway = Gateway::streaming(&granted(&denying("delete_*")));
    let (stream, headers) = part(&mut gateway, &request);
    assert!(goes_nowhere(&headers), "{headers:?}");
    assert_eq!(reply(gateway.send_body(stream, &request.body)), in_hold);
    assert_eq!(gateway.record(stream)["decision"], "deny");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_legacy_request_names_its_tool_in_the_body_only() {
    let request = legacy_call("delete_all");
    let mut gateway = Gateway::streaming(&granted(&denying("delete_*")));
    let (stream, headers) = part(&mut gateway, &request);
    assert_eq!(header(&headers, "x-portcullis-upstream"), Some("tls"), "nobody can know yet");
    assert_eq!(reply(gateway.send_body(stream, &request.body)).details, "portcullis_policy_denied");
    // A legacy client that says it in a header is taken at its word.
    let telling = request.with("mcp-method", "tools/call").with("mcp-name", "delete_all");
    let (_, headers) = part(&mut gateway, &telling);
    assert!(goes_nowhere(&headers), "{headers:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_that_nothing_acceptable_can_follow_go_nowhere() {
    for (request, reason) in [
        (call("search").with("mcp-protocol-version", "2024-11-05"), "header_mismatch"),
        (call("search").with("mcp-method", "tools/make"), "header_mismatch"),
        (call("search").without("mcp-name"), "header_mismatch"),
    ] {
        let mut gateway = Gateway::streaming(&granted(&[]));
        let (stream, headers) = part(&mut gateway, &request);
        assert!(goes_nowhere(&headers), "{headers:?}");
        let refused = reply(gateway.send_body(stream, &request.body));
        assert!(refused.details.contains(reason), "{refused:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_body_that_says_something_else_than_its_headers_does_not_follow() {
    let mut gateway = Gateway::streaming(&granted(&denying("delete_*")));
    let (stream, _) = part(&mut gateway, &call("search"));
    let refused = reply(gateway.send_body(stream, &call("delete_all").body));
    assert_eq!(refused.details, "portcullis_header_mismatch");
}

fn renewed(mut lease: Value) -> Value {
    lease["revision"] = 9.into();
    lease
}

/// A call whose headers went on one lease and whose body came when another had to be asked for; what the gateway makes
/// of it.
fn overtaken(before: &Value, after: &Value) -> (Gateway, u32, Step) {
    overtaken_by(&call("search"), before, after)
}

fn overtaken_by(request: &Request, before: &Value, after: &Value) -> (Gateway, u32, Step) {
    let mut gateway = Gateway::streaming(before);
    let (stream, _) = part(&mut gateway, request);
    gateway.news(&[Invalidation::All]);
    assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, after);
    let step = gateway.resume(stream);
    (gateway, stream, step)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_body_that_had_to_wait_is_sent_by_a_call_with_headers_of_its_own() {
    for (before, after, credential) in [
        (granted_by_connection(1), granted_by_connection(2), "Bearer of-generation-2"),
        // Not even if they are the same: a filter behind this one may have ended the request.
        (granted_by_connection(1), granted_by_connection(1), "Bearer of-generation-1"),
        (connect_required(&[]), granted_by_connection(1), "Bearer of-generation-1"),
        (granted(&[]), granted(&[]), "Bearer upstream-secret"),
        (granted(&denying("search")), granted(&[]), "Bearer upstream-secret"),
    ] {
        let (mut gateway, stream, step) = overtaken(&before, &renewed(after));
        assert_eq!(step, Step::Wait);
        let sent = gateway.take_call("/mcp");
        assert_eq!(header(&sent.headers, "authorization"), Some(credential));
        assert_eq!(sent.body, call("search").body);
        assert_eq!(header(&sent.headers, "content-length"), Some(&*sent.body.len().to_string()));
        let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}});
        gateway.outcome(sent.id, replied(&[(":status", "200"), JSON], answer.to_string().as_bytes()));
        let sent = reply(gateway.resume(stream));
        assert_eq!((sent.status, sent.details.as_str()), (200, "portcullis_sent_late"));
        assert_eq!(body_of(&sent), answer);
        assert_eq!(gateway.record(stream)["decision"], "allow");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_sent_by_a_call_is_not_sent() {
    // Who has to connect is answered by the token-service; and the answer to a subscription has no end.
    let subscription =
        Request::new("subscriptions/listen", &json!({"notifications": {"toolsListChanged": true}}));
    for (request, after) in
        [(call("search"), connect_required(&[])), (subscription, granted_by_connection(2))]
    {
        let (mut gateway, _, step) = overtaken_by(&request, &granted_by_connection(1), &renewed(after));
        let refused = reply(step);
        assert_eq!((refused.status, refused.details.as_str()), (503, "portcullis_changed_meanwhile"));
        assert_eq!(body_of(&refused)["id"], 1);
        assert!(gateway.take_calls("/mcp").is_empty());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_credential_that_is_no_connections_is_not_renewed_after_a_late_body() {
    let (mut gateway, stream, _) = overtaken(&granted(&[]), &renewed(granted(&[])));
    let sent = gateway.take_call("/mcp");
    gateway.outcome(sent.id, replied(&[(":status", "401"), JSON], b"{}"));
    let refused = reply(gateway.resume(stream));
    assert_eq!((refused.status, refused.details.as_str()), (502, "portcullis_upstream_unauthorized"));
    assert!(gateway.take_calls("/mcp").is_empty(), "sent once");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_state_of_the_gateways_is_taken_back_before_the_body_is_sent() {
    let mut gateway = Gateway::streaming(&granted_by_connection(1));
    let request = Request::new(
        "tools/call",
        &json!({"name": "search", "arguments": {"q": 1}, "requestState": "pcl-state.x"}),
    );
    let (stream, _) = part(&mut gateway, &request);
    assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
    let asked = gateway.take_call("/v1/states");
    gateway.answer(asked.id, &json!({"result": "opened", "request_state": "theirs"}));
    assert_eq!(gateway.resume(stream), Step::Wait);
    let sent = gateway.take_call("/mcp");
    let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!(body["params"]["requestState"], "theirs");
    assert_eq!(header(&sent.headers, "content-length"), Some(&*sent.body.len().to_string()));
}

#[wasm_bindgen_test(unsupported = test)]
fn bodies_that_wait_have_room_for_so_much_together() {
    let mut gateway = Gateway::streaming(&granted(&[]));
    let room = gateway.room();
    let each = 4 * 1024 * 1024;
    let request = call("search");
    let mut streams = Vec::new();
    for _ in 0..room / each {
        let (stream, _) = part(&mut gateway, &request);
        assert_eq!(gateway.send_size(stream, each), Step::Wait);
        streams.push(stream);
    }
    let (stream, _) = part(&mut gateway, &request);
    let refused = reply(gateway.send_size(stream, each));
    assert_eq!((refused.status, refused.details.as_str()), (503, "portcullis_no_room"));
    for stream in streams {
        gateway.leave(stream);
    }
    assert_eq!(gateway.room(), room);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_revocation_while_the_body_is_under_way_counts() {
    let mut gateway = Gateway::streaming(&granted(&[]));
    let request = call("search");
    let (stream, _) = part(&mut gateway, &request);
    gateway.news(&[Invalidation::All]);
    assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
    let (id, _) = gateway.lease_call();
    gateway
        .answer(id, &json!({"result": "denied", "reason": "unknown_credential", "ttl_ms": 0, "revision": 9}));
    assert_eq!(reply(gateway.resume(stream)).status, 401);
}

#[wasm_bindgen_test(unsupported = test)]
fn who_has_yet_to_connect_goes_to_the_token_service_head_first() {
    let mut gateway = Gateway::streaming(&connect_required(&denying("delete_*")));
    for request in [call("search"), legacy_call("search")] {
        let (stream, headers) = part(&mut gateway, &request);
        assert_eq!(header(&headers, "x-portcullis-handle"), Some("handle-1"));
        assert_eq!(gateway.send_body(stream, &request.body), Step::Follow);
        assert_eq!(gateway.record(stream)["decision"], "connect_required");
    }
    let denied = call("delete_all");
    let (stream, headers) = part(&mut gateway, &denied);
    assert!(goes_nowhere(&headers), "{headers:?}");
    assert_eq!(reply(gateway.send_body(stream, &denied.body)).details, "portcullis_policy_denied");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_is_looked_up_before_the_headers_go() {
    let mut lease = granted(&[]);
    lease["session_key"] = "of-ada".into();
    let mut gateway = Gateway::streaming(&lease);
    let bound = bind(&SecretText::new("of-ada".to_owned()), "s.1");
    let request = legacy_call("search").with("mcp-session-id", &bound);
    let (stream, headers) = part(&mut gateway, &request);
    assert_eq!(header(&headers, "mcp-session-id"), Some("s.1"));
    assert_eq!(gateway.send_body(stream, &request.body), Step::Follow);

    let request = legacy_call("search").with("mcp-session-id", "s.1");
    let (stream, headers) = part(&mut gateway, &request);
    assert!(goes_nowhere(&headers), "{headers:?}");
    let refused = reply(gateway.send_body(stream, &request.body));
    assert_eq!((refused.status, body_of(&refused)["id"].clone()), (404, json!(1)));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_is_reworded_under_the_head_that_it_came_with() {
    let mut gateway = Gateway::streaming(&granted(&[]));
    let request = call("search");
    let (stream, _) = part(&mut gateway, &request);
    assert_eq!(gateway.send_body(stream, &request.body), Step::Follow);
    let head = [(":status", "200"), JSON, ("content-length", "90"), ("x-server", "theirs")];
    let ResponseHead::Replace(head) = gateway.respond(stream, &head) else { panic!("a head goes at once") };
    assert_eq!(header(&head, "content-length"), None);
    let unknown = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Tool search not found"}}"#;
    let ResponseChunk::Replace(body) = gateway.response_body(stream, unknown.as_bytes(), true) else {
        panic!("other words")
    };
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["error"]["message"], "Unknown tool: search");
    assert_eq!(gateway.take_head(stream), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_endpoint_passes_without_what_only_the_gateway_may_say() {
    let mut gateway = Gateway::passing();
    let page = call("search").with(":path", "/connections?x=1").without("x-portcullis-api-key");
    assert_eq!(gateway.open_step(&page), Step::Pass { headers: None });
    let stream = gateway.last_stream();
    assert_eq!(gateway.respond(stream, &[(":status", "200")]), ResponseHead::Keep);
    assert!(gateway.over(stream, 0, "").is_empty(), "no record");

    let cheating = page.with("x-portcullis-upstream", "tls").with("x-portcullis-handle", "h");
    let Step::Pass { headers: Some(headers) } = gateway.open_step(&cheating) else { panic!("passed") };
    assert!(!headers.iter().any(|(name, _)| name.starts_with(b"x-portcullis-")), "{headers:?}");
    assert_eq!(header(&headers, ":path"), Some("/connections?x=1"));

    for path in ["/demo/mcp/", "/a/b/c/mcp", "/Demo/mcp"] {
        assert_eq!(reply(gateway.open_step(&call("search").with(":path", path))).status, 404, "{path}");
    }
    let request = call("search");
    let stream = gateway.open(&request);
    assert!(matches!(gateway.send_body(stream, &request.body), Step::Forward { .. }));
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_else_passes_if_not_told_so() {
    let mut gateway = Gateway::with_lease(&[]);
    assert_eq!(reply(gateway.open_step(&call("search").with(":path", "/connections"))).status, 404);
}
