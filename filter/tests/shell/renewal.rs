//! A refused credential on its way through the shell, and what the token-service said being taken back.

use serde_json::{Value, json};

use crate::fake_host::{self as host, CONTINUE, Call, Event, PAUSE};
use crate::gateway::{
    CLUSTER, ROOT, events, grant, let_go, marked, post, replies, take_call, tool_call, warm,
};

/// A request that was let go and whose credential was refused; the call that sends it again.
fn sent_again(id: u32) -> Call {
    let_go(id);
    let head = host::headers(&[(":status", "401"), ("www-authenticate", "Bearer")]);
    assert_eq!(host::response_headers(id, head, false), PAUSE);
    assert_eq!(host::response_body(id, b"who are you", false), PAUSE);
    assert_eq!(host::response_body(id, b"", true), PAUSE, "not even its end goes on");
    host::tick(ROOT);
    grant(&take_call("/v1/leases"));
    host::tick(ROOT);
    take_call("/mcp")
}

fn answer() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}})
}

#[test]
fn the_second_answer_is_sent_in_place_of_the_refusal() {
    warm();
    let call = sent_again(11);
    assert_eq!((call.cluster.as_str(), call.context), ("replay", ROOT));
    assert_eq!(call.body, tool_call("echo").into_bytes());
    assert_eq!(call.header("x-portcullis-upstream"), "tls");
    host::answer(&call, Some(marked(&answer())));
    let events = events(11);
    let Some(Event::Reply { status: 200, body, details, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!(body, answer().to_string().as_bytes());
    assert_eq!(details, "portcullis_credential_renewed");
    let passed = events.iter().any(|event| matches!(event, Event::ResponseHeaders(_)));
    assert!(!passed && !events.contains(&Event::ResponseBody(b"who are you".to_vec())), "{events:?}");
    host::end(11);
    let_go(12);
}

#[test]
fn trailers_of_the_refusal_do_not_let_it_go() {
    warm();
    let_go(11);
    let head = host::headers(&[(":status", "401")]);
    assert_eq!(host::response_headers(11, head, false), PAUSE);
    assert_eq!(host::response_trailers(11), PAUSE);
    host::tick(ROOT);
    grant(&take_call("/v1/leases"));
    host::tick(ROOT);
    host::answer(&take_call("/mcp"), None);
    assert_eq!(replies(11), [(502, "portcullis_upstream_failed".to_owned())]);
}

#[test]
fn an_answer_that_comes_when_the_client_has_gone_is_nobodys() {
    warm();
    let call = sent_again(11);
    host::end(11);
    host::answer(&call, Some(marked(&answer())));
    assert!(replies(11).is_empty());
    let_go(12);
}

#[test]
fn a_second_answer_that_is_too_long_is_not_read() {
    warm();
    let call = sent_again(11);
    let head = host::headers(&[(":status", "200"), ("content-type", "application/json")]);
    host::answer(&call, Some((head, vec![b' '; 9 * 1024 * 1024])));
    assert_eq!(replies(11), [(502, "portcullis_upstream_too_large".to_owned())]);
}

#[test]
fn a_second_try_that_the_host_refuses_is_an_answer_to_the_client() {
    warm();
    let_go(11);
    let head = host::headers(&[(":status", "401")]);
    assert_eq!(host::response_headers(11, head, true), PAUSE);
    host::tick(ROOT);
    let lease = take_call("/v1/leases");
    host::with(|host| host.fails.insert("proxy_http_call", 2));
    grant(&lease);
    host::tick(ROOT);
    host::tick(ROOT);
    assert_eq!(replies(11), [(502, "portcullis_upstream_failed".to_owned())]);
}

#[test]
fn a_body_in_place_of_the_clients_goes_with_the_headers() {
    warm();
    let message = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "echo", "arguments": {}, "requestState": "pcl-state.1"},
    });
    assert_eq!(post(11, &message.to_string()), PAUSE);
    host::tick(ROOT);
    let call = take_call("/v1/states");
    assert_eq!((call.cluster.as_str(), call.context), (CLUSTER, ROOT));
    host::answer(&call, Some(marked(&json!({"result": "opened"}))));
    let events = events(11);
    let [Event::RequestHeaders(headers), Event::RequestBody(body), Event::ClearRouteCache, Event::Continue] =
        events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(body, tool_call("echo").as_bytes());
    let length = body.len().to_string().into_bytes();
    assert!(headers.contains(&(b"content-length".to_vec(), length)));
}

#[test]
fn a_body_that_the_host_does_not_take_lets_nothing_go() {
    warm();
    let message = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "echo", "arguments": {}, "requestState": "pcl-state.1"},
    });
    assert_eq!(post(11, &message.to_string()), PAUSE);
    host::tick(ROOT);
    let call = take_call("/v1/states");
    host::with(|host| host.fails.insert("proxy_set_buffer_bytes", 2));
    host::answer(&call, Some(marked(&json!({"result": "opened"}))));
    assert!(!events(11).contains(&Event::Continue));
    assert_eq!(replies(11), [(500, "portcullis_internal_error".to_owned())]);
    assert_eq!(host::request_body(11, b"", true), PAUSE);
    host::with(|host| host.fails.clear());
    assert_eq!(post(12, &tool_call("echo")), CONTINUE);
}
