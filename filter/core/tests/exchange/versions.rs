//! A token-service of a later or an earlier version: what this filter does not know grants nothing, and somebody is told.

use portcullis_filter_core::step::Step;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{Gateway, access_token, call, denying, granted, let_go, marked, reply};

/// A minute and a bit.
const A_WHILE_MS: u64 = 61_000;

/// What becomes of a call whose lease is answered so.
fn status_with(gateway: &mut Gateway, lease: &Value) -> u32 {
    let request = call("search");
    let stream = gateway.open(&request);
    let (id, _) = gateway.lease_call();
    assert_eq!(gateway.answer(id, lease), [stream]);
    let status = match gateway.resume(stream) {
        Step::Wait => match gateway.send_body(stream, &request.body) {
            Step::Forward { .. } => 200,
            step => reply(step).status,
        },
        step => reply(step).status,
    };
    gateway.leave(stream);
    status
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lease_with_something_more_is_a_lease() {
    let mut lease = granted(&[]);
    lease["added_later"] = json!({"a": 1});
    lease["caller"]["added_later"] = json!(true);
    let mut gateway = Gateway::ready();
    assert_eq!(status_with(&mut gateway, &lease), 200);
    assert_eq!(gateway.notices(), [""; 0]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lease_with_a_rule_that_is_not_known_is_none() {
    for place in ["/policy", "/policy/levels/0", "/policy/levels/0/tools", "/limits", "/terms"] {
        let mut lease = granted(&denying("delete_*"));
        (lease["limits"], lease["terms"]) = (json!({}), json!({}));
        lease.pointer_mut(place).expect("an object")["added_later"] = json!(["search"]);
        let mut gateway = Gateway::ready();
        assert_eq!(status_with(&mut gateway, &lease), 503, "{place}");
        let notices = gateway.notices();
        assert_eq!(notices.len(), 1, "{place}: {notices:?}");
        assert!(
            notices[0].contains("unknown field `added_later`") && notices[0].contains("update the filter"),
            "{notices:?}"
        );
        // Nothing of it is kept.
        assert_eq!(status_with(&mut gateway, &granted(&[])), 200, "{place}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_operator_is_told_once_a_minute() {
    let mut gateway = Gateway::ready();
    let unknown = json!({"result": "granted_in_part"});
    for _ in 0..3 {
        assert_eq!(status_with(&mut gateway, &unknown), 503);
    }
    assert_eq!(gateway.notices().len(), 1);
    gateway.watch(&json!({}));
    gateway.pass_ms(A_WHILE_MS);
    gateway.watch(&json!({}));
    assert_eq!(status_with(&mut gateway, &unknown), 503);
    let notices = gateway.notices();
    assert_eq!(notices.iter().filter(|notice| notice.contains("granted_in_part")).count(), 1, "{notices:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_in_another_form_does_not_get_into_the_log() {
    let mut gateway = Gateway::ready();
    let mut lease = granted(&[]);
    lease["ttl_ms"] = "Bearer upstream-secret".into();
    assert_eq!(status_with(&mut gateway, &lease), 503);
    let notices = gateway.notices();
    assert!(notices.len() == 1 && !notices[0].contains("secret"), "{notices:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_question_that_the_token_service_does_not_take_is_told_of() {
    let mut gateway = Gateway::ready();
    let stream = gateway.open(&call("search"));
    let (id, _) = gateway.lease_call();
    gateway.outcome(id, marked("422", &json!({"title": "The request has faults"})));
    assert_eq!(reply(gateway.resume(stream)).status, 503);
    let notices = gateway.notices();
    assert!(notices.len() == 1 && notices[0].contains("status 422"), "{notices:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_forgotten_for_a_reason_that_is_not_known_is_all() {
    let mut gateway = Gateway::with_lease(&[]);
    let_go(&mut gateway, &call("search"));
    gateway.watch(&json!({"invalidations": [{"kind": "tenant", "id": "t1"}]}));
    gateway.open(&call("search"));
    gateway.lease_call();
}

#[wasm_bindgen_test(unsupported = test)]
fn an_issuer_with_a_setting_that_is_not_known_is_left_out_alone() {
    let mut gateway = Gateway::new();
    let server = json!({
        "id": "s1", "slug": "demo", "added_later": 1,
        "upstream": {"tls": true, "authority": "mcp.example", "path": "/mcp"},
    });
    let issuer = json!({"issuer": "https://gateway.example", "gateway": true, "proof_of_possession": true, "keys": []});
    gateway.watch(&json!({"registry": {"servers": [server], "issuers": [issuer]}, "added_later": 1}));
    let notices = gateway.notices();
    assert!(
        notices.len() == 1 && notices[0].contains("issuer https://gateway.example is left out"),
        "{notices:?}"
    );
    let by_token = call("search").with_token(&access_token("mcp:read mcp:write"));
    assert_eq!(reply(gateway.open_step(&by_token)).status, 401);
    assert_eq!(status_with(&mut gateway, &granted(&[])), 200, "keys go on");
}
