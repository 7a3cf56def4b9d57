//! What API keys take away of their owner's rights, from the admin API to the call.

use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::patience::poll;
use portcullis_tests::stack::{OPEN, SAMPLE};
use serde_json::{Value, json};

use super::Setting;

/// A key of Ada's: itself and its id.
async fn key(setting: &Setting, limits: Value) -> (String, String) {
    let body = json!({"name": "limited", "member": setting.stack.seeded.member, "limits": limits});
    let made = setting.stack.admin().post("/v1/workspaces/core/keys", body).await.expect("a key");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made["api_key"]), text(&made["key"]["id"]))
}

async fn calls(agent: &Agent, tool: &str) -> u16 {
    agent.call_tool(tool, json!({"title": "x"})).await.status
}

#[tokio::test]
async fn a_key_is_good_for_some_servers_and_from_some_networks() {
    let setting = Setting::start().await;
    let (text, id) = key(&setting, json!({"servers": [SAMPLE], "sources": ["192.0.2.0/24"]})).await;
    let agent = setting.agent_with(SAMPLE, &text, Era::Modern);
    let reply = agent.call_tool("whoami", json!({})).await;
    assert_eq!(reply.status, 403, "{reply:?}");
    assert_eq!(reply.answer()["error"]["data"]["reason"], "source_not_allowed");
    let change = json!({"limits": {"sources": ["127.0.0.0/8", "::1/128"]}});
    setting.stack.admin().patch(&format!("/v1/keys/{id}?wait=applied"), change).await.expect("changes");
    assert_eq!(calls(&agent, "whoami").await, 200);
    assert_eq!(calls(&setting.agent_with(OPEN, &text, Era::Modern), "whoami").await, 404);
}

#[tokio::test]
async fn a_key_for_reading_finds_and_calls_nothing_else() {
    let setting = Setting::start().await;
    let (text, _) = key(&setting, json!({"read_only": true})).await;
    let agent = setting.agent_with(SAMPLE, &text, Era::Modern);
    // The service asks the server which of its tools only read; until then none does.
    let listed = poll(async || {
        let listed = agent.call("tools/list", json!({})).await.body;
        listed.contains("whoami").then_some(listed)
    });
    let listed = listed.await.expect("the catalogue is learnt");
    assert!(!listed.contains("create_issue"), "{listed}");
    assert_eq!(calls(&agent, "whoami").await, 200);
    let refused = agent.call_tool("create_issue", json!({"title": "x"})).await;
    assert_eq!(refused.answer()["error"]["code"], -32602, "as a tool that does not exist: {refused:?}");
}

#[tokio::test]
async fn a_rotated_key_and_its_successor_are_both_good_for_a_while() {
    let setting = Setting::start().await;
    let (old, id) = key(&setting, json!({})).await;
    let admin = setting.stack.admin();
    let made = admin.post(&format!("/v1/keys/{id}/rotate"), json!({})).await.expect("rotates");
    let new = made["api_key"].as_str().expect("a key").to_owned();
    for text in [&old, &new] {
        assert_eq!(calls(&setting.agent_with(SAMPLE, text, Era::Modern), "whoami").await, 200);
    }
    let successor = made["key"]["id"].as_str().expect("an id");
    admin
        .post(&format!("/v1/keys/{successor}/rotate"), json!({"overlap_seconds": 0}))
        .await
        .expect("rotates");
    let agent = setting.agent_with(SAMPLE, &new, Era::Modern);
    let refused = poll(async || (calls(&agent, "whoami").await == 401).then_some(()));
    refused.await.expect("it ends at once, as soon as the filter has heard of it");
}
