//! What a credential takes away besides policy: networks and scopes. And who it was, in the access log.

use portcullis_filter_core::reply::LocalReply;
use portcullis_filter_core::step::{ResponseHead, Step};
use portcullis_wire::watch::Invalidation;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{
    Gateway, JSON, KEY_ID, Request, access_token, body_of, call, connect_required, denying, granted,
    legacy_call, let_go, reply,
};

fn from_networks(networks: &[&str]) -> Value {
    let mut lease = granted(&[]);
    lease["limits"] = json!({"sources": networks});
    lease
}

#[wasm_bindgen_test(unsupported = test)]
fn a_credential_is_good_in_its_networks_only() {
    let mut connect = connect_required(&[]);
    connect["limits"] = json!({"sources": ["192.0.2.0/24"]});
    for lease in [from_networks(&["2001:db8::/32", "192.0.2.0/24"]), connect] {
        for (source, is_inside) in [
            (Some("192.0.2.7:40000"), true),
            (Some("[::ffff:192.0.2.7]:40000"), true),
            (Some("203.0.113.7:40000"), false),
            (Some("nonsense"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut gateway = Gateway::knowing(&lease);
            gateway.source = source.map(str::to_owned);
            let step = gateway.open_step(&call("search"));
            if is_inside {
                assert_eq!(step, Step::Wait, "{source:?}");
                continue;
            }
            let refused = reply(step);
            assert_eq!((refused.status, refused.details.as_str()), (403, "portcullis_source_not_allowed"));
            let stream = gateway.last_stream();
            let record = gateway.record(stream);
            let logged = ["caller", "decision", "rule"].map(|field| record[field].as_str());
            assert_eq!(logged, ["m1", "deny", "source_not_allowed"]);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn sessions_have_to_come_from_there_too() {
    let mut gateway = Gateway::knowing(&from_networks(&["192.0.2.0/24"]));
    gateway.source = Some("203.0.113.7:40000".into());
    for method in ["GET", "DELETE"] {
        let request = legacy_call("search").with(":method", method).with("mcp-session-id", "abc");
        assert_eq!(reply(gateway.open_bodiless(&request)).status, 403, "{method}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_network_that_cannot_be_read_admits_nobody() {
    let mut gateway = Gateway::knowing(&from_networks(&["everywhere", "192.0.2.7"]));
    gateway.source = Some("192.0.2.7:40000".into());
    assert_eq!(reply(gateway.open_step(&call("search"))).status, 403);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_address_is_asked_for_only_where_it_matters() {
    let mut gateway = Gateway::with_lease(&[]);
    let_go(&mut gateway, &call("search"));
    assert_eq!(gateway.source_asked(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_network_that_is_taken_away_meanwhile_counts() {
    let mut gateway = Gateway::knowing(&from_networks(&["192.0.2.0/24"]));
    gateway.source = Some("192.0.2.7:40000".into());
    let request = call("search");
    let stream = gateway.open(&request);
    gateway.news(&[Invalidation::Key(KEY_ID.into())]);
    assert_eq!(gateway.send_body(stream, &request.body), Step::Wait);
    let (id, _) = gateway.lease_call();
    let mut narrower = from_networks(&["198.51.100.0/24"]);
    narrower["revision"] = 2.into();
    gateway.answer(id, &narrower);
    assert_eq!(reply(gateway.resume(stream)).details, "portcullis_source_not_allowed");
}

/// A lease for an access token that may read: of the tools, `search` only.
fn reading() -> Value {
    let mut lease = granted(&denying("delete_*"));
    lease["caller"] = json!({
        "id": "m1", "name": "Ada", "credential": "access_token", "session_id": "ses_1", "client_id": "c1",
    });
    lease["limits"] = json!({"reading_tools": ["search"]});
    lease
}

fn reader() -> (Gateway, String) {
    let mut gateway = Gateway::ready();
    let token = access_token("mcp:read");
    let stream = gateway.open(&call("search").with_token(&token));
    let (id, question) = gateway.lease_call();
    assert_eq!(
        question["proof"],
        json!({"kind": "access_token", "session": "ses_1", "scopes": ["mcp:read"], "expires_at": 1_800_000_300_u64})
    );
    gateway.answer(id, &reading());
    gateway.leave(stream);
    (gateway, token)
}

fn asks_for_more(refused: &LocalReply) {
    assert_eq!((refused.status, refused.details.as_str()), (403, "portcullis_insufficient_scope"));
    let challenge =
        refused.headers.iter().find(|(name, _)| name == "www-authenticate").map(|(_, value)| value.as_str());
    let challenge = challenge.expect("a challenge");
    let expected = "Bearer realm=\"portcullis\", resource_metadata=\"https://gateway.example/.well-known/\
                    oauth-protected-resource/demo/mcp\", scope=\"mcp:read mcp:write\", error=\"insufficient_scope\"";
    assert!(challenge.starts_with(expected), "{challenge}");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_tool_that_writes_needs_the_scope_for_it() {
    for request in [call("create"), legacy_call("create")] {
        let (mut gateway, token) = reader();
        let stream = gateway.open(&request.with_token(&token));
        let refused = reply(gateway.send_body(stream, &request.body));
        asks_for_more(&refused);
        assert_eq!(
            (&body_of(&refused)["id"], &body_of(&refused)["error"]["code"]),
            (&json!(1), &json!(-31001))
        );
        let record = gateway.record(stream);
        let logged = ["name", "decision", "rule", "credential", "session_id", "client_id"];
        let logged = logged.map(|field| record[field].as_str());
        assert_eq!(logged, ["create", "deny", "insufficient_scope", "access_token", "ses_1", "c1"]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_reader_reads_and_sees_all_that_policy_leaves() {
    let (mut gateway, token) = reader();
    for request in [
        call("search"),
        Request::new("prompts/get", &json!({"name": "create"})),
        Request::new("tools/list", &json!({})),
    ] {
        let_go(&mut gateway, &request.with_token(&token));
    }
    let stream = let_go(&mut gateway, &Request::new("tools/list", &json!({})).with_token(&token));
    assert!(matches!(gateway.respond(stream, &[(":status", "200"), JSON]), ResponseHead::Replace(_)));
    let tools = json!([
        {"name": "search", "inputSchema": {}}, {"name": "create", "inputSchema": {}}, {"name": "delete_all", "inputSchema": {}},
    ]);
    let list = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).to_string();
    let shown = format!(
        "{:?}",
        String::from_utf8(match gateway.response_body(stream, list.as_bytes(), true) {
            portcullis_filter_core::step::ResponseChunk::Replace(bytes) => bytes,
            portcullis_filter_core::step::ResponseChunk::Keep => list.into_bytes(),
        })
    );
    assert!(shown.contains("search") && shown.contains("create") && !shown.contains("delete_all"), "{shown}");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_policy_denies_no_scope_brings_back() {
    let (mut gateway, token) = reader();
    let request = call("delete_all");
    let stream = gateway.open(&request.with_token(&token));
    let denied = reply(gateway.send_body(stream, &request.body));
    assert_eq!(
        (denied.status, denied.details.as_str()),
        (200, "portcullis_policy_denied"),
        "clients would ask in vain"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn without_the_scope_to_read_there_is_nothing_to_ask_the_token_service() {
    let mut gateway = Gateway::ready();
    asks_for_more(&reply(gateway.open_step(&call("search").with_token(&access_token("mcp:write")))));
    assert!(gateway.tick().is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_that_was_good_ends_with_its_sign_in() {
    let (mut gateway, token) = reader();
    let request = call("search").with_token(&token);
    let_go(&mut gateway, &request);
    gateway.news(&[Invalidation::Session("ses_1".into())]);
    let stream = gateway.open(&request);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &json!({"result": "denied", "reason": "unknown_credential"}));
    assert_eq!(reply(gateway.resume(stream)).status, 401);
}
