//! Chosen places that the access log never shows; natively and on wasm32.

use portcullis_filter_core::payload::{self, Excerpt, View, Views};
use portcullis_wire::payload::{Capture, Redaction};
use portcullis_wire::watch::PayloadPolicy;
use wasm_bindgen_test::wasm_bindgen_test;

fn views(parameters: &[&str], response: &[&str]) -> Views {
    let list = |pointers: &[&str]| pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
    let redact = Redaction { parameters: list(parameters), response: list(response) };
    Views::compile(&Capture { policy: PayloadPolicy::Redacted, limit: 4_096, redact })
}

fn show(view: &View, payload: &str) -> String {
    payload::excerpt(view, payload.as_bytes()).expect("not empty").text
}

#[track_caller]
fn parameters(pointers: &[&str], payload: &str, shown: &str) {
    assert_eq!(show(&views(pointers, &[]).parameters, payload), shown, "{pointers:?}");
}

#[track_caller]
fn response(pointers: &[&str], payload: &str, shown: &str) {
    assert_eq!(show(&views(&[], pointers).response, payload), shown, "{pointers:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn values_of_every_kind_are_hidden() {
    for value in [r#""x""#, "1", "-0.5e3", "true", "null", "[1,[2]]", r#"{"x":{"y":"}"}}"#, r#""\"\\""#] {
        parameters(
            &["/arguments/email"],
            &format!(r#"{{"name":"t","arguments":{{"a":1,"email" : {value},"z":"é"}}}}"#),
            r#"{"name":"t","arguments":{"a":1,"email" : "[redacted]","z":"é"}}"#,
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_is_known_by_what_it_says() {
    parameters(
        &["/a/e"],
        r#"{"a":{"\u0065":1,"E":2,"e":3},"e":4}"#,
        r#"{"a":{"\u0065":"[redacted]","E":2,"e":"[redacted]"},"e":4}"#,
    );
    parameters(&["/a~1b/~0"], r#"{"a/b":{"~":1,"~0":2}}"#, r#"{"a/b":{"~":"[redacted]","~0":2}}"#);
    parameters(&["/"], r#"{"":1,"a":2}"#, r#"{"":"[redacted]","a":2}"#);
}

#[wasm_bindgen_test(unsupported = test)]
fn elements_and_all_of_them() {
    let rows = r#"{"rows":[{"n":1,"s":2},{"n":3,"s":4}]}"#;
    parameters(&["/rows/1/s"], rows, r#"{"rows":[{"n":1,"s":2},{"n":3,"s":"[redacted]"}]}"#);
    parameters(&["/rows/*/s"], rows, r#"{"rows":[{"n":1,"s":"[redacted]"},{"n":3,"s":"[redacted]"}]}"#);
    parameters(&["/rows/*"], rows, r#"{"rows":["[redacted]","[redacted]"]}"#);
    parameters(&["/rows/01/s", "/rows/-/s", "/rows/n"], rows, rows);
    parameters(
        &["/*/x"],
        r#"{"a":{"x":1},"b":{"x":2},"x":3}"#,
        r#"{"a":{"x":"[redacted]"},"b":{"x":"[redacted]"},"x":3}"#,
    );
    parameters(&["/rows", "/rows/0/n"], rows, r#"{"rows":"[redacted]"}"#);
}

#[wasm_bindgen_test(unsupported = test)]
fn responses_are_pointed_into_from_their_result() {
    response(
        &["/content/*/text"],
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"x"}],"text":"y"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"[redacted]"}],"text":"y"}}"#,
    );
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":{"content":1}}}"#;
    response(&["/content", "/data"], error, error);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_structured_content_repeats_is_hidden_in_both() {
    let payload = r#"{"result":{"content":[{"text":"{\"who\": {\"email\": \"ada@x\"}, \"n\": 1}"}],"structuredContent":{"who":{"email":"ada@x"},"n":1}}}"#;
    response(
        &["/structuredContent/who/email"],
        payload,
        r#"{"result":{"content":[{"text":"{\"who\": {\"email\": \"[redacted]\"}, \"n\": 1}"}],"structuredContent":{"who":{"email":"[redacted]"},"n":1}}}"#,
    );
    response(
        &["/structuredContent"],
        payload,
        r#"{"result":{"content":[{"text":"[redacted]"}],"structuredContent":"[redacted]"}}"#,
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_text_that_looks_like_json_and_cannot_be_read_is_hidden() {
    for text in [
        r#"{\"email\":\"x\""#,
        r#"{\"email\":\"x\"} and more"#,
        r"[{'email':'x'}]",
        r#"\uFEFF{\"email\":\"x\"}"#,
    ] {
        response(
            &["/content/*/text/email"],
            &format!(r#"{{"result":{{"content":[{{"text":"{text}"}}]}}}}"#),
            r#"{"result":{"content":[{"text":"[redacted]"}]}}"#,
        );
    }
    // Prose has no places.
    let prose = r#"{"result":{"content":[{"text":"Sent to {email}."}]}}"#;
    response(&["/content/*/text/email"], prose, prose);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_object_has_no_places_and_is_not_shown() {
    let view = views(&["/a"], &["/a"]);
    for payload in [r#"[{"a":"x"}]"#, r#""x""#, r#"{"a":"x""#, "{'a':'x'}"] {
        for view in [&view.parameters, &view.response] {
            assert!(show(view, payload).starts_with("sha256:"), "{payload}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn behind_a_long_hidden_value_the_rest_is_shown() {
    let payload = format!(r#"{{"file":"{}\"{}","n":1}}"#, "x".repeat(20_000), "é".repeat(20_000));
    parameters(&["/file"], &payload, r#"{"file":"[redacted]","n":1}"#);
    let payload = format!(r#"{{"file":["{}"],"n":1}}"#, "x".repeat(50_000));
    parameters(&["/file"], &payload, r#"{"file":"[redacted]","n":1}"#);
}

#[wasm_bindgen_test(unsupported = test)]
fn how_much_there_was_is_said() {
    let view = views(&["/a"], &[]).parameters;
    let excerpt = |payload: &str| payload::excerpt(&view, payload.as_bytes()).expect("not empty");
    let text = r#"{"a":"[redacted]"}"#.to_owned();
    assert_eq!(excerpt(r#"{"a":1234}"#), Excerpt { text, size: 10, is_cut: false });
    let long = excerpt(&format!(r#"{{"b":"{}"}}"#, "x".repeat(5_000)));
    assert!(long.is_cut && long.size == 5_008 && long.text.len() <= 4_096, "{long:?}");
    assert!(long.text.ends_with("…[truncated, 5008 bytes]"), "{long:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn pointers_that_cannot_be_followed_leave_a_digest() {
    let view = views(&["/a", "$.b"], &[]);
    assert!(show(&view.parameters, r#"{"a":1}"#).starts_with("sha256:"));
    assert!(show(&view.response, r#"{"a":1}"#).starts_with("sha256:"));
}

#[wasm_bindgen_test(unsupported = test)]
fn lines_stay_lines() {
    let view = View::from(PayloadPolicy::Full);
    assert_eq!(show(&view, "{\"a\":\"\u{2028}\u{9B}31m\u{202E}\"}"), r#"{"a":"\u2028\u009b31m\u202e"}"#);
    let many = show(&View::new(PayloadPolicy::Redacted, 100), &format!("[\"{}\"]", "\u{85}".repeat(90)));
    assert!(many.len() <= 100 && many.contains("truncated, 184 bytes"), "{many}");
}
