//! Tokens that the token-service has an issuer asked about.

use portcullis_filter_core::step::Step;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{Gateway, call, granted, let_go, reply};

fn opaque_lease() -> Value {
    let mut lease = granted(&[]);
    lease["caller"] = json!({"id": "m1", "name": "Ada", "credential": "opaque_token"});
    lease
}

#[wasm_bindgen_test(unsupported = test)]
fn it_is_asked_about_once_and_then_known_by_its_digest() {
    let mut gateway = Gateway::ready();
    let request = call("search").with_token("opaque-1");
    let stream = gateway.open(&request);
    gateway.send_body(stream, &request.body);
    let (id, question) = gateway.lease_call();
    assert_eq!(question["proof"], json!({"kind": "opaque", "token": "opaque-1"}));
    gateway.answer(id, &opaque_lease());
    let Step::Forward { headers, .. } = gateway.resume(stream) else { panic!("forwarded") };
    assert!(
        headers.iter().all(|(_, value)| !value.windows(8).any(|part| part == b"opaque-1")),
        "it goes no further"
    );
    assert_eq!(gateway.record(stream)["credential"], "opaque_token");
    // More often than there are questions in a second.
    for _ in 0..10 {
        let_go(&mut gateway, &request);
    }
    assert!(gateway.tick().is_empty(), "nobody is asked again");
}

#[wasm_bindgen_test(unsupported = test)]
fn strangers_run_dry_and_known_callers_do_not() {
    let mut gateway = Gateway::ready();
    let known = call("search").with_token("opaque-1");
    let stream = gateway.open(&known);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &opaque_lease());
    gateway.leave(stream);
    // Three a second, one of which the known caller has had.
    for number in 0..20 {
        let step = gateway.open_step(&call("search").with_token(&format!("made-up-{number}")));
        if number < 2 {
            assert_eq!(step, Step::Wait, "{number}");
            continue;
        }
        let busy = reply(step);
        assert_eq!((busy.status, busy.details.as_str()), (503, "portcullis_verification_busy"), "{number}");
        assert!(busy.headers.contains(&("retry-after".into(), "1".into())));
    }
    let_go(&mut gateway, &known);
    // Keys of the gateway are not looked up at an issuer.
    assert_eq!(gateway.open_step(&call("search")), Step::Wait);
    gateway.pass_ms(1_000);
    assert_eq!(gateway.open_step(&call("search").with_token("made-up-20")), Step::Wait);
}

#[wasm_bindgen_test(unsupported = test)]
fn many_requests_with_one_new_token_are_one_question() {
    let mut gateway = Gateway::ready();
    for _ in 0..10 {
        assert_eq!(gateway.open_step(&call("search").with_token("opaque-1")), Step::Wait);
    }
    let (id, _) = gateway.lease_call();
    assert_eq!(gateway.answer(id, &json!({"result": "denied", "reason": "unknown_credential"})).len(), 10);
    assert!(gateway.tick().is_empty());
}
