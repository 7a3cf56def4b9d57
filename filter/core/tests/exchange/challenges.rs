//! What strangers are told: how to get a credential, and nothing else.

use std::collections::BTreeSet;

use portcullis_filter_core::reply::LocalReply;
use portcullis_filter_core::step::Step;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{Gateway, Request, access_token, body_of, call, granted, legacy_call, reply};

fn challenge(reply: &LocalReply) -> &str {
    match reply.headers.iter().find(|(name, _)| name == "www-authenticate") {
        Some((_, challenge)) => challenge,
        None => panic!("no challenge: {reply:?}"),
    }
}

fn start(path: &str) -> String {
    format!(
        "Bearer realm=\"portcullis\", \
         resource_metadata=\"https://gateway.example/.well-known/oauth-protected-resource{path}\", \
         scope=\"mcp:read mcp:write\""
    )
}

/// The request as GET and DELETE of legacy sessions too.
fn every_verb(request: &Request) -> [(Request, bool); 3] {
    let legacy = request.without("mcp-method").without("mcp-name").with("mcp-protocol-version", "2025-11-25");
    let bodiless = |method: &str| legacy.with(":method", method).with("mcp-session-id", "abc");
    [(request.clone(), false), (bodiless("GET"), true), (bodiless("DELETE"), true)]
}

/// What a request is told, whether at once or after the token-service has said this.
fn told(gateway: &mut Gateway, request: &Request, is_bodiless: bool, word: &Value) -> LocalReply {
    let step = if is_bodiless { gateway.open_bodiless(request) } else { gateway.open_step(request) };
    if let Step::Reply(reply) = step {
        return reply;
    }
    let stream = gateway.last_stream();
    let (id, _) = gateway.lease_call();
    gateway.answer(id, word);
    reply(gateway.resume(stream))
}

/// Credentials of strangers, with the `error` of the challenge.
fn strangers() -> Vec<(Request, Value, Option<&'static str>)> {
    let denied = |reason: &str| json!({"result": "denied", "reason": reason});
    let good = call("search");
    let token = |token: &str| good.with_token(token);
    vec![
        (good.without("x-portcullis-api-key"), Value::Null, None),
        (token("x").with("authorization", "Basic eDp5"), Value::Null, None),
        (token("x").with("authorization", "Bearer"), Value::Null, Some("invalid_token")),
        (token("x").with("authorization", "Bearer a b"), Value::Null, Some("invalid_token")),
        (good.with("x-portcullis-api-key", "pcl_test_x"), Value::Null, Some("invalid_token")),
        (token("eyJh.eyJi.Yw"), Value::Null, Some("invalid_token")),
        (token("pca_secret"), Value::Null, Some("invalid_token")),
        (good.clone(), denied("unknown_credential"), Some("invalid_token")),
        (good.clone(), denied("expired_credential"), Some("invalid_token")),
        (good.clone(), denied("disabled_credential"), Some("invalid_token")),
        (token("opaque"), denied("unknown_credential"), Some("invalid_token")),
        (token(&access_token("mcp:read").replace("BwcHBwc", "BwcHBwA")), Value::Null, Some("invalid_token")),
        (token(&access_token("mcp:read")), denied("unknown_credential"), Some("invalid_token")),
        (token(&access_token("mcp:read")), denied("expired_credential"), Some("invalid_token")),
    ]
}

