//! Members who have yet to connect an account, and what is left of that once they have.

use portcullis_filter_core::step::{CallOutcome, ResponseChunk, ResponseHead, Step};
use portcullis_wire::unconnected::request_digest;
use portcullis_wire::watch::Invalidation;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{
    Gateway, JSON, KEY_ID, Request, body_of, call, connect_required, denying, granted, granted_by_connection,
    header, legacy_call, let_go, marked, reply,
};

#[wasm_bindgen_test(unsupported = test)]
fn who_has_yet_to_connect_is_judged_as_ever_and_sent_to_the_token_service() {
    let mut gateway = Gateway::knowing(&connect_required(&denying("delete_*")));
    for request in [call("search"), legacy_call("search"), Request::new("tools/list", &json!({}))] {
        let stream = gateway.open(&request);
        let Step::Forward { headers, body: None } = gateway.send_body(stream, &request.body) else {
            panic!("forwarded as it is")
        };
        for (name, value) in [
            ("x-portcullis-upstream", "service"),
            (":authority", "token-service"),
            (":path", "/v1/unconnected"),
            ("x-portcullis-handle", "handle-1"),
        ] {
            assert_eq!(header(&headers, name), Some(value));
        }
        assert_eq!(header(&headers, "authorization"), None);
        assert_eq!(gateway.record(stream)["decision"], "connect_required");
    }
    let request = call("delete_all");
    let stream = gateway.open(&request);
    let denied = reply(gateway.send_body(stream, &request.body));
    assert_eq!(denied.details, "portcullis_policy_denied");
}

