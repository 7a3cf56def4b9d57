//! Responses on their way through the shell.

use crate::fake_host::{self as host, CONTINUE, Event, PAUSE};
use crate::gateway::{events, let_go, post, tool_call, warm};

const LIST: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
const TOOLS: &str = r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"echo","inputSchema":{"type":"object"}},{"name":"forbidden","inputSchema":{"type":"object"}}]}}"#;

fn list(id: u32, content_type: &str) {
    assert_eq!(post(id, LIST), CONTINUE);
    let head = host::headers(&[(":status", "200"), ("content-type", content_type), ("set-cookie", "a=b")]);
    assert_eq!(host::response_headers(id, head, false), CONTINUE);
    let Some(Event::ResponseHeaders(headers)) = events(id).pop() else {
        panic!("new headers: {:?}", events(id))
    };
    assert!(!headers.iter().any(|(name, _)| name == b"set-cookie"));
}

/// What of the response's body went on.
fn passed_on(id: u32) -> String {
    let bodies = events(id).into_iter().filter_map(|event| match event {
        Event::ResponseBody(bytes) => Some(bytes),
        _ => None,
    });
    String::from_utf8(bodies.flatten().collect()).expect("text")
}

#[test]
fn a_list_is_held_back_until_it_is_judged() {
    warm();
    list(11, "application/json");
    let (first, last) = TOOLS.as_bytes().split_at(40);
    assert_eq!(host::response_body(11, first, false), PAUSE);
    assert_eq!(passed_on(11), "");
    assert_eq!(host::response_body(11, last, true), CONTINUE);
    let body = passed_on(11);
    assert!(body.contains("echo") && !body.contains("forbidden"), "{body}");
}

#[test]
fn a_list_that_ends_with_trailers_is_not_lost() {
    warm();
    list(11, "application/json");
    assert_eq!(host::response_body(11, TOOLS.as_bytes(), false), PAUSE);
    assert_eq!(host::response_trailers(11), CONTINUE);
    let body = passed_on(11);
    assert!(body.contains("echo") && !body.contains("forbidden"), "{body}");
}

#[test]
fn events_go_on_as_soon_as_they_are_whole() {
    warm();
    list(11, "text/event-stream");
    let event = format!("data: {TOOLS}\n\n");
    let (first, last) = event.as_bytes().split_at(30);
    assert_eq!(host::response_body(11, first, false), PAUSE);
    assert_eq!(passed_on(11), "");
    assert_eq!(host::response_body(11, last, false), CONTINUE);
    let body = passed_on(11);
    assert!(body.ends_with("\n\n") && body.contains("echo") && !body.contains("forbidden"), "{body}");
    assert_eq!(host::response_body(11, b"", true), CONTINUE);
}

#[test]
fn a_response_that_cannot_be_read_is_cut() {
    warm();
    for (id, function) in [(11, "proxy_get_buffer_bytes"), (12, "proxy_set_buffer_bytes")] {
        list(id, "application/json");
        host::with(|host| host.fails.insert(function, 10));
        assert_eq!(host::response_body(id, TOOLS.as_bytes(), true), PAUSE);
        host::with(|host| host.fails.clear());
        assert_eq!(events(id).pop(), Some(Event::Reset(1)), "{function}");
        assert_eq!(host::response_body(id, b"more", true), CONTINUE, "Envoy has dropped the stream");
    }
}

#[test]
fn response_headers_that_cannot_be_judged_are_replaced() {
    warm();
    for (id, function) in [(11, "proxy_get_header_map_pairs"), (12, "proxy_set_header_map_pairs")] {
        let_go(id);
        let head = host::headers(&[(":status", "200"), ("content-type", "text/event-stream")]);
        host::with(|host| host.fails.insert(function, 10));
        assert_eq!(host::response_headers(id, head, false), PAUSE);
        host::with(|host| host.fails.clear());
        assert!(matches!(events(id).last(), Some(Event::Reply { status: 500, .. })), "{function}");
    }
}

#[test]
fn a_header_less_end_is_fine() {
    warm();
    assert_eq!(post(11, &tool_call("echo")), CONTINUE);
    let head = host::headers(&[(":status", "202")]);
    assert_eq!(host::response_headers(11, head, true), CONTINUE);
    host::end(11);
}

/// A tool call whose answer's head waits for the body.
fn held_answer(id: u32, length: usize) {
    let_go(id);
    let length = length.to_string();
    let head =
        [(":status", "400"), ("content-type", "application/json"), ("content-length", length.as_str())];
    assert_eq!(host::response_headers(id, host::headers(&head), false), PAUSE);
}

fn status_sent(id: u32) -> Option<String> {
    let mut heads = events(id).into_iter().filter_map(|event| match event {
        Event::ResponseHeaders(headers) => Some(headers),
        _ => None,
    });
    let status = heads.next_back()?.into_iter().find(|(name, _)| name == b":status")?.1;
    Some(String::from_utf8(status).expect("text"))
}

const UNKNOWN: &str = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"tool not found"}}"#;
const REWORDED: &str = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"Unknown tool: echo"}}"#;

#[test]
fn a_head_waits_until_the_body_is_judged() {
    warm();
    held_answer(11, UNKNOWN.len());
    let (first, last) = UNKNOWN.as_bytes().split_at(40);
    assert_eq!(host::response_body(11, first, false), PAUSE);
    assert_eq!((status_sent(11), passed_on(11)), (None, String::new()));
    assert_eq!(host::response_body(11, last, true), CONTINUE);
    assert_eq!((status_sent(11), passed_on(11)), (Some("200".to_owned()), REWORDED.to_owned()));
    // Trailers can be the end, too.
    held_answer(12, UNKNOWN.len());
    assert_eq!(host::response_body(12, UNKNOWN.as_bytes(), false), PAUSE);
    assert_eq!(host::response_trailers(12), CONTINUE);
    assert_eq!((status_sent(12), passed_on(12)), (Some("200".to_owned()), REWORDED.to_owned()));
}

#[test]
fn a_head_that_waited_goes_on_with_an_answer_that_stays() {
    warm();
    let answer = br#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no city"}}"#;
    held_answer(11, answer.len());
    assert_eq!(host::response_body(11, answer, true), CONTINUE);
    assert_eq!(status_sent(11), Some("400".to_owned()));
    assert_eq!(passed_on(11), "", "the body goes on as it came");
}

#[test]
fn a_head_that_waited_and_cannot_be_sent_ends_the_response() {
    warm();
    for (id, by_trailers) in [(11, false), (12, true)] {
        held_answer(id, UNKNOWN.len());
        if by_trailers {
            assert_eq!(host::response_body(id, UNKNOWN.as_bytes(), false), PAUSE);
        }
        host::with(|host| host.fails.insert("proxy_set_header_map_pairs", 10));
        let action = if by_trailers {
            host::response_trailers(id)
        } else {
            host::response_body(id, UNKNOWN.as_bytes(), true)
        };
        host::with(|host| host.fails.clear());
        assert_eq!(action, PAUSE);
        assert_eq!(events(id).pop(), Some(Event::Reset(1)));
    }
}