#[wasm_bindgen_test(unsupported = test)]
fn every_401_says_where_to_get_a_credential_and_what_for() {
    for (request, word, error) in strangers() {
        for (request, is_bodiless) in every_verb(&request) {
            let reply = told(&mut Gateway::ready(), &request, is_bodiless, &word);
            assert_eq!(reply.status, 401, "{reply:?}");
            let challenge = challenge(&reply);
            let rest = challenge.strip_prefix(&start("/demo/mcp")).unwrap_or_else(|| panic!("{challenge}"));
            match error {
                None => assert_eq!(rest, ""),
                Some(error) => {
                    let expected = format!(", error=\"{error}\", error_description=\"");
                    assert!(rest.starts_with(&expected) && rest.ends_with(".\""), "{challenge}");
                }
            }
            assert_eq!(body_of(&reply)["error"]["code"], -31007);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn two_credentials_are_a_bad_request_with_a_challenge() {
    let request = call("search").with("authorization", "Bearer x");
    let reply = reply(Gateway::ready().open_step(&request));
    assert_eq!(reply.status, 400);
    assert!(challenge(&reply).contains("error=\"invalid_request\""), "{reply:?}");
}

/// A path of a server that exists, of one that does not, and of one that belongs to another workspace.
const PATHS: [&str; 4] = ["/demo/mcp", "/nobody/mcp", "/core/demo/mcp", "/other/demo/mcp"];

#[wasm_bindgen_test(unsupported = test)]
fn strangers_are_told_the_same_of_every_name() {
    // An access token is for one path, so at the others it is nobody's; all else is the same credential everywhere.
    for (request, word, _) in strangers().into_iter().take(11) {
        for (request, is_bodiless) in every_verb(&request) {
            let answers: BTreeSet<String> = PATHS
                .map(|path| {
                    let mut gateway = Gateway::ready();
                    let reply = told(&mut gateway, &request.with(":path", path), is_bodiless, &word);
                    assert!(challenge(&reply).starts_with(&start(path)), "{reply:?}");
                    format!("{reply:?}").replace(path, "PATH")
                })
                .into();
            assert_eq!(answers.len(), 1, "{answers:?}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_caller_does_not_have_looks_like_what_nobody_has() {
    let denied = json!({"result": "denied", "reason": "unknown_server"});
    let answers: BTreeSet<String> = ["/demo/mcp", "/nobody/mcp"]
        .map(|path| {
            let mut gateway = Gateway::ready();
            let reply = told(&mut gateway, &call("search").with(":path", path), false, &denied);
            assert_eq!((reply.status, reply.details.as_str()), (404, "portcullis_unknown_server"));
            format!("{reply:?}")
        })
        .into();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn names_that_nobody_has_are_asked_about_apart() {
    let mut gateway = Gateway::ready();
    let streams = ["/one/mcp", "/two/mcp"].map(|path| gateway.open(&call("search").with(":path", path)));
    let mut asked = Vec::new();
    for (stream, reason) in streams.into_iter().zip(["unknown_server", "disabled_credential"]) {
        let (id, question) = gateway.lease_call();
        asked.push(question["server"].clone());
        assert_eq!(gateway.answer(id, &json!({"result": "denied", "reason": reason})), [stream]);
    }
    assert_eq!(asked, ["one", "two"]);
    assert_eq!(streams.map(|stream| reply(gateway.resume(stream)).status), [404, 401]);
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_granted_on_a_server_that_the_registry_does_not_have_yet() {
    let mut gateway = Gateway::ready();
    let request = call("search").with(":path", "/new/mcp");
    let stream = gateway.open(&request);
    gateway.send_body(stream, &request.body);
    let (id, _) = gateway.lease_call();
    let mut lease = granted(&[]);
    lease["server_id"] = "s2".into();
    gateway.answer(id, &lease);
    assert_eq!(reply(gateway.resume(stream)).status, 503, "the watch will bring it");

    gateway.registry(&[json!({
        "id": "s2", "slug": "new", "upstream": {"tls": true, "authority": "new.example", "path": "/mcp"},
    })]);
    let stream = gateway.open(&request);
    gateway.send_body(stream, &request.body);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &lease);
    assert!(matches!(gateway.resume(stream), Step::Forward { .. }));
}

#[wasm_bindgen_test(unsupported = test)]
fn both_eras_get_the_challenge_before_anything_is_read() {
    for request in [call("search"), legacy_call("search")] {
        let mut gateway = Gateway::ready();
        let request = request.without("x-portcullis-api-key").with("content-type", "text/plain");
        assert_eq!(reply(gateway.open_step(&request)).status, 401);
    }
}