#[wasm_bindgen_test(unsupported = test)]
fn only_the_token_services_answer_counts() {
    let marked = ("x-portcullis-service", "1");
    for (head, passes) in [
        (vec![(":status", "200"), JSON, marked], true),
        (vec![(":status", "404"), JSON, marked], true),
        (vec![(":status", "200"), JSON], false),
        (vec![(":status", "200"), JSON, ("x-portcullis-service", "2")], false),
        (vec![(":status", "503"), ("content-type", "text/plain")], false),
        (vec![(":status", "500"), JSON, marked], false),
        (vec![(":status", "401"), JSON, marked], false),
    ] {
        let mut gateway = Gateway::knowing(&connect_required(&[]));
        let stream = let_go(&mut gateway, &call("search"));
        match gateway.respond(stream, &head) {
            ResponseHead::Hold => assert!(passes, "{head:?}"),
            ResponseHead::Reply(reply) => {
                assert!(!passes, "{head:?}");
                assert_eq!((reply.status, body_of(&reply)["id"].clone()), (503, json!(1)));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_log_does_not_have_the_link() {
    let mut gateway = Gateway::knowing(&connect_required(&[]));
    let stream = let_go(&mut gateway, &call("search"));
    let head = [(":status", "200"), JSON, ("x-portcullis-service", "1"), ("mcp-session-id", "pcl-session.1")];
    gateway.respond(stream, &head);
    let text = "Open https://gw.example/connect/t1ck-e_t~ or https://gw.example/connect/other.";
    let body = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}});
    let chunk = gateway.response_body(stream, body.to_string().as_bytes(), true);
    assert_eq!(chunk, ResponseChunk::Keep, "the client gets it");
    let head = gateway.take_head(stream).expect("the head");
    assert_eq!(header(&head, "mcp-session-id"), Some("pcl-session.1"));
    assert_eq!(header(&head, "x-portcullis-service"), None);
    let record = gateway.record(stream);
    assert!(
        record["response"].contains("/connect/[ticket] or https://gw.example/connect/[ticket]"),
        "{record:?}"
    );
    assert!(!record["response"].contains("t1ck"), "{record:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn once_connected_the_next_call_goes_to_the_upstream() {
    for invalidation in [
        Invalidation::Connection("c1".into()),
        Invalidation::Member("m1".into()),
        Invalidation::Key(KEY_ID.into()),
        Invalidation::Workspace("w1".into()),
        Invalidation::Server("s1".into()),
        Invalidation::All,
    ] {
        let mut gateway = Gateway::knowing(&connect_required(&[]));
        gateway.news(std::slice::from_ref(&invalidation));
        let request = call("search");
        let stream = gateway.open(&request);
        assert_eq!(gateway.send_body(stream, &request.body), Step::Wait, "{invalidation:?}");
        let (id, _) = gateway.lease_call();
        let mut lease = granted_by_connection(1);
        lease["revision"] = 9.into();
        gateway.answer(id, &lease);
        let Step::Forward { headers, .. } = gateway.resume(stream) else { panic!("forwarded") };
        assert_eq!(header(&headers, "x-portcullis-upstream"), Some("tls"));
    }
}

/// A call that carries a state of ours, and the digest of what it asks.
fn retried() -> (Request, String) {
    let request = Request::new(
        "tools/call",
        &json!({
            "name": "search", "arguments": {"q": 1}, "requestState": "pcl-state.1",
            "inputResponses": {"portcullis_connect": {"action": "accept"}},
        }),
    );
    (request, request_digest("tools/call", "search", br#"{"q":1}"#).to_string())
}

#[wasm_bindgen_test(unsupported = test)]
fn a_state_of_ours_is_opened_and_taken_out() {
    let (request, digest) = retried();
    for (answer, left) in [
        (json!({"result": "opened"}), json!({})),
        (json!({"result": "opened", "request_state": "theirs"}), json!({"requestState": "theirs"})),
        (
            json!({"result": "opened", "request_state": "a\"b", "input_responses": "{\"k\": {\"n\": 1e2}}"}),
            json!({"requestState": "a\"b", "inputResponses": {"k": {"n": 1e2}}}),
        ),
    ] {
        let mut gateway = Gateway::knowing(&granted(&[]));
        let stream = gateway.open(&request);
        assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
        let asked = gateway.take_call("/v1/states");
        let question: Value = serde_json::from_slice(&asked.body).expect("JSON");
        assert_eq!((&question["state"], &question["request"]), (&json!("pcl-state.1"), &json!(digest)));
        assert_eq!(gateway.answer(asked.id, &answer), [stream]);
        let Step::Forward { headers, body: Some(body) } = gateway.resume(stream) else {
            panic!("another body")
        };
        assert_eq!(header(&headers, "content-length"), Some(&*body.len().to_string()));
        let mut expected: Value = serde_json::from_slice(&request.body).expect("JSON");
        let params = expected["params"].as_object_mut().expect("an object");
        params.remove("requestState");
        params.remove("inputResponses");
        params.extend(left.as_object().expect("an object").clone());
        assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON"), expected);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_state_that_is_not_opened_is_refused_or_comes_later() {
    let (request, _) = retried();
    for (outcome, status, code) in [
        (marked("200", &json!({"result": "refused"})), 400, -32602),
        (marked("200", &json!({"result": "unavailable", "retry_after_ms": 5_000})), 503, -31003),
        (marked("200", &json!({"result": "opened", "input_responses": "[1]"})), 503, -31003),
        (marked("200", &json!({"result": "opened", "input_responses": "{},\"x\":{}"})), 503, -31003),
        (CallOutcome::Failed, 503, -31003),
    ] {
        let mut gateway = Gateway::knowing(&granted(&[]));
        let stream = gateway.open(&request);
        gateway.send_body(stream, &request.body);
        let asked = gateway.take_call("/v1/states");
        gateway.outcome(asked.id, outcome.clone());
        let reply = reply(gateway.resume(stream));
        assert_eq!((reply.status, reply.code), (status, code), "{outcome:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn states_of_others_are_nobodys_business_here() {
    let mut gateway = Gateway::knowing(&granted(&[]));
    for (method, params) in [
        ("tools/call", json!({"name": "search", "requestState": "theirs"})),
        ("tools/call", json!({"name": "search", "requestState": "x pcl-state.1"})),
        ("tools/list", json!({"requestState": "pcl-state.1"})),
    ] {
        let request = Request::new(method, &params);
        let stream = gateway.open(&request);
        assert!(
            matches!(gateway.send_body(stream, &request.body), Step::Forward { body: None, .. }),
            "{params}"
        );
    }
    // Before the account is connected the token-service reads its own states.
    let mut gateway = Gateway::knowing(&connect_required(&[]));
    let stream = gateway.open(&retried().0);
    assert!(matches!(gateway.send_body(stream, &retried().0.body), Step::Forward { body: None, .. }));
}

fn in_session() -> Request {
    legacy_call("search").with("mcp-session-id", "pcl-session.1")
}

fn opened(id: Option<&str>) -> Value {
    let mut opened = json!({"result": "opened", "protocol_version": "2025-06-18", "ttl_ms": 60_000});
    if let Some(id) = id {
        opened["session_id"] = id.into();
    }
    opened
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_of_ours_is_asked_for_once() {
    for id in [Some("theirs"), None] {
        let mut gateway = Gateway::knowing(&granted_by_connection(1));
        let request = in_session();
        let (first, second) = (gateway.open(&request), gateway.open(&request));
        for stream in [first, second] {
            assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
        }
        let asked = gateway.take_call("/v1/sessions");
        let question: Value = serde_json::from_slice(&asked.body).expect("JSON");
        assert_eq!(question["session"], "pcl-session.1");
        assert_eq!(gateway.answer(asked.id, &opened(id)), [first, second]);
        for stream in [first, second] {
            let Step::Forward { headers, .. } = gateway.resume(stream) else { panic!("forwarded") };
            assert_eq!(header(&headers, "mcp-session-id"), id);
            assert_eq!(header(&headers, "mcp-protocol-version"), Some("2025-06-18"));
        }
        let get = request.with(":method", "GET").without("content-type");
        let Step::Forward { headers, .. } = gateway.open_bodiless(&get) else { panic!("from the cache") };
        assert_eq!(header(&headers, "mcp-session-id"), id);
        // What ends the lease ends it, and so does its time.
        gateway.news(&[Invalidation::Connection("c1".into())]);
        let mut lease = granted_by_connection(2);
        lease["revision"] = 9.into();
        let stream = gateway.open(&request);
        let (id, _) = gateway.lease_call();
        gateway.answer(id, &lease);
        assert_eq!(gateway.resume(stream), Step::Wait);
        assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
        gateway.take_call("/v1/sessions");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_in_a_session_of_ours_keeps_it() {
    let mut gateway = Gateway::knowing(&granted(&[]));
    let request = in_session();
    let stream = gateway.open(&request);
    gateway.send_body(stream, &request.body);
    let asked = gateway.take_call("/v1/sessions");
    gateway.answer(asked.id, &opened(Some("theirs")));
    assert!(matches!(gateway.resume(stream), Step::Forward { .. }));
    let head = [(":status", "200"), ("content-type", "text/event-stream"), ("mcp-session-id", "theirs")];
    let ResponseHead::Replace(head) = gateway.respond(stream, &head) else { panic!("passed") };
    assert_eq!(header(&head, "mcp-session-id"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_that_nobody_knows_is_over() {
    for (answer, status) in [
        (json!({"result": "unknown"}), 404),
        (json!({"result": "unavailable", "retry_after_ms": 1}), 503),
        (json!({"result": "opened", "session_id": "a\nb", "protocol_version": "x", "ttl_ms": 1}), 503),
        (json!({"result": "opened", "protocol_version": "2025-06-18", "ttl_ms": 0}), 503),
    ] {
        for verb in ["POST", "GET", "DELETE"] {
            let mut gateway = Gateway::knowing(&granted(&[]));
            let request = in_session().with(":method", verb);
            let stream = if verb == "POST" {
                let stream = gateway.open(&request);
                gateway.send_body(stream, &request.body);
                stream
            } else {
                assert_eq!(gateway.open_bodiless(&request), Step::Wait);
                gateway.last_stream()
            };
            let asked = gateway.take_call("/v1/sessions");
            gateway.answer(asked.id, &answer);
            assert_eq!(reply(gateway.resume(stream)).status, status, "{verb} {answer}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_policy_denies_opens_no_session() {
    let mut gateway = Gateway::knowing(&granted(&denying("search")));
    let request = in_session();
    let stream = gateway.open(&request);
    assert_eq!(reply(gateway.send_body(stream, &request.body)).details, "portcullis_policy_denied");
    assert!(gateway.tick().is_empty());
}
