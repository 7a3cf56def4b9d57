//! Credentials that an upstream refuses: renewed, and the request sent once more.

use portcullis_filter_core::step::{Call, CallOutcome, Destination, ResponseChunk, ResponseHead, Step};
use portcullis_wire::watch::Invalidation;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{
    Gateway, JSON, KEY_ID, Request, body_of, call, connect_required, denying, granted, granted_by_connection,
    header, key_id, legacy_call, let_go, marked, replied, reply,
};

const CHALLENGE: &str = r#"Bearer error="invalid_token""#;
const REFUSED: [(&str, &str); 2] = [(":status", "401"), ("www-authenticate", CHALLENGE)];
const RESULT: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

/// A call that was let go and whose credential was refused.
fn refused(gateway: &mut Gateway, request: &Request) -> u32 {
    let stream = let_go(gateway, request);
    assert_eq!(gateway.respond(stream, &REFUSED), ResponseHead::Hold);
    stream
}

/// The renewal that is asked for, answered so.
fn renew(gateway: &mut Gateway, lease: &Value) -> Vec<u32> {
    let (id, question) = gateway.lease_call();
    assert_eq!(question["rejected"]["connection_id"], "c1");
    gateway.answer(id, lease)
}

fn replay(gateway: &mut Gateway) -> Call {
    let call = gateway.take_call("/mcp");
    assert_eq!(call.destination, Destination::Upstream);
    call
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_call_is_sent_again_with_the_renewed_credential() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    let request = call("search");
    let stream = refused(&mut gateway, &request);
    assert_eq!(gateway.response_body(stream, b"who are you", true), ResponseChunk::Replace(vec![]));
    let (id, question) = gateway.lease_call();
    let rejected = json!({"connection_id": "c1", "generation": 1, "status": 401, "challenge": CHALLENGE});
    assert_eq!(question["rejected"], rejected);
    assert_eq!(gateway.answer(id, &granted_by_connection(2)), [stream]);
    assert_eq!(gateway.resume(stream), Step::Wait);
    let again = replay(&mut gateway);
    assert_eq!(again.body, request.body);
    for (name, value) in [
        (":authority", "mcp.example"),
        ("authorization", "Bearer of-generation-2"),
        ("x-portcullis-upstream", "tls"),
        ("mcp-name", "search"),
    ] {
        assert_eq!(header(&again.headers, name), Some(value));
    }
    let head = [(":status", "200"), JSON, ("content-length", "49"), ("set-cookie", "a=b"), ("mcp-x", "1")];
    assert_eq!(gateway.outcome(again.id, replied(&head, RESULT)), [stream]);
    let answer = reply(gateway.resume(stream));
    assert_eq!((answer.status, answer.body.as_slice()), (200, RESULT));
    let headers = [("content-type", "application/json"), ("mcp-x", "1")];
    assert_eq!(answer.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(answer.details, "portcullis_credential_renewed");
    let record = gateway.record(stream);
    assert_eq!((&*record["decision"], &*record["rule"]), ("allow", "credential_renewed"));
    // From now on the cache has the renewed one.
    let stream = gateway.open(&request);
    let Step::Forward { headers, .. } = gateway.send_body(stream, &request.body) else { panic!("forwarded") };
    assert_eq!(header(&headers, "authorization"), Some("Bearer of-generation-2"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_second_answer_is_judged_like_a_first() {
    let mut lease = granted_by_connection(2);
    lease["policy"] = json!({"levels": denying("delete_*")});
    let list =
        json!({"tools": [{"name": "search", "inputSchema": {}}, {"name": "delete_all", "inputSchema": {}}]});
    let list = json!({"jsonrpc": "2.0", "id": 1, "result": list}).to_string();
    let echo =
        json!({"jsonrpc": "2.0", "id": 1, "result": {"content": "Bearer of-generation-2"}}).to_string();
    let unknown = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"tool not found"}}"#;
    for (request, body, has, has_not) in [
        (Request::new("tools/list", &json!({})), list, "search", "delete_all"),
        (call("search"), echo, "content", "of-generation-2"),
        (call("search"), unknown.to_owned(), "Unknown tool: search", "not found"),
    ] {
        let mut gateway = Gateway::knowing(&granted_by_connection(1));
        let stream = refused(&mut gateway, &request);
        renew(&mut gateway, &lease);
        gateway.resume(stream);
        let again = replay(&mut gateway);
        gateway.outcome(again.id, replied(&[(":status", "200"), JSON], body.as_bytes()));
        let answer = reply(gateway.resume(stream));
        let text = String::from_utf8(answer.body).expect("text");
        assert!(text.contains(has) && !text.contains(has_not), "{text}");
        assert_eq!(answer.status, 200);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_second_refusal_asks_once_more_and_then_never_again() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    let request = call("search");
    let stream = refused(&mut gateway, &request);
    renew(&mut gateway, &granted_by_connection(2));
    gateway.resume(stream);
    let again = replay(&mut gateway);
    gateway.outcome(again.id, replied(&REFUSED, b""));
    assert_eq!(gateway.resume(stream), Step::Wait);
    let (id, question) = gateway.lease_call();
    assert_eq!(question["rejected"]["generation"], 2);
    gateway.answer(id, &granted_by_connection(3));
    let reply = reply(gateway.resume(stream));
    assert_eq!((reply.status, reply.details.as_str()), (503, "portcullis_credential_renewed"));
    assert!(reply.headers.contains(&("retry-after".into(), "1".into())));
    assert!(gateway.tick().is_empty(), "no third call");
    assert_eq!(gateway.record(stream)["decision"], "error");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_renewed_ends_in_the_token_services_answer() {
    for second in [false, true] {
        let mut gateway = Gateway::knowing(&granted_by_connection(1));
        let request = call("search");
        let stream = refused(&mut gateway, &request);
        if second {
            renew(&mut gateway, &granted_by_connection(2));
            gateway.resume(stream);
            let again = replay(&mut gateway);
            gateway.outcome(again.id, replied(&REFUSED, b""));
            gateway.resume(stream);
        }
        renew(&mut gateway, &connect_required(&[]));
        assert_eq!(gateway.resume(stream), Step::Wait);
        let asked = gateway.take_call("/v1/unconnected");
        assert_eq!((asked.destination, &asked.body), (Destination::TokenService, &request.body));
        assert_eq!(header(&asked.headers, "x-portcullis-handle"), Some("handle-1"));
        assert_eq!(header(&asked.headers, "authorization"), None);
        assert_eq!(header(&asked.headers, "x-portcullis-upstream"), None);
        let link = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": "https://gw/connect/t1cket"}});
        gateway.outcome(asked.id, marked("200", &link));
        let answer = reply(gateway.resume(stream));
        assert_eq!((answer.status, body_of(&answer)), (200, link));
        assert_eq!(answer.details, "portcullis_connect_required");
        let record = gateway.record(stream);
        assert_eq!(record["decision"], "connect_required");
        assert!(!record["response"].contains("t1cket"), "{record:?}");
        // And the next request goes there at once.
        let stream = gateway.open(&request);
        let Step::Forward { headers, .. } = gateway.send_body(stream, &request.body) else {
            panic!("forwarded")
        };
        assert_eq!(header(&headers, "x-portcullis-upstream"), Some("service"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn how_a_renewal_fails() {
    let same = granted_by_connection(1);
    let later = json!({"result": "unavailable", "retry_after_ms": 3_000});
    let denied = json!({"result": "denied", "reason": "disabled_credential"});
    for (answer, status, details) in [
        (same, 502, "portcullis_upstream_unauthorized"),
        (later, 503, "portcullis_credential_not_renewed"),
        (denied, 401, "portcullis_disabled_credential"),
    ] {
        let mut gateway = Gateway::knowing(&granted_by_connection(1));
        let stream = refused(&mut gateway, &call("search"));
        renew(&mut gateway, &answer);
        let reply = reply(gateway.resume(stream));
        assert_eq!((reply.status, reply.details.as_str()), (status, details));
        assert!(gateway.tick().is_empty(), "{details}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn how_a_second_try_fails() {
    for (outcome, status, details) in [
        (CallOutcome::Failed, 502, "portcullis_upstream_failed"),
        (CallOutcome::TooLarge, 502, "portcullis_upstream_too_large"),
        (
            replied(&[(":status", "503"), ("content-type", "text/plain")], b"no"),
            503,
            "portcullis_upstream_failed",
        ),
        (replied(&[(":status", "302"), ("location", "/")], b""), 502, "portcullis_upstream_redirected"),
    ] {
        let mut gateway = Gateway::knowing(&granted_by_connection(1));
        let stream = refused(&mut gateway, &call("search"));
        renew(&mut gateway, &granted_by_connection(2));
        gateway.resume(stream);
        let again = replay(&mut gateway);
        gateway.outcome(again.id, outcome);
        let reply = reply(gateway.resume(stream));
        assert_eq!((reply.status, reply.details.as_str()), (status, details));
        assert_eq!(body_of(&reply)["id"], 1);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn only_what_can_be_sent_again_is() {
    let large = call("search");
    let text = "x".repeat(1024 * 1024);
    let large = Request::new("tools/call", &json!({"name": "search", "arguments": {"text": text}}))
        .with("content-length", &(large.body.len() + text.len()).to_string());
    let get = legacy_call("search").with(":method", "GET").without("content-length");
    for (request, bodiless) in
        [(large, false), (Request::new("subscriptions/listen", &json!({})), false), (get, true)]
    {
        let mut gateway = Gateway::knowing(&granted_by_connection(1));
        let stream = if bodiless {
            assert!(matches!(gateway.open_bodiless(&request), Step::Forward { .. }));
            gateway.last_stream()
        } else {
            let_go(&mut gateway, &request)
        };
        assert_eq!(gateway.respond(stream, &REFUSED), ResponseHead::Hold);
        renew(&mut gateway, &granted_by_connection(2));
        let reply = reply(gateway.resume(stream));
        assert_eq!((reply.status, reply.details.as_str()), (503, "portcullis_credential_renewed"));
        assert!(reply.headers.contains(&("retry-after".into(), "1".into())));
        assert!(gateway.tick().is_empty());
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn kept_bodies_count_in_what_the_worker_holds() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    let room = gateway.room();
    let request = call("search");
    let stream = let_go(&mut gateway, &request);
    assert_eq!(gateway.room(), room - request.body.len());
    gateway.respond(stream, &[(":status", "200"), ("content-type", "text/event-stream")]);
    assert_eq!(gateway.room(), room, "a good answer needs no second try");
    let other = let_go(&mut gateway, &request);
    gateway.leave(other);
    assert_eq!(gateway.room(), room);
}

#[wasm_bindgen_test(unsupported = test)]
fn refusals_of_one_credential_share_a_renewal() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    let request = call("search");
    let (first, second) = (let_go(&mut gateway, &request), let_go(&mut gateway, &request));
    let late = let_go(&mut gateway, &request);
    for stream in [first, second] {
        assert_eq!(gateway.respond(stream, &REFUSED), ResponseHead::Hold);
    }
    assert_eq!(renew(&mut gateway, &granted_by_connection(2)), [first, second]);
    // Refused with the old credential, when there is a new one already: nobody is asked.
    assert_eq!(gateway.respond(late, &REFUSED), ResponseHead::Hold);
    for stream in [late, first, second] {
        if stream != late {
            assert_eq!(gateway.resume(stream), Step::Wait);
        }
        let again = replay(&mut gateway);
        assert_eq!(header(&again.headers, "authorization"), Some("Bearer of-generation-2"));
        assert_eq!(gateway.outcome(again.id, replied(&[(":status", "200"), JSON], RESULT)), [stream]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_older_lease_that_comes_late_does_not_bring_the_refused_credential_back() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    gateway.news(&[Invalidation::Member("nobody".into())]);
    let request = call("search");
    let stream = refused(&mut gateway, &request);
    let (renewal, _) = gateway.lease_call();
    gateway.news(&[Invalidation::Key(KEY_ID.into())]);
    let other = gateway.open(&request);
    gateway.send_body(other, &request.body);
    let (plain, question) = gateway.lease_call();
    assert_eq!(question["rejected"], Value::Null);
    let lease = |generation: u64| {
        let mut lease = granted_by_connection(generation);
        lease["revision"] = 9.into();
        lease
    };
    assert_eq!(gateway.answer(renewal, &lease(2)), [stream]);
    assert_eq!(gateway.answer(plain, &lease(1)), [other]);
    let Step::Forward { headers, .. } = gateway.resume(other) else { panic!("forwarded") };
    assert_eq!(header(&headers, "authorization"), Some("Bearer of-generation-2"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lease_that_was_decided_later_does_not_bring_the_refused_credential_back_either() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    let request = call("search");
    let stream = refused(&mut gateway, &request);
    let (renewal, _) = gateway.lease_call();
    gateway.news(&[Invalidation::Key(KEY_ID.into())]);
    let other = gateway.open(&request);
    gateway.send_body(other, &request.body);
    let (plain, _) = gateway.lease_call();
    let at = |revision: u64, mut answer: Value| {
        answer["revision"] = revision.into();
        answer
    };
    gateway.answer(plain, &at(9, granted_by_connection(1)));
    assert_eq!(gateway.answer(renewal, &at(5, connect_required(&[]))), [0; 0], "asked again");
    let (again, question) = gateway.lease_call();
    assert_eq!(question["rejected"]["generation"], 1);
    assert_eq!(gateway.answer(again, &at(10, connect_required(&[]))), [stream]);
    assert_eq!(gateway.resume(stream), Step::Wait);
    gateway.take_call("/v1/unconnected");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_that_left_leaves_nothing_behind() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    let stream = refused(&mut gateway, &call("search"));
    renew(&mut gateway, &granted_by_connection(2));
    gateway.resume(stream);
    gateway.leave(stream);
    assert!(gateway.tick().is_empty(), "what was queued is not sent");
    let stream = refused(&mut gateway, &call("search"));
    renew(&mut gateway, &granted_by_connection(3));
    gateway.resume(stream);
    let again = replay(&mut gateway);
    gateway.leave(stream);
    assert_eq!(gateway.outcome(again.id, replied(&[(":status", "200"), JSON], RESULT)), [0; 0]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lost_second_try_is_given_up() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    let stream = refused(&mut gateway, &call("search"));
    renew(&mut gateway, &granted_by_connection(2));
    gateway.resume(stream);
    replay(&mut gateway);
    // All the while the token-service is heard of.
    for _ in 0..301 {
        gateway.pass_ms(1_000);
        gateway.news(&[]);
    }
    gateway.tick();
    assert_eq!(reply(gateway.resume(stream)).status, 502);
}

#[wasm_bindgen_test(unsupported = test)]
fn missing_scopes_are_renewed_and_other_refusals_pass() {
    for (status, challenge, held) in [
        ("403", r#"Bearer error="insufficient_scope", scope="write""#, true),
        ("403", r#"Bearer error="forbidden""#, false),
        ("403", "", false),
        ("404", CHALLENGE, false),
    ] {
        let mut gateway = Gateway::knowing(&granted_by_connection(1));
        let stream = let_go(&mut gateway, &call("search"));
        let head = [(":status", status), ("www-authenticate", challenge), ("content-type", "text/plain")];
        match gateway.respond(stream, &head) {
            ResponseHead::Hold => {
                assert!(held, "{status} {challenge}");
                let (_, question) = gateway.lease_call();
                assert_eq!(question["rejected"]["status"], 403);
            }
            ResponseHead::Replace(headers) => {
                assert!(!held, "{status} {challenge}");
                assert_eq!(header(&headers, "www-authenticate"), None);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_long_challenge_is_cut() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    let stream = let_go(&mut gateway, &call("search"));
    let long = "é".repeat(4_000);
    gateway.respond(stream, &[(":status", "401"), ("www-authenticate", &long)]);
    let (_, question) = gateway.lease_call();
    assert_eq!(question["rejected"]["challenge"].as_str().map(str::len), Some(4_096));
}

fn renewing() -> Value {
    json!({"result": "renewing"})
}

/// A call that waits for its lease, and the question.
fn waiting(gateway: &mut Gateway, request: &Request) -> (u32, u64, Value) {
    let stream = gateway.open(request);
    assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
    let (id, question) = gateway.lease_call();
    (stream, id, question)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_credential_that_is_being_renewed_is_waited_for() {
    let mut gateway = Gateway::ready();
    let (stream, id, question) = waiting(&mut gateway, &call("search"));
    assert_eq!(question["wait_ms"], 500);
    assert!(gateway.answer(id, &renewing()).is_empty());
    let (id, question) = gateway.lease_call();
    assert_eq!((&question["wait_ms"], &question["rejected"]), (&json!(11_700), &Value::Null));
    assert_eq!(gateway.answer(id, &granted_by_connection(2)), [stream]);
    let Step::Forward { headers, .. } = gateway.resume(stream) else { panic!("forwarded") };
    assert_eq!(header(&headers, "authorization"), Some("Bearer of-generation-2"));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_credential_that_is_renewed_for_too_long_is_a_503() {
    let mut gateway = Gateway::ready();
    let (stream, id, _) = waiting(&mut gateway, &call("search"));
    assert!(gateway.answer(id, &renewing()).is_empty());
    let (id, _) = gateway.lease_call();
    assert_eq!(gateway.answer(id, &renewing()), [stream]);
    assert_eq!(reply(gateway.resume(stream)).status, 503);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_slow_provider_leaves_room_for_others() {
    let mut gateway = Gateway::ready();
    let mut patient = 0;
    for number in 0..40 {
        let (stream, id, _) = waiting(&mut gateway, &call("search").with_key(number));
        if gateway.answer(id, &renewing()).is_empty() {
            gateway.lease_call();
            patient += 1;
        } else {
            assert_eq!(reply(gateway.resume(stream)).status, 503);
        }
    }
    assert_eq!(patient, 32);
    let (stream, id, _) = waiting(&mut gateway, &call("search").with_key(99));
    let mut lease = granted(&[]);
    lease["caller"]["key_id"] = key_id(99).into();
    assert_eq!(gateway.answer(id, &lease), [stream]);
    assert!(matches!(gateway.resume(stream), Step::Forward { .. }));
}
