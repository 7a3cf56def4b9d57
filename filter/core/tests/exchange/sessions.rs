//! Sessions of upstreams: of use to those only to whom they were given.

use portcullis_filter_core::step::{ResponseHead, Step};
use portcullis_wire::secret::SecretText;
use portcullis_wire::session::bind;
use serde_json::Value;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{Gateway, Request, granted, header, legacy_call, let_go, reply};

fn lease(session_key: &str) -> Value {
    let mut lease = granted(&[]);
    lease["session_key"] = session_key.into();
    lease
}

fn in_session(session: &str) -> Request {
    legacy_call("search").with("mcp-session-id", session)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_session_comes_bound_and_goes_on_as_the_upstream_knows_it() {
    let mut gateway = Gateway::knowing(&lease("of-ada"));
    let stream = let_go(&mut gateway, &legacy_call("search"));
    let answer = [(":status", "200"), ("content-type", "text/event-stream"), ("mcp-session-id", "s.1")];
    let ResponseHead::Replace(head) = gateway.respond(stream, &answer) else { panic!("passed") };
    let bound = header(&head, "mcp-session-id").expect("a session").to_owned();
    assert_eq!(bound, bind(&SecretText::new("of-ada".to_owned()), "s.1"));

    let request = in_session(&bound);
    let stream = gateway.open(&request);
    let Step::Forward { headers, .. } = gateway.send_body(stream, &request.body) else { panic!("forwarded") };
    assert_eq!(header(&headers, "mcp-session-id"), Some("s.1"));
    assert_eq!(header(&headers, "mcp-protocol-version"), Some("2025-11-25"));
    for verb in ["GET", "DELETE"] {
        let request = request.with(":method", verb).without("content-type");
        let Step::Forward { headers, .. } = gateway.open_bodiless(&request) else { panic!("forwarded") };
        assert_eq!(header(&headers, "mcp-session-id"), Some("s.1"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn somebody_elses_session_is_none() {
    let mut gateway = Gateway::knowing(&lease("of-ada"));
    let of_grace = bind(&SecretText::new("of-grace".to_owned()), "s.1");
    for session in ["s.1", &of_grace] {
        let request = in_session(session);
        let stream = gateway.open(&request);
        let refused = reply(gateway.send_body(stream, &request.body));
        assert_eq!(refused.status, 404);
        let get = request.with(":method", "GET").without("content-type");
        assert_eq!(reply(gateway.open_bodiless(&get)).status, 404);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn without_a_key_sessions_pass_as_they_are() {
    let mut gateway = Gateway::knowing(&granted(&[]));
    let request = in_session("s.1");
    let stream = gateway.open(&request);
    let Step::Forward { headers, .. } = gateway.send_body(stream, &request.body) else { panic!("forwarded") };
    assert_eq!(header(&headers, "mcp-session-id"), Some("s.1"));
    let answer = [(":status", "200"), ("content-type", "text/event-stream"), ("mcp-session-id", "s.1")];
    let ResponseHead::Replace(head) = gateway.respond(stream, &answer) else { panic!("passed") };
    assert_eq!(header(&head, "mcp-session-id"), Some("s.1"));
}
