//! Responses that are held back, let on and ended, on their way through the shell.

use serde_json::json;

use crate::fake_host::{self as host, CONTINUE, Event, PAUSE};
use crate::gateway::{KEY_ID, ROOT, events, let_go, marked, replies, take_call, warm};

const EVENT: &[u8] = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";

/// A stream of events, of which one has passed.
fn stream(id: u32) {
    let_go(id);
    let head = host::headers(&[(":status", "200"), ("content-type", "text/event-stream")]);
    assert_eq!(host::response_headers(id, head, false), CONTINUE);
    assert_eq!(host::response_body(id, EVENT, false), CONTINUE);
}

/// The caller's key was changed; how is not known yet.
fn change_the_key(cursor: u64) {
    host::tick(ROOT);
    let now_ms = host::with(|host| host.now_ms);
    let invalidations = json!([{"kind": "key", "id": KEY_ID}]);
    let news = json!({"cursor": cursor, "now_ms": now_ms, "hold_ms": 1000, "invalidations": invalidations});
    host::answer(&take_call("/v1/watch"), Some(marked(&news)));
}

/// What the token-service says of the caller now.
fn answer(granted: bool) {
    host::tick(ROOT);
    let call = take_call("/v1/leases");
    let lease = json!({
        "result": "granted",
        "caller": {"id": "member-1", "name": "Ada", "credential": "member_key", "key_id": KEY_ID},
        "workspace": {"id": "workspace-1", "slug": "core"},
        "server_id": "server-1",
        "policy": {"levels": []},
        "credential_headers": [],
        "ttl_ms": 60000,
        "revision": 99
    });
    let denied = json!({"result": "denied", "reason": "disabled_credential"});
    host::answer(&call, Some(marked(if granted { &lease } else { &denied })));
}

fn passed(id: u32) -> String {
    String::from_utf8(host::with(|host| host.stream(id).passed.clone())).expect("text")
}

fn count(id: u32) -> usize {
    passed(id).matches("notifications/progress").count()
}

#[test]
fn an_event_is_held_until_it_is_known_that_it_may_go_on() {
    warm();
    stream(11);
    change_the_key(6);
    assert_eq!(host::response_body(11, EVENT, false), PAUSE);
    assert_eq!(count(11), 1);
    answer(true);
    assert_eq!(count(11), 2);
    // From here on Envoy is in between: each event leaves with a tick.
    assert_eq!(host::response_body(11, EVENT, false), PAUSE);
    host::tick(ROOT);
    assert_eq!(count(11), 3);
    // Two before the tick leave together, once.
    assert_eq!(host::response_body(11, EVENT, false), PAUSE);
    assert_eq!(host::response_body(11, EVENT, false), CONTINUE);
    assert_eq!(count(11), 5);
    host::tick(ROOT);
    assert_eq!(host::response_body(11, EVENT, true), CONTINUE);
    assert_eq!(count(11), 6);
}

#[test]
fn the_end_that_came_meanwhile_is_not_lost() {
    warm();
    stream(11);
    change_the_key(6);
    assert_eq!(host::response_body(11, EVENT, false), PAUSE);
    answer(true);
    assert_eq!(host::response_body(11, EVENT, true), PAUSE);
    host::tick(ROOT);
    assert_eq!(count(11), 3);
}

#[test]
fn what_waits_for_its_tick_is_kept_when_doubt_comes_anew() {
    warm();
    stream(11);
    change_the_key(6);
    host::response_body(11, EVENT, false);
    answer(true);
    assert_eq!(host::response_body(11, EVENT, false), PAUSE);
    // Before the tick that lets it go.
    let watch = take_call("/v1/watch");
    let news = json!({"cursor": 7, "now_ms": 1, "hold_ms": 1000, "invalidations": [{"kind": "all"}]});
    host::answer(&watch, Some(marked(&news)));
    assert_eq!(host::response_body(11, EVENT, false), PAUSE);
    answer(true);
    assert_eq!(count(11), 4, "{}", passed(11));
}

#[test]
fn a_revoked_stream_gets_its_last_event_and_ends() {
    warm();
    stream(11);
    change_the_key(6);
    assert_eq!(host::response_body(11, EVENT, false), PAUSE);
    answer(false);
    assert!(passed(11).ends_with("\n\n") && passed(11).contains("\"reason\":\"revoked\""), "{}", passed(11));
    assert_eq!(count(11), 1);
    assert!(!events(11).iter().any(|event| matches!(event, Event::Reset(_))), "not before it has left");
    host::tick(ROOT);
    assert_eq!(events(11).pop(), Some(Event::Reset(1)));
    // What the upstream sends in between goes nowhere.
    assert_eq!(count(11), 1);
    host::end(11);
}

#[test]
fn a_revoked_answer_that_has_not_begun_is_a_reply() {
    warm();
    let_go(11);
    change_the_key(6);
    let head = host::headers(&[(":status", "200"), ("content-type", "application/json")]);
    assert_eq!(host::response_headers(11, head, false), PAUSE);
    assert_eq!(host::response_body(11, b"{}", true), PAUSE);
    answer(false);
    assert_eq!(replies(11), [(403, "portcullis_revoked".to_owned())]);
}

#[test]
fn a_head_that_waited_goes_on_with_its_body() {
    warm();
    let_go(11);
    change_the_key(6);
    let head =
        host::headers(&[(":status", "200"), ("content-type", "text/event-stream"), ("set-cookie", "a=b")]);
    assert_eq!(host::response_headers(11, head, false), PAUSE);
    assert_eq!(host::response_body(11, EVENT, true), PAUSE);
    answer(true);
    assert_eq!(count(11), 1);
    let heads: Vec<_> = events(11)
        .into_iter()
        .filter_map(|event| match event {
            Event::ResponseHeaders(headers) => Some(headers),
            _ => None,
        })
        .collect();
    let [head] = heads.as_slice() else { panic!("one head: {heads:?}") };
    assert!(!head.iter().any(|(name, _)| name == b"set-cookie"));
}

#[test]
fn a_response_that_the_host_does_not_let_on_is_reset() {
    warm();
    stream(11);
    change_the_key(6);
    host::response_body(11, EVENT, false);
    host::tick(ROOT);
    host::with(|host| host.fails.insert("proxy_set_buffer_bytes", 2));
    answer(true);
    host::with(|host| host.fails.clear());
    assert_eq!(events(11).pop(), Some(Event::Reset(1)));
    assert_eq!(count(11), 1);
}
