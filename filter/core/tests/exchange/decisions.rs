//! Decision ids: what the log has of a denied request, and the caller never.

use portcullis_filter_core::reply::LocalReply;
use portcullis_wire::decision::{DeniedRequest, Who};
use portcullis_wire::policy::{Kind, Level};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{Gateway, KEY_ID, NOW, Request, call, denying, let_go, reply};

/// What is said of a request whose lease is answered so, and its record.
fn told(request: &Request, word: &Value) -> (LocalReply, std::collections::BTreeMap<String, String>) {
    let mut gateway = Gateway::ready();
    let stream = gateway.open(request);
    gateway.send_body(stream, &request.body);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, word);
    let reply = reply(gateway.resume(stream));
    (reply, gateway.record(stream))
}

#[wasm_bindgen_test(unsupported = test)]
fn what_decided_is_in_the_log_and_not_in_the_answer() {
    let bare = json!({"result": "denied", "reason": "unknown_server"});
    let whole = json!({"result": "denied", "reason": "unknown_server", "because": "workspace/enabled", "revision": 42});
    let ((plain, _), (answer, record)) = (told(&call("search"), &bare), told(&call("search"), &whole));
    assert_eq!(plain, answer, "not a byte differs");
    assert_eq!((record["decision"].as_str(), record["rule"].as_str()), ("deny", "workspace/enabled"));
    assert_eq!(record["revision"], "42");
    let denied = DeniedRequest::read(&record["decision_id"]).expect("a decision id");
    assert_eq!(denied.level(), Some(Level::Workspace));
    assert_eq!(
        (denied.status, denied.reason.as_str(), denied.rule.as_str()),
        (404, "unknown_server", "workspace/enabled")
    );
    assert_eq!((denied.at_ms, denied.revision), (NOW * 1_000, Some(42)));
    assert!(matches!(denied.who, Some(Who::Key(_))), "{denied:?}");
    assert_eq!(denied.server.as_deref(), Some("demo"));
    // A denial that is remembered says the same.
    let mut gateway = Gateway::knowing(&whole);
    reply(gateway.open_step(&call("search")));
    let stream = gateway.last_stream();
    assert_eq!(gateway.record(stream)["rule"], "workspace/enabled");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_denial_by_policy_names_all_there_is() {
    let mut gateway = Gateway::with_lease(&denying("delete_*"));
    let request = call("delete_all");
    let stream = gateway.open(&request);
    let answer = reply(gateway.send_body(stream, &request.body));
    let record = gateway.record(stream);
    let denied = DeniedRequest::read(&record["decision_id"]).expect("a decision id");
    assert_eq!(denied.rule, record["rule"]);
    assert_eq!(denied.reason, "policy_denied");
    assert_eq!(denied.who, Some(Who::Key(KEY_ID.into())));
    assert_eq!((denied.workspace.as_deref(), denied.server.as_deref()), (Some("core"), Some("demo")));
    assert_eq!(denied.target, Some((Kind::Tool, "delete_all".into())));
    assert_eq!(denied.revision.map(|revision| revision.to_string()), Some(record["revision"].clone()));
    let id = record["decision_id"].as_bytes();
    assert!(!answer.body.windows(id.len()).any(|part| part == id));
    assert!(answer.headers.iter().all(|(_, value)| !value.contains("dec_")), "{answer:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn strangers_and_bad_requests_have_one_too_and_allowed_ones_none() {
    let mut gateway = Gateway::with_lease(&[]);
    let stranger = call("search").without("x-portcullis-api-key");
    let answer = reply(gateway.open_step(&stranger));
    let stream = gateway.last_stream();
    let denied = DeniedRequest::read(&gateway.record(stream)["decision_id"]).expect("a decision id");
    assert_eq!((denied.status, denied.rule.as_str(), denied.who), (401, "no_credential", None));
    assert_eq!(answer.status, 401);

    let request = call("search");
    let stream = gateway.open(&request);
    let answer = reply(gateway.send_body(stream, b"{"));
    let denied = DeniedRequest::read(&gateway.record(stream)["decision_id"]).expect("a decision id");
    assert_eq!((u32::from(denied.status), denied.rule.as_str()), (answer.status, "invalid_json"));
    assert_eq!(denied.who, Some(Who::Key(KEY_ID.into())));

    let_go(&mut gateway, &request);
    let stream = gateway.last_stream();
    assert_eq!(gateway.record(stream).get("decision_id"), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_cannot_be_decided_is_no_denial() {
    let missing =
        json!({"result": "denied", "reason": "credential_unavailable", "because": "server/credential"});
    let (answer, record) = told(&call("search"), &missing);
    assert_eq!((answer.status, record["decision"].as_str()), (503, "error"));
    assert_eq!((record["rule"].as_str(), record.get("decision_id")), ("server/credential", None));
}
