//! Response heads; natively and on wasm32.

use portcullis_filter_core::response::headers::{BodyPlan, Head, Refusal, judge};
use portcullis_filter_core::response::needles::Needles;
use portcullis_filter_core::step::Headers;
use wasm_bindgen_test::wasm_bindgen_test;

fn headers(list: &[(&str, &str)]) -> Headers {
    list.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn head(list: &[(&str, &str)], inspected: bool) -> Head {
    judge(&headers(list), inspected, &Needles::of_values(["Bearer canary-token"]))
}

fn plan(list: &[(&str, &str)], inspected: bool) -> Result<BodyPlan, Refusal> {
    match head(list, inspected) {
        Head::Forward { plan, .. } => Ok(plan),
        Head::Refuse(refusal) => Err(refusal),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn only_listed_headers_pass() {
    let kept = [
        (":status", "200"),
        ("content-type", "application/json"),
        ("content-length", "12"),
        ("cache-control", "no-cache, no-transform"),
        ("date", "Mon, 23 Nov 2026 10:00:00 GMT"),
        ("mcp-session-id", "abc"),
        ("mcp-protocol-version", "2025-11-25"),
        ("retry-after", "3"),
        ("x-accel-buffering", "no"),
        ("allow", "POST"),
        ("vary", "accept"),
        ("etag", "\"1\""),
    ];
    let held = [
        ("www-authenticate", "Bearer resource_metadata=\"https://upstream/\""),
        ("set-cookie", "a=b"),
        ("location", "/"),
        ("refresh", "0; url=/"),
        ("access-control-allow-origin", "*"),
        ("alt-svc", "h3=\":443\""),
        ("clear-site-data", "\"*\""),
        ("strict-transport-security", "max-age=1"),
        ("proxy-authenticate", "Basic"),
        ("server", "nginx"),
        ("x-powered-by", "Express"),
        ("x-portcullis-caller", "admin"),
        ("mcp-note", "it was Bearer canary-token"),
        ("mcp-other", "canary-token"),
    ];
    let all: Vec<_> = kept.iter().chain(&held).copied().collect();
    assert_eq!(head(&all, false), Head::Forward { headers: headers(&kept), plan: BodyPlan::Json });
}

#[wasm_bindgen_test(unsupported = test)]
fn what_measures_a_body_goes_when_the_body_may_change() {
    for (content_type, inspected, stays) in [
        ("application/json", false, true),
        ("application/json", true, false),
        ("text/event-stream", false, false),
        ("text/event-stream", true, false),
    ] {
        let list =
            [(":status", "200"), ("content-type", content_type), ("content-length", "9"), ("etag", "\"1\"")];
        let Head::Forward { headers: output, .. } = head(&list, inspected) else { panic!("passes") };
        assert_eq!(output.len(), if stays { 4 } else { 2 }, "{content_type} {inspected}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn statuses_that_would_mislead_the_client_are_refused() {
    for (status, refusal) in [
        ("301", Refusal::Redirected),
        ("304", Refusal::Redirected),
        ("307", Refusal::Redirected),
        ("401", Refusal::RefusedCredential),
        ("101", Refusal::Malformed),
        ("6", Refusal::Malformed),
        ("two hundred", Refusal::Malformed),
    ] {
        for inspected in [false, true] {
            let list = [(":status", status), ("content-type", "application/json")];
            assert_eq!(plan(&list, inspected), Err(refusal), "{status}");
        }
    }
    assert_eq!(plan(&[("content-type", "application/json")], false), Err(Refusal::Malformed));
    assert_eq!(plan(&[(":status", "200"), (":status", "401")], false), Err(Refusal::Malformed));
}

#[wasm_bindgen_test(unsupported = test)]
fn statuses_by_which_clients_find_their_way_pass() {
    for status in ["400", "403", "404", "405", "406", "415", "429", "500", "503"] {
        let json = [(":status", status), ("content-type", "application/json")];
        assert_eq!(plan(&json, true), Ok(BodyPlan::Json));
        let text = [(":status", status), ("content-type", "text/plain"), ("content-length", "9")];
        assert_eq!(plan(&text, true), Ok(BodyPlan::Pass));
        assert_eq!(plan(&[(":status", status)], true), Ok(BodyPlan::Pass));
    }
    assert_eq!(plan(&[(":status", "202"), ("content-length", "0")], true), Ok(BodyPlan::Pass));
    assert_eq!(plan(&[(":status", "204")], true), Ok(BodyPlan::Pass));
    assert_eq!(plan(&[(":status", "202")], false), Ok(BodyPlan::Pass));
}

#[wasm_bindgen_test(unsupported = test)]
fn content_types_are_read_as_clients_read_them() {
    for (value, expected) in [
        ("application/json", Ok(BodyPlan::Json)),
        ("Application/JSON ; charset=\"UTF-8\"", Ok(BodyPlan::Json)),
        ("text/event-stream; charset=utf-8", Ok(BodyPlan::Sse)),
        ("text/html", Err(Refusal::ContentType)),
        ("", Err(Refusal::ContentType)),
        ("application/json; charset=utf-16", Err(Refusal::ContentType)),
        ("application/json; x=y; CHARSET = shift_jis", Err(Refusal::ContentType)),
        ("text/html, application/json", Err(Refusal::ContentType)),
    ] {
        assert_eq!(plan(&[(":status", "200"), ("content-type", value)], true), expected, "{value:?}");
    }
    let twice =
        [(":status", "200"), ("content-type", "application/json"), ("content-type", "text/event-stream")];
    assert_eq!(plan(&twice, true), Err(Refusal::ContentType));
    assert_eq!(plan(&[(":status", "200")], true), Err(Refusal::ContentType));
    assert_eq!(plan(&[(":status", "200"), ("content-type", "text/html")], false), Ok(BodyPlan::Pass));
}

#[wasm_bindgen_test(unsupported = test)]
fn compressed_bodies_pass_only_where_nothing_is_read() {
    let encoded =
        |value| [(":status", "200"), ("content-type", "application/json"), ("content-encoding", value)];
    for value in ["gzip", "br", "identity, gzip"] {
        assert_eq!(plan(&encoded(value), true), Err(Refusal::Encoded));
        assert_eq!(plan(&encoded(value), false), Ok(BodyPlan::Pass));
    }
    assert_eq!(plan(&encoded("Identity"), true), Ok(BodyPlan::Json));
    let Head::Forward { headers, .. } = head(&encoded("gzip"), false) else { panic!("passes") };
    assert!(headers.iter().any(|(name, _)| name == b"content-encoding"));
}

#[wasm_bindgen_test(unsupported = test)]
fn refusals_say_what_to_do() {
    assert_eq!(Refusal::Redirected.reason(), "upstream_redirected");
    assert_eq!(Refusal::RefusedCredential.reason(), "upstream_unauthorized");
    assert_eq!(Refusal::Encoded.reason(), "upstream_encoded");
    assert!(Refusal::RefusedCredential.message().contains("administrator must renew"));
    assert_eq!(Refusal::STATUS, 502);
}
