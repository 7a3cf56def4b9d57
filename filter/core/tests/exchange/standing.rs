//! Responses that are under way when their caller's access changes.

use portcullis_filter_core::step::{Effect, ResponseBody, ResponseChunk, ResponseHead, Step};
use portcullis_wire::watch::Invalidation;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{
    Gateway, JSON, KEY_ID, Request, body_of, call, connect_required, denying, granted, granted_by_connection,
    let_go, replied, reply,
};

const EVENTS: [(&str, &str); 2] = [(":status", "200"), ("content-type", "text/event-stream")];
/// What the filter's configuration bears.
const BUDGET_MS: u64 = 60_000;
const PROGRESS: &[u8] = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";

fn denied() -> Value {
    json!({"result": "denied", "reason": "disabled_credential"})
}

/// A lease that was decided after all invalidations of a story.
fn later(mut lease: Value) -> Value {
    lease["revision"] = 99.into();
    lease
}

fn by_key() -> Vec<Invalidation> {
    vec![Invalidation::Key(KEY_ID.into())]
}

/// A call whose answer streams, with one event that has passed.
fn streaming(gateway: &mut Gateway, request: &Request) -> u32 {
    let stream = let_go(gateway, request);
    assert!(matches!(gateway.respond(stream, &EVENTS), ResponseHead::Replace(_)));
    assert_eq!(gateway.response_body(stream, PROGRESS, false), ResponseChunk::Keep);
    stream
}

/// A stream whose next event is held back, and the call that asks about it.
fn doubted(gateway: &mut Gateway) -> (u32, u64) {
    let stream = streaming(gateway, &call("search"));
    gateway.news(&by_key());
    assert_eq!(gateway.response_event(stream, PROGRESS, false), ResponseBody::Hold);
    let (id, question) = gateway.lease_call();
    assert_eq!(question["rejected"], Value::Null);
    (stream, id)
}

/// The message in the last bytes of a stream.
fn last_message(step: Step) -> Value {
    let Step::Respond { head: None, body: Some(body) } = step else { panic!("last bytes, not {step:?}") };
    message(&body)
}

fn message(event: &[u8]) -> Value {
    let text = std::str::from_utf8(event).expect("text");
    let data = text.trim_start_matches('\n').strip_prefix("data: ").expect("an event");
    serde_json::from_str(data.strip_suffix("\n\n").expect("a whole event")).expect("JSON")
}

#[track_caller]
fn assert_revoked(message: &Value) {
    assert_eq!(message["id"], 1);
    assert_eq!(message["error"]["code"], -31001);
    assert_eq!(message["error"]["data"]["reason"], "revoked");
    assert!(message["error"]["message"].as_str().is_some_and(|text| text.contains("Try again")));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_names_somebody_else_asks_nothing() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = streaming(&mut gateway, &call("search"));
    gateway.news(&[Invalidation::Key("k2".into()), Invalidation::Session(KEY_ID.into())]);
    assert_eq!(gateway.response_body(stream, PROGRESS, false), ResponseChunk::Keep);
    assert!(gateway.tick().is_empty(), "nothing is asked");
}

