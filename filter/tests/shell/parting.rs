//! Headers that go before their body, on a host that shows no body while headers wait.

use crate::fake_host::{self as host, CONTINUE, Event, PAUSE};
use crate::gateway::{
    NEXT_ROOT, ROOT, events, grant, marked, post_headers, replies, stream_from_now_on, take_call, tool_call,
    warm, warm_streaming,
};
use serde_json::json;

/// A stream whose headers have gone.
fn part(id: u32) {
    host::create_stream(id, ROOT);
    assert_eq!(host::request_headers(id, post_headers(), false), CONTINUE);
    assert!(matches!(events(id).as_slice(), [Event::RequestHeaders(_), Event::ClearRouteCache]));
}

fn upstream_answers(id: u32, status: &str, end_of_stream: bool) -> u32 {
    host::with(|host| host.response_details = Some(b"via_upstream".to_vec()));
    let head =
        host::headers(&[(":status", status), ("content-type", "application/json"), ("set-cookie", "a=b")]);
    host::response_headers(id, head, end_of_stream)
}

#[test]
fn a_body_is_held_until_it_is_judged_and_follows() {
    warm_streaming();
    part(11);
    let call = tool_call("echo");
    let (first, last) = call.as_bytes().split_at(20);
    assert_eq!(host::request_body(11, first, false), PAUSE);
    assert_eq!(host::request_body(11, last, true), CONTINUE);
    let events: Vec<Event> = events(11).into_iter().skip(2).collect();
    // Nothing is left with the host that a filter behind this one could let go; and headers cannot be changed any more.
    let expected = [Event::RequestBody(Vec::new()), Event::RequestBody(call.clone().into_bytes())];
    assert_eq!(events, expected);
}

#[test]
fn a_body_that_comes_as_a_whole_is_left_where_it_is() {
    warm_streaming();
    part(11);
    assert_eq!(host::request_body(11, tool_call("echo").as_bytes(), true), CONTINUE);
    assert_eq!(events(11).len(), 2, "{:?}", events(11));
}

#[test]
fn trailers_end_a_body_that_was_taken() {
    warm_streaming();
    part(11);
    let call = tool_call("echo").into_bytes();
    assert_eq!(host::request_body(11, &call, false), PAUSE);
    assert_eq!(host::request_trailers(11, host::headers(&[("x-a", "b")])), CONTINUE);
    let events = events(11);
    assert_eq!(events.last(), Some(&Event::RequestBody(call)), "{events:?}");
    assert!(events.contains(&Event::RequestTrailers(Vec::new())));
}

#[test]
fn a_denied_body_never_follows() {
    warm_streaming();
    part(11);
    assert_eq!(host::request_body(11, tool_call("forbidden").as_bytes(), true), PAUSE);
    assert_eq!(replies(11), [(200, "portcullis_policy_denied".to_owned())]);
    assert_eq!(host::request_body(11, b"", true), PAUSE);
}

#[test]
fn an_answer_before_the_body_is_not_passed_on() {
    warm_streaming();
    for (id, status, end_of_stream) in [(11, "200", false), (12, "401", true)] {
        part(id);
        assert_eq!(host::request_body(id, b"{", false), PAUSE);
        assert_eq!(upstream_answers(id, status, end_of_stream), PAUSE);
        assert_eq!(replies(id), [(503, "portcullis_answered_early".to_owned())]);
        assert_eq!(host::request_body(id, tool_call("echo").as_bytes(), true), PAUSE, "nothing follows");
        host::end(id);
    }
}

#[test]
fn an_answer_to_headers_that_were_given_up_is_nobodys() {
    warm_streaming();
    let state = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "echo", "arguments": {}, "requestState": "pcl-state.x"}});
    part(11);
    assert_eq!(host::request_body(11, state.to_string().as_bytes(), true), PAUSE);
    assert_eq!(upstream_answers(11, "400", true), PAUSE);
    host::tick(ROOT);
    host::answer(&take_call("/v1/states"), Some(marked(&json!({"result": "opened"}))));
    host::tick(ROOT);
    let sent = take_call("/mcp");
    assert!(!String::from_utf8_lossy(&sent.body).contains("pcl-state"));
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}});
    host::answer(&sent, Some(marked(&answer)));
    assert_eq!(replies(11), [(200, "portcullis_sent_late".to_owned())]);
}

