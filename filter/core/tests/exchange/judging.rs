//! From a request's headers to its response.

use portcullis_wire::watch::Invalidation;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{
    Gateway, JSON, KEY_ID, Request, access_token, body_of, call, denying, granted, header, legacy_call,
    let_go, reply,
};
use portcullis_filter_core::step::{CallOutcome, Effect, ResponseChunk, ResponseHead, Step};

#[wasm_bindgen_test(unsupported = test)]
fn the_first_call_asks_for_a_lease_and_the_second_does_not() {
    let mut gateway = Gateway::ready();
    let first = gateway.open(&call("search"));
    assert_eq!(gateway.send_body(first, &call("search").body), Step::Wait);
    let (id, request) = gateway.lease_call();
    assert_eq!(request["server"], "demo");
    assert_eq!(request["proof"]["kind"], "api_key");
    assert_eq!(gateway.answer(id, &granted(&[])), [first]);
    let Step::Forward { headers, .. } = gateway.resume(first) else { panic!("forwarded") };
    assert_eq!(header(&headers, "authorization"), Some("Bearer upstream-secret"));
    assert_eq!(header(&headers, ":authority"), Some("mcp.example"));
    assert_eq!(header(&headers, "x-portcullis-api-key"), None);

    let second = gateway.open(&call("search"));
    assert!(matches!(gateway.send_body(second, &call("search").body), Step::Forward { .. }));
    assert!(gateway.tick().is_empty(), "no further call");
}