#[wasm_bindgen_test(unsupported = test)]
fn whatever_access_rests_on_a_stream_ends_with_its_next_event() {
    for name in [
        Invalidation::Member("m1".into()),
        Invalidation::Key(KEY_ID.into()),
        Invalidation::Workspace("w1".into()),
        Invalidation::Server("s1".into()),
        Invalidation::Connection("c1".into()),
        Invalidation::All,
    ] {
        let mut gateway = Gateway::knowing(&granted_by_connection(1));
        let stream = streaming(&mut gateway, &call("search"));
        gateway.news(std::slice::from_ref(&name));
        assert_eq!(gateway.response_event(stream, PROGRESS, false), ResponseBody::Hold, "{name:?}");
        let (id, _) = gateway.lease_call();
        assert_eq!(gateway.answer(id, &denied()), [stream]);
        assert_revoked(&last_message(gateway.resume(stream)));
        gateway.tick();
        assert_eq!(gateway.ended, [stream], "it ends once its last event has left");
        let nothing = ResponseBody::Chunk(ResponseChunk::Replace(vec![]));
        assert_eq!(gateway.response_event(stream, PROGRESS, false), nothing);
        let record = gateway.record(stream);
        assert_eq!(
            (&*record["decision"], &*record["rule"], &*record["ended"]),
            ("allow", "revoked", "revoked")
        );
        assert_eq!(record["error_code"], "-31001");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_still_granted_goes_on_with_all_that_came_meanwhile() {
    let mut gateway = Gateway::with_lease(&[]);
    let (stream, id) = doubted(&mut gateway);
    assert_eq!(gateway.response_event(stream, b"data: {\"id\":1,\"res", false), ResponseBody::Hold);
    assert_eq!(gateway.response_event(stream, b"ult\":{}}\n\n", true), ResponseBody::Hold);
    assert_eq!(gateway.answer(id, &later(granted(&[]))), [stream]);
    let whole = [PROGRESS, b"data: {\"id\":1,\"result\":{}}\n\n"].concat();
    assert_eq!(gateway.resume(stream), Step::Respond { head: None, body: Some(whole) });
    assert_eq!(gateway.resume(stream), Step::Done, "woken for nothing");
    assert!(gateway.record(stream)["response"].contains("result"));
    assert!(gateway.ended.is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_that_goes_on_is_not_asked_about_again() {
    let mut gateway = Gateway::with_lease(&[]);
    let (stream, id) = doubted(&mut gateway);
    gateway.answer(id, &later(granted(&[])));
    assert!(matches!(gateway.resume(stream), Step::Respond { .. }));
    assert_eq!(gateway.response_body(stream, PROGRESS, false), ResponseChunk::Keep);
    assert!(gateway.tick().is_empty());
    // The next change is another matter.
    gateway.news(&by_key());
    assert_eq!(gateway.response_event(stream, PROGRESS, false), ResponseBody::Hold);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tool_that_is_denied_by_now_ends_its_call() {
    let mut gateway = Gateway::with_lease(&[]);
    let (stream, id) = doubted(&mut gateway);
    gateway.answer(id, &later(granted(&denying("search"))));
    assert_revoked(&last_message(gateway.resume(stream)));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_is_judged_by_the_policy_of_now() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = streaming(&mut gateway, &Request::new("tools/list", &json!({})));
    gateway.news(&by_key());
    let tools =
        json!({"tools": [{"name": "search", "inputSchema": {}}, {"name": "delete_all", "inputSchema": {}}]});
    let event = format!("data: {}\n\n", json!({"jsonrpc": "2.0", "id": 1, "result": tools}));
    assert_eq!(gateway.response_event(stream, event.as_bytes(), false), ResponseBody::Hold);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &later(granted(&denying("delete_*"))));
    let list = last_message(gateway.resume(stream)).to_string();
    assert!(list.contains("search") && !list.contains("delete_all"), "{list}");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_event_whose_first_lines_have_passed_does_not_run_into_the_last_one() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = streaming(&mut gateway, &call("search"));
    assert_eq!(gateway.response_body(stream, b"id: 7\n", false), ResponseChunk::Keep);
    assert_eq!(gateway.response_body(stream, b"data: {\"half", false), ResponseChunk::Replace(vec![]));
    gateway.news(&by_key());
    assert_eq!(gateway.response_event(stream, b"\":1}\n\n", false), ResponseBody::Hold);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &denied());
    let Step::Respond { body: Some(body), .. } = gateway.resume(stream) else { panic!("last bytes") };
    assert!(body.starts_with(b"\ndata: "), "{}", String::from_utf8_lossy(&body));
    assert_revoked(&message(&body));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_that_has_not_begun_is_replaced() {
    let result = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let head = [(":status", "200"), JSON];
    // The change comes before the head, and before the body.
    for at_head in [true, false] {
        for (answer, status) in [(denied(), Some(403)), (later(granted(&[])), None)] {
            let mut gateway = Gateway::with_lease(&[]);
            let stream = let_go(&mut gateway, &call("search"));
            if at_head {
                gateway.news(&by_key());
            }
            assert_eq!(gateway.respond(stream, &head), ResponseHead::Hold);
            if !at_head {
                gateway.news(&by_key());
            }
            assert_eq!(gateway.response_event(stream, result, true), ResponseBody::Hold);
            let (id, _) = gateway.lease_call();
            assert_eq!(gateway.answer(id, &answer), [stream]);
            let step = gateway.resume(stream);
            if let Some(status) = status {
                let reply = reply(step);
                assert_eq!((reply.status, reply.details.as_str()), (status, "portcullis_revoked"));
                assert_revoked(&body_of(&reply));
            } else {
                let Step::Respond { head: Some(head), body: Some(body) } = step else { panic!("{step:?}") };
                assert!(head.contains(&(b":status".to_vec(), b"200".to_vec())));
                assert_eq!(body, result);
            }
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_head_without_a_body_waits_too() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = let_go(&mut gateway, &call("search"));
    gateway.news(&by_key());
    assert_eq!(gateway.respond_whole(stream, &[(":status", "202")], true), ResponseHead::Hold);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &later(granted(&[])));
    assert!(matches!(gateway.resume(stream), Step::Respond { head: Some(_), body: None }));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_long_answer_that_has_begun_is_cut() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = let_go(&mut gateway, &call("search"));
    let head = [(":status", "200"), JSON, ("content-length", "1000000")];
    assert!(matches!(gateway.respond(stream, &head), ResponseHead::Replace(_)));
    assert_eq!(gateway.response_body(stream, b"{\"jsonrpc\":", false), ResponseChunk::Keep);
    gateway.news(&by_key());
    assert_eq!(gateway.response_event(stream, b"\"2.0\",", false), ResponseBody::Hold);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &denied());
    assert_eq!(gateway.resume(stream), Step::Cut);
    assert_eq!(gateway.record(stream)["ended"], "revoked");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_list_of_which_nothing_has_passed_becomes_the_error() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = let_go(&mut gateway, &Request::new("tools/list", &json!({})));
    assert!(matches!(gateway.respond(stream, &[(":status", "200"), JSON]), ResponseHead::Replace(_)));
    assert_eq!(gateway.response_body(stream, b"{\"jsonrpc\":", false), ResponseChunk::Replace(vec![]));
    gateway.news(&by_key());
    assert_eq!(gateway.response_event(stream, b"\"2.0\"}", true), ResponseBody::Hold);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &denied());
    let Step::Respond { head: None, body: Some(body) } = gateway.resume(stream) else { panic!("a body") };
    assert_revoked(&serde_json::from_slice(&body).expect("JSON"));
    gateway.tick();
    assert!(gateway.ended.is_empty(), "it is whole, and ends by itself");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_reset_makes_every_stream_ask() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = streaming(&mut gateway, &call("search"));
    gateway.news(&[Invalidation::All]);
    assert_eq!(gateway.response_event(stream, PROGRESS, false), ResponseBody::Hold);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_service_that_cannot_tell_is_asked_again_and_not_for_ever() {
    let mut gateway = Gateway::with_lease(&[]);
    let (stream, id) = doubted(&mut gateway);
    let later = json!({"result": "unavailable", "retry_after_ms": 1});
    gateway.answer(id, &later);
    assert_eq!(gateway.resume(stream), Step::Wait);
    for second in 1..=10 {
        assert_eq!(gateway.response_event(stream, b": more\n", false), ResponseBody::Hold);
        gateway.pass_ms(1_000);
        assert!(gateway.tick().contains(&Effect::Wake(vec![stream])), "woken to ask again");
        assert_eq!(gateway.resume(stream), Step::Wait);
        let (id, _) = gateway.lease_call();
        gateway.answer(id, &later);
        if second < 10 {
            assert_eq!(gateway.resume(stream), Step::Wait);
            gateway.news(&[]);
        }
    }
    let message = last_message(gateway.resume(stream));
    assert_eq!((&message["id"], &message["error"]["code"]), (&json!(1), &json!(-31003)));
    assert_eq!(gateway.record(stream)["ended"], "unverified");
}

#[wasm_bindgen_test(unsupported = test)]
fn silence_ends_streams_when_their_workspace_bears_it_no_longer() {
    let strict = |ms: u64| {
        let mut lease = granted(&[]);
        lease["terms"] = json!({"serve_stale_ms": ms});
        lease
    };
    // All is verified for three seconds after the last word.
    for (lease, bears_ms) in [(strict(0), 3_000), (strict(4_000), 7_000), (granted(&[]), 3_000 + BUDGET_MS)] {
        let mut gateway = Gateway::knowing(&lease);
        let stream = streaming(&mut gateway, &call("search"));
        gateway.pass_ms(bears_ms);
        gateway.tick();
        assert_eq!(gateway.response_body(stream, PROGRESS, false), ResponseChunk::Keep, "{bears_ms}");
        let request = call("search");
        let served = gateway.open(&request);
        assert!(matches!(gateway.send_body(served, &request.body), Step::Forward { .. }));
        let stale = (bears_ms > 3_000).then_some("true");
        assert_eq!(gateway.record(served).get("stale").map(String::as_str), stale);
        gateway.pass_ms(1);
        gateway.tick();
        let last = gateway.response_event(stream, PROGRESS, false);
        let ResponseBody::Chunk(ResponseChunk::Replace(last)) = last else {
            panic!("the last bytes: {last:?}")
        };
        assert_eq!(message(&last)["error"]["code"], -31003);
        gateway.tick();
        assert_eq!(gateway.ended, [stream]);
        let refused = reply(gateway.open_step(&request));
        assert_eq!((refused.status, refused.details.as_str()), (503, "portcullis_token_service_unavailable"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_held_back_is_bounded_and_given_back() {
    let mut gateway = Gateway::with_lease(&[]);
    let room = gateway.room();
    let (stream, _) = doubted(&mut gateway);
    assert!(gateway.room() < room);
    let chunk = vec![b'x'; 1024 * 1024];
    let mut last = ResponseBody::Hold;
    for _ in 0..64 {
        last = gateway.response_event(stream, &chunk, false);
        if last != ResponseBody::Hold {
            break;
        }
    }
    let ResponseBody::Chunk(ResponseChunk::Replace(last)) = last else { panic!("the last bytes: {last:?}") };
    assert_eq!(message(&last)["error"]["code"], -31003);
    assert_eq!(gateway.room(), room);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_client_that_leaves_takes_its_doubt_along() {
    let mut gateway = Gateway::with_lease(&[]);
    let room = gateway.room();
    let (stream, id) = doubted(&mut gateway);
    gateway.leave(stream);
    assert_eq!(gateway.answer(id, &denied()), [0; 0]);
    assert_eq!(gateway.room(), room);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_account_that_is_taken_away_ends_its_stream() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    let stream = streaming(&mut gateway, &call("search"));
    gateway.news(&[Invalidation::Connection("c1".into())]);
    assert_eq!(gateway.response_event(stream, PROGRESS, false), ResponseBody::Hold);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &later(connect_required(&[])));
    assert_revoked(&last_message(gateway.resume(stream)));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_services_own_answer_goes_on_when_the_account_is_there() {
    let mut gateway = Gateway::knowing(&connect_required(&[]));
    let stream = let_go(&mut gateway, &call("search"));
    gateway.news(&[Invalidation::Connection("c1".into())]);
    let head = [(":status", "200"), JSON, ("x-portcullis-service", "1")];
    assert_eq!(gateway.respond(stream, &head), ResponseHead::Hold);
    let body = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    assert_eq!(gateway.response_event(stream, body, true), ResponseBody::Hold);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &later(granted_by_connection(1)));
    assert!(matches!(gateway.resume(stream), Step::Respond { head: Some(_), body: Some(_) }));
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_to_a_request_that_was_sent_again_waits_too() {
    let result = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    for (answer, status) in [(denied(), 403), (later(granted_by_connection(2)), 200)] {
        let mut gateway = Gateway::knowing(&granted_by_connection(1));
        let stream = let_go(&mut gateway, &call("search"));
        assert_eq!(gateway.respond(stream, &[(":status", "401")]), ResponseHead::Hold);
        let (id, _) = gateway.lease_call();
        gateway.answer(id, &granted_by_connection(2));
        gateway.resume(stream);
        let again = gateway.take_call("/mcp");
        gateway.news(&by_key());
        assert_eq!(gateway.outcome(again.id, replied(&[(":status", "200"), JSON], result)), [stream]);
        assert_eq!(gateway.resume(stream), Step::Wait);
        let (id, _) = gateway.lease_call();
        gateway.answer(id, &answer);
        assert_eq!(reply(gateway.resume(stream)).status, status);
    }
}