#[test]
fn envoys_own_answer_does_not_wait_and_a_failure_takes_the_protocols_form() {
    warm_streaming();
    for (id, status, details, action) in [
        (11, "413", "request_payload_too_large", CONTINUE),
        (12, "503", "upstream_reset_before_response_started", PAUSE),
    ] {
        part(id);
        host::with(|host| host.response_details = Some(details.into()));
        let head = host::headers(&[(":status", status), ("content-type", "text/plain")]);
        assert_eq!(host::response_headers(id, head, false), action, "{status}");
        assert_eq!(host::request_body(id, tool_call("echo").as_bytes(), true), PAUSE, "nothing follows");
    }
    assert!(replies(11).is_empty());
    assert_eq!(replies(12), [(503, "portcullis_upstream_failed".to_owned())]);
}

#[test]
fn what_is_no_endpoint_passes_with_its_body_and_its_answer() {
    warm_streaming();
    host::create_stream(11, ROOT);
    let mut headers = post_headers();
    headers.retain(|(name, _)| name != b":path");
    headers.extend(host::headers(&[(":path", "/sign-in"), ("x-portcullis-upstream", "tls")]));
    assert_eq!(host::request_headers(11, headers, false), CONTINUE);
    let [Event::RequestHeaders(headers), Event::ClearRouteCache] = &events(11)[..] else {
        panic!("{:?}", events(11))
    };
    assert!(!headers.iter().any(|(name, _)| name == b"x-portcullis-upstream"));
    assert_eq!(host::request_body(11, b"a=b", true), CONTINUE);
    assert_eq!(
        host::response_headers(11, host::headers(&[(":status", "200"), ("set-cookie", "a=b")]), false),
        CONTINUE
    );
    assert_eq!(host::response_body(11, b"<html>", true), CONTINUE);
    host::end(11);
    assert_eq!(events(11).len(), 2, "{:?}", events(11));
}

#[test]
fn a_stream_goes_by_the_configuration_that_it_began_under() {
    // Held by a host that would let go of what it has buffered together with the headers.
    warm();
    host::create_stream(11, ROOT);
    assert_eq!(host::request_headers(11, post_headers(), false), PAUSE);
    assert_eq!(host::request_body(11, b"{", false), PAUSE);
    stream_from_now_on();
    assert_eq!(host::request_body(11, tool_call("forbidden").split_at(1).1.as_bytes(), true), PAUSE);
    let passed = events(11).iter().any(|event| matches!(event, Event::RequestHeaders(_) | Event::Continue));
    assert!(!passed, "{:?}", events(11));
    assert_eq!(replies(11), [(200, "portcullis_policy_denied".to_owned())]);
    host::end(11);
    host::create_stream(12, NEXT_ROOT);
    assert_eq!(host::request_headers(12, post_headers(), false), CONTINUE);
}

#[test]
fn a_lease_that_comes_after_a_change_lets_no_held_headers_go() {
    warm();
    host::create_stream(11, ROOT);
    let mut headers = post_headers();
    headers.retain(|(name, _)| name != b":path");
    headers.extend(host::headers(&[(":path", "/core/demo/mcp")]));
    assert_eq!(host::request_headers(11, headers, false), PAUSE);
    assert_eq!(host::request_body(11, b"{", false), PAUSE);
    host::tick(ROOT);
    let asked = take_call("/v1/leases");
    stream_from_now_on();
    grant(&asked);
    assert!(events(11).is_empty(), "{:?}", events(11));
    assert_eq!(host::request_body(11, tool_call("echo").split_at(1).1.as_bytes(), true), CONTINUE);
}