#[wasm_bindgen_test(unsupported = test)]
fn requests_for_one_lease_join_and_a_client_that_leaves_takes_nothing_along() {
    let mut gateway = Gateway::ready();
    let streams: Vec<u32> = (0..3).map(|_| gateway.open(&call("search"))).collect();
    for stream in &streams {
        assert_eq!(gateway.send_body(*stream, &call("search").body), Step::Wait);
    }
    let (id, _) = gateway.lease_call();
    gateway.leave(streams[0]);
    assert_eq!(gateway.answer(id, &granted(&[])), streams[1..]);
    for stream in &streams[1..] {
        assert!(matches!(gateway.resume(*stream), Step::Forward { .. }));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_forwarded_before_the_whole_body_is_judged() {
    let mut gateway = Gateway::with_lease(&[]);
    let request = call("search");
    let stream = gateway.open(&request);
    for end in 0..request.body.len() {
        assert_eq!(gateway.send_part(stream, &request.body[..end]), Step::Wait, "{end}");
    }
    assert!(matches!(gateway.send_body(stream, &request.body), Step::Forward { .. }));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_denied_tool_is_answered_like_an_unknown_one_and_recorded_with_its_rule() {
    for request in [call("delete_all"), legacy_call("delete_all")] {
        let mut gateway = Gateway::with_lease(&denying("delete_*"));
        let stream = gateway.open(&request);
        let reply = reply(gateway.send_body(stream, &request.body));
        assert_eq!((reply.status, reply.details.as_str()), (200, "portcullis_policy_denied"));
        let body = body_of(&reply);
        assert_eq!(body["id"], 1);
        assert_eq!(body["error"], json!({"code": -32602, "message": "Unknown tool: delete_all"}));
        let record = gateway.record(stream);
        for (field, value) in [
            ("server", "demo"),
            ("method", "tools/call"),
            ("kind", "tool"),
            ("name", "delete_all"),
            ("caller", "m1"),
            ("workspace", "core"),
            ("credential", "member_key"),
            ("decision", "deny"),
            ("rule", "workspace/tools.deny:delete_*"),
            ("error_code", "-32602"),
        ] {
            assert_eq!(record.get(field).map(String::as_str), Some(value), "{field}");
        }
        assert!(record["parameters"].contains("delete_all"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_revocation_during_the_body_counts() {
    let mut gateway = Gateway::with_lease(&[]);
    let request = call("search");
    let stream = gateway.open(&request);
    assert_eq!(gateway.send_part(stream, &request.body[..10]), Step::Wait);
    gateway.news(&[Invalidation::Key(KEY_ID.into())]);
    assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &json!({"result": "denied", "reason": "disabled_credential"}));
    let reply = reply(gateway.resume(stream));
    assert_eq!((reply.status, reply.details.as_str()), (401, "portcullis_disabled_credential"));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_invalidation_that_overtakes_a_lease_makes_it_be_asked_for_again() {
    let mut gateway = Gateway::ready();
    let request = call("search");
    let stream = gateway.open(&request);
    gateway.send_body(stream, &request.body);
    let (id, _) = gateway.lease_call();
    gateway.news(&[Invalidation::Member("m1".into())]);
    assert_eq!(gateway.answer(id, &granted(&[])), [0; 0], "too old to be used");
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &json!({"result": "denied", "reason": "unknown_server"}));
    assert_eq!(reply(gateway.resume(stream)).status, 404);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_invalidation_that_overtakes_a_denial_makes_it_be_asked_for_again() {
    let mut gateway = Gateway::ready();
    let request = call("search");
    let denied = json!({"result": "denied", "reason": "unknown_server"});
    let stream = gateway.open(&request);
    gateway.send_body(stream, &request.body);
    let (id, _) = gateway.lease_call();
    // Access was given while the answer was on its way.
    gateway.news(&[Invalidation::Server("s1".into())]);
    assert_eq!(gateway.answer(id, &denied), [0; 0], "too old to be used");
    let (id, _) = gateway.lease_call();
    gateway.news(&[Invalidation::Server("s1".into())]);
    assert_eq!(gateway.answer(id, &denied), [stream], "once is enough");
    assert_eq!(reply(gateway.resume(stream)).status, 404);
    // But nobody else is told the same without being asked about.
    let next = gateway.open(&request);
    gateway.send_body(next, &request.body);
    let (id, _) = gateway.lease_call();
    let mut lease = granted(&[]);
    lease["revision"] = 9.into();
    assert_eq!(gateway.answer(id, &lease), [next]);
    assert!(matches!(gateway.resume(next), Step::Forward { .. }));
}

#[wasm_bindgen_test(unsupported = test)]
fn without_a_registry_requests_wait_and_then_fail_closed() {
    let mut gateway = Gateway::new();
    let request = call("search");
    let stream = gateway.open(&request);
    assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
    gateway.pass_ms(1_999);
    assert!(!gateway.tick().iter().any(|effect| matches!(effect, Effect::Wake(_))));
    gateway.pass_ms(1);
    assert!(gateway.tick().contains(&Effect::Wake(vec![stream])));
    let reply = reply(gateway.resume(stream));
    assert_eq!((reply.status, reply.details.as_str()), (503, "portcullis_token_service_unavailable"));
    assert!(reply.headers.iter().any(|(name, _)| name == "retry-after"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_request_that_came_before_the_registry_goes_on_with_it() {
    let mut gateway = Gateway::new();
    let request = call("search");
    let stream = gateway.open(&request);
    gateway.send_body(stream, &request.body);
    assert!(gateway.first_registry().contains(&stream));
    assert_eq!(gateway.resume(stream), Step::Wait);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &granted(&[]));
    assert!(matches!(gateway.resume(stream), Step::Forward { .. }));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_silent_token_service_leaves_cached_callers_for_the_budget_and_nobody_else() {
    let mut gateway = Gateway::with_lease(&[]);
    let request = call("search");
    gateway.pass_ms(10_000);
    let known = gateway.open(&request);
    assert!(matches!(gateway.send_body(known, &request.body), Step::Forward { .. }));
    let other = call("search").with_key(1);
    let step = gateway.open_step(&other);
    assert_eq!(reply(step).status, 503);
    gateway.pass_ms(60_000);
    assert_eq!(reply(gateway.open_step(&request)).status, 503, "the budget is spent");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lease_of_another_caller_is_nobodys() {
    let by_key = |id| json!({"id": "m1", "name": "Ada", "credential": "member_key", "key_id": id});
    let signed_in = |id| json!({"id": "m1", "name": "Ada", "credential": "access_token", "session_id": id});
    let told = json!({"id": "m1", "name": "Ada", "credential": "opaque_token"});
    let token = access_token("mcp:read mcp:write");
    for (request, own, others) in [
        (call("search"), by_key(KEY_ID), [by_key("0123456780"), told.clone()]),
        (call("search").with_token(&token), signed_in("ses_1"), [signed_in("ses_2"), by_key(KEY_ID)]),
        (call("search").with_token("opaque"), told, [by_key(KEY_ID), signed_in("ses_1")]),
    ] {
        let mut gateway = Gateway::ready();
        for (caller, served) in others.into_iter().map(|caller| (caller, false)).chain([(own, true)]) {
            let stream = gateway.open(&request);
            gateway.send_body(stream, &request.body);
            let (id, _) = gateway.lease_call();
            let mut lease = granted(&[]);
            lease["caller"] = caller.clone();
            gateway.answer(id, &lease);
            match gateway.resume(stream) {
                Step::Forward { .. } => assert!(served, "{caller}"),
                step => assert!(!served && reply(step).status == 503, "{caller}"),
            }
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn replies_that_the_token_service_did_not_make_decide_nothing() {
    let mut gateway = Gateway::ready();
    let request = call("search");
    for outcome in [
        CallOutcome::Failed,
        CallOutcome::Replied { headers: vec![], body: vec![] },
        CallOutcome::Replied {
            headers: vec![(b":status".to_vec(), b"200".to_vec())],
            body: granted(&[]).to_string().into_bytes(),
        },
    ] {
        let stream = gateway.open(&request);
        gateway.send_body(stream, &request.body);
        let (id, _) = gateway.lease_call();
        gateway.outcome(id, outcome);
        assert_eq!(reply(gateway.resume(stream)).status, 503);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn heads_that_are_refused_at_once() {
    let good = call("search");
    for (change, status, details) in [
        ((":path", "/demo"), 404, "unknown_server"),
        ((":authority", "evil.example"), 421, "host_not_allowed"),
        (("origin", "https://evil.example"), 403, "origin_not_allowed"),
        (("x-portcullis-api-key", "pcl_test_x"), 401, "misspelt_api_key"),
        ((":method", "PUT"), 405, "method_not_allowed"),
        (("content-type", "text/plain"), 415, ""),
        (("content-encoding", "gzip"), 415, ""),
        (("content-length", "99999999"), 413, "request_too_large"),
        (("mcp-method", "caf\u{e9}"), 400, ""),
    ] {
        let mut gateway = Gateway::with_lease(&[]);
        let step = gateway.open_step(&good.with(change.0, change.1));
        let reply = reply(step);
        assert_eq!(reply.status, status, "{change:?}");
        assert!(reply.details.ends_with(details), "{change:?}: {}", reply.details);
        assert!(body_of(&reply)["error"]["message"].is_string());
        assert_eq!(reply.headers.iter().any(|(name, _)| name == "www-authenticate"), status == 401);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn get_and_delete_belong_to_legacy_sessions() {
    for method in ["GET", "DELETE"] {
        let mut gateway = Gateway::with_lease(&[]);
        let head = call("search").with(":method", method).without("mcp-method").without("mcp-name");
        let legacy = head.with("mcp-protocol-version", "2025-11-25").with("mcp-session-id", "abc");
        let Step::Forward { headers, .. } = gateway.open_bodiless(&legacy) else { panic!("forwarded") };
        assert_eq!(header(&headers, "mcp-session-id"), Some("abc"));
        assert_eq!(header(&headers, ":method"), Some(method));
        assert_eq!(reply(gateway.open_bodiless(&head)).status, 405, "modern has POST only");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_body_over_the_limit_is_refused_before_it_is_complete() {
    let mut gateway = Gateway::with_lease(&[]);
    let request = call("search").without("content-length");
    let stream = gateway.open(&request);
    let step = gateway.send_size(stream, 5 * 1024 * 1024);
    assert_eq!((reply(step).status), 413);
}

#[wasm_bindgen_test(unsupported = test)]
fn lists_are_filtered_and_a_cut_list_never_passes() {
    let mut gateway = Gateway::with_lease(&denying("delete_*"));
    let request = Request::new("tools/list", &json!({}));
    let stream = gateway.open(&request);
    assert!(matches!(gateway.send_body(stream, &request.body), Step::Forward { .. }));
    let head = gateway
        .respond(stream, &[(":status", "200"), ("content-type", "application/json"), ("set-cookie", "a=b")]);
    let ResponseHead::Replace(headers) = head else { panic!("replaced: {head:?}") };
    assert_eq!(header(&headers, "set-cookie"), None);
    let body = br#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[{"name":"search","inputSchema":{}},{"name":"delete_all","inputSchema":{}}],"nextCursor":"2"}}"#;
    let (first, rest) = body.split_at(60);
    assert_eq!(gateway.response_body(stream, first, false), ResponseChunk::Replace(Vec::new()));
    let ResponseChunk::Replace(filtered) = gateway.response_body(stream, rest, true) else {
        panic!("replaced")
    };
    let filtered: serde_json::Value = serde_json::from_slice(&filtered).expect("JSON");
    assert_eq!(filtered["result"]["tools"], json!([{"name": "search", "inputSchema": {}}]));
    assert_eq!(filtered["result"]["nextCursor"], "2");
    assert_eq!(filtered["result"]["cacheScope"], "private");
    assert!(!gateway.record(stream)["response"].contains("delete_all"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_failing_upstream_is_answered_for_in_the_protocol() {
    let mut gateway = Gateway::with_lease(&[]);
    let request = call("search");
    let stream = gateway.open(&request);
    gateway.send_body(stream, &request.body);
    let head = gateway.respond(stream, &[(":status", "503"), ("content-type", "text/plain")]);
    let ResponseHead::Reply(reply) = head else { panic!("replaced") };
    assert_eq!((reply.status, reply.details.as_str()), (503, "portcullis_upstream_failed"));
    assert_eq!(body_of(&reply)["id"], 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_an_upstream_says_to_sign_in_stays_here() {
    let mut gateway = Gateway::with_lease(&[]);
    let request = call("search");
    let stream = gateway.open(&request);
    gateway.send_body(stream, &request.body);
    let head = gateway.respond(stream, &[(":status", "401"), ("www-authenticate", "Bearer realm=x")]);
    let ResponseHead::Reply(reply) = head else { panic!("refused") };
    assert_eq!((reply.status, body_of(&reply)["id"].clone()), (502, json!(1)));
    assert_eq!(gateway.record(stream)["decision"], "allow");
}

const UNKNOWN: &[u8] = br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"tool not found"}}"#;
const REWORDED: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool: search"}}"#;

#[wasm_bindgen_test(unsupported = test)]
fn an_unknown_tool_is_answered_as_a_denied_one() {
    let mut strict = Gateway::with_lease(&denying("search"));
    let request = call("search");
    let stream = strict.open(&request);
    let denied = reply(strict.send_body(stream, &request.body));
    for chunks in [vec![UNKNOWN], vec![&UNKNOWN[..9], &UNKNOWN[9..], b""], vec![UNKNOWN, b""]] {
        let mut gateway = Gateway::with_lease(&[]);
        let stream = let_go(&mut gateway, &request);
        let head = [(":status", "400"), JSON, ("content-length", "76"), ("mcp-session-id", "s")];
        assert_eq!(gateway.respond(stream, &head), ResponseHead::Hold);
        let (last, first) = chunks.split_last().expect("a chunk");
        for chunk in first {
            assert_eq!(gateway.response_body(stream, chunk, false), ResponseChunk::Replace(vec![]));
            assert_eq!(gateway.take_head(stream), None);
        }
        let ResponseChunk::Replace(body) = gateway.response_body(stream, last, true) else {
            panic!("replaced")
        };
        assert_eq!(String::from_utf8(body).expect("text"), REWORDED);
        let length = REWORDED.len().to_string();
        let head = gateway.take_head(stream).expect("the head");
        assert_eq!(
            (header(&head, ":status"), header(&head, "content-length")),
            (Some("200"), Some(&*length))
        );
        for (name, value) in &denied.headers {
            assert_eq!(header(&head, name), Some(value.as_str()));
        }
        assert_eq!(head.len(), denied.headers.len() + 2, "nothing of the upstream's head is left");
        assert_eq!(gateway.take_head(stream), None, "it goes once");
        assert_eq!(denied.body, REWORDED.as_bytes());
        let record = gateway.record(stream);
        assert_eq!((&*record["decision"], &*record["error_code"]), ("allow", "-32602"));
        assert_eq!(record["response"], REWORDED);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn other_answers_keep_the_head_that_waited() {
    let answer: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    for (chunks, last) in [
        (vec![answer], ResponseChunk::Keep),
        (vec![&answer[..5], &answer[5..]], ResponseChunk::Replace(answer.to_vec())),
        (vec![b"<html>".as_slice()], ResponseChunk::Keep),
    ] {
        let mut gateway = Gateway::with_lease(&[]);
        let stream = let_go(&mut gateway, &call("search"));
        let head = [(":status", "404"), JSON, ("mcp-session-id", "s")];
        assert_eq!(gateway.respond(stream, &head), ResponseHead::Hold);
        let (end, before) = chunks.split_last().expect("a chunk");
        for chunk in before {
            assert_eq!(gateway.response_body(stream, chunk, false), ResponseChunk::Replace(vec![]));
        }
        assert_eq!(gateway.response_body(stream, end, true), last);
        let head = gateway.take_head(stream).expect("the head");
        assert_eq!((header(&head, ":status"), header(&head, "mcp-session-id")), (Some("404"), Some("s")));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_body_too_long_for_such_an_answer_waits_no_longer() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = let_go(&mut gateway, &call("search"));
    let declared = [(":status", "200"), JSON, ("content-length", "70000")];
    assert!(matches!(gateway.respond(stream, &declared), ResponseHead::Replace(_)));
    let stream = let_go(&mut gateway, &call("search"));
    assert_eq!(gateway.respond(stream, &[(":status", "200"), JSON]), ResponseHead::Hold);
    let (first, second) = (vec![b' '; 40_000], vec![b'\n'; 300_000]);
    assert_eq!(gateway.response_body(stream, &first, false), ResponseChunk::Replace(vec![]));
    assert_eq!(gateway.take_head(stream), None);
    let both = [first, second].concat();
    assert_eq!(gateway.response_body(stream, &both[40_000..], false), ResponseChunk::Replace(both));
    assert!(gateway.take_head(stream).is_some());
    assert_eq!(gateway.response_body(stream, UNKNOWN, true), ResponseChunk::Keep);
}

#[wasm_bindgen_test(unsupported = test)]
fn only_answers_about_one_name_wait() {
    for (request, head) in [
        (Request::new("tools/list", &json!({})), [(":status", "200"), JSON]),
        (Request::new("server/discover", &json!({})), [(":status", "404"), JSON]),
        (call("search"), [(":status", "200"), ("content-type", "text/event-stream")]),
        (call("search"), [(":status", "404"), ("content-type", "text/html")]),
    ] {
        let mut gateway = Gateway::with_lease(&[]);
        let stream = let_go(&mut gateway, &request);
        assert!(matches!(gateway.respond(stream, &head), ResponseHead::Replace(_)), "{head:?}");
    }
}
