//! What a key takes away of its owner's rights, and keys that take each other's place.

use serde_json::{Value, json};

use crate::harness::{Service, key_of};

const REGISTRY: &str = "
workspaces:
  - slug: core
    members: [{issuer: 'https://idp.example', subject: ada, name: Ada}]
servers:
  - {slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, workspaces: all}
  - {slug: notes, url: 'https://notes.example/mcp', auth: {type: none}, workspaces: all}
";

async fn make(service: &Service, limits: Value) -> (String, String) {
    let made = service.post("/v1/workspaces/core/keys", json!({"name": "ci", "limits": limits})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made.body["api_key"]), text(&made.body["key"]["id"]))
}

#[tokio::test]
async fn a_key_is_good_for_its_servers_tools_and_networks() {
    let service = Service::start(REGISTRY).await;
    let limits = json!({"servers": ["docs"], "tools": {"deny": ["delete_*"]}, "sources": ["10.1.0.0/16"]});
    let (key, id) = make(&service, limits).await;
    let docs = service.server_id("docs").await;
    let shown = service.get(&format!("/v1/keys/{id}")).await.body;
    let expected = json!({"servers": [docs], "tools": {"deny": ["delete_*"]}, "read_only": false, "sources": ["10.1.0.0/16"]});
    assert_eq!(shown["limits"], expected);

    let lease = service.lease_with_key("docs", &key).await.body;
    assert_eq!(lease["limits"], json!({"sources": ["10.1.0.0/16"]}));
    assert_eq!(lease["policy"]["levels"], json!([{"level": "key", "tools": {"deny": ["delete_*"]}}]));
    let other = service.lease_with_key("notes", &key).await.body;
    assert_eq!(other["reason"], "unknown_server");

    let change = json!({"limits": {"servers": null, "tools": null, "sources": null}});
    let changed = service.patch(&format!("/v1/keys/{id}"), change).await;
    assert_eq!(changed.body["limits"], json!({"read_only": false}));
    let lease = service.lease_with_key("notes", &key).await.body;
    assert_eq!((&lease["result"], &lease["limits"]), (&json!("granted"), &Value::Null));
}

#[tokio::test]
async fn what_is_not_said_about_limits_stays() {
    let service = Service::start(REGISTRY).await;
    let (_, id) = make(&service, json!({"read_only": true, "sources": ["192.0.2.7/32"]})).await;
    let changed = service.patch(&format!("/v1/keys/{id}"), json!({"name": "new", "limits": {}})).await.body;
    assert_eq!(changed["limits"], json!({"read_only": true, "sources": ["192.0.2.7/32"]}));
    let changed =
        service.patch(&format!("/v1/keys/{id}"), json!({"limits": {"read_only": false}})).await.body;
    assert_eq!(changed["limits"], json!({"read_only": false, "sources": ["192.0.2.7/32"]}));
}

#[tokio::test]
async fn a_key_for_reading_allows_no_tool_of_which_nothing_is_known() {
    let service = Service::start(REGISTRY).await;
    let (key, _) = make(&service, json!({"read_only": true})).await;
    let lease = service.lease_with_key("docs", &key).await.body;
    assert_eq!(lease["policy"], json!({"levels": [{"level": "key", "read_only": true}]}));
}

#[tokio::test]
async fn every_fault_of_the_limits_is_named() {
    let service = Service::start(REGISTRY).await;
    let limits = json!({
        "servers": ["docs", "nowhere"], "tools": {"allow": ["", "x"]},
        "sources": ["10.0.0.1/8", "somewhere", "10.0.0.0/8"],
    });
    let refused = service.post("/v1/workspaces/core/keys", json!({"name": "", "limits": limits})).await;
    assert_eq!(refused.status, 422);
    let fields: Vec<&str> = refused.body["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .map(|problem| problem["field"].as_str().expect("a field"))
        .collect();
    let expected =
        ["name", "limits.servers[1]", "limits.tools.allow[0]", "limits.sources[0]", "limits.sources[1]"];
    assert_eq!(fields, expected);
    let unknown =
        service.post("/v1/workspaces/core/keys", json!({"name": "x", "limits": {"tool": []}})).await;
    assert_eq!(unknown.status, 422, "{}", unknown.text);
}

#[tokio::test]
async fn a_rotated_key_and_the_new_one_both_hold_for_a_while() {
    let service = Service::start(REGISTRY).await;
    let old = key_of(&service, "ada").await;
    let id = old.split('_').nth(2).expect("an id").to_owned();
    let policy = json!({"tools": {"deny": ["x"]}});
    assert_eq!(service.put(&format!("/v1/policies/key:{id}/docs"), policy).await.status, 200);
    let made = service.post(&format!("/v1/keys/{id}/rotate"), json!({"overlap_seconds": 60})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let new = made.body["api_key"].as_str().expect("a key");
    assert_eq!((&made.body["key"]["replaces"], &made.body["key"]["name"]), (&json!(id), &json!("an agent")));
    let policy_of = |lease: Value| lease["policy"].clone();
    let (of_old, of_new) =
        (service.lease_with_key("docs", &old).await.body, service.lease_with_key("docs", new).await.body);
    assert_eq!(of_old["caller"]["id"], of_new["caller"]["id"]);
    assert_eq!(policy_of(of_old), policy_of(of_new));
    service.clock.advance(60_000);
    assert_eq!(service.lease_with_key("docs", &old).await.body["reason"], "expired_credential");
    assert_eq!(service.lease_with_key("docs", new).await.body["result"], "granted");

    let too_long = service.post(&format!("/v1/keys/{id}/rotate"), json!({"overlap_seconds": 604_801})).await;
    assert_eq!(
        (too_long.status.as_u16(), &too_long.body["problems"][0]["field"]),
        (422, &json!("overlap_seconds"))
    );
    assert_eq!(service.post("/v1/keys/nobody/rotate", json!({})).await.status, 404);
}
