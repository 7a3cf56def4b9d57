//! The first call of a member: each kind of client is told in its own words, and its next call works.

use portcullis_tests::mcp::{Agent, Era, LATEST_LEGACY, Reply};
use portcullis_tests::upstream::protected::desk::{RENAME, RENAME_STATE};
use serde_json::{Value, json};

use super::{ADA, ADA_THERE, GRACE_NAME, GRACE_THERE, LINEAR, Setting, account_of, link_of, whoami};

/// A modern client that can open addresses.
fn with_urls(mut params: Value) -> Value {
    params["_meta"] =
        json!({"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}, "url": {}}}});
    params
}

async fn call_with_urls(agent: &Agent, extra: Value) -> Reply {
    let mut params = json!({"name": "whoami", "arguments": {}});
    if let (Some(params), Some(extra)) = (params.as_object_mut(), extra.as_object()) {
        params.extend(extra.clone());
    }
    agent.call("tools/call", with_urls(params)).await
}

#[tokio::test]
async fn a_modern_client_is_asked_to_open_the_link_and_goes_on() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    let asked = call_with_urls(&agent, json!({})).await;
    let result = &asked.answer()["result"];
    assert_eq!((asked.status, &result["resultType"]), (200, &json!("input_required")), "{asked:?}");
    let question = &result["inputRequests"]["portcullis_connect"];
    assert_eq!(
        (&question["method"], &question["params"]["mode"]),
        (&json!("elicitation/create"), &json!("url"))
    );
    assert!(setting.protected.subjects_of("tools/call").is_empty());

    setting.connect(&link_of(&asked), ADA, ADA_THERE).await;
    let answer = json!({
        "requestState": result["requestState"],
        "inputResponses": {"portcullis_connect": {"action": "accept"}},
    });
    let done = call_with_urls(&agent, answer).await;
    assert_eq!(account_of(&done), ADA_THERE, "{done:?}");
    let seen = setting.protected.journal.entries();
    let call = seen.iter().find(|entry| format!("{entry:?}").contains("whoami")).expect("the call");
    assert!(!format!("{call:?}").contains("pcl-state."), "the gateway's state reached the server: {call:?}");

    let record = setting.stack.envoy.access_log.record_of(asked.request_id()).await;
    assert_eq!(record["decision"], "connect_required", "{record}");
    let link = link_of(&asked);
    let ticket = link.rsplit('/').next().expect("a ticket");
    assert!(!setting.stack.envoy.access_log.text().contains(ticket), "the log holds the link");
    assert!(setting.stack.filter_never_trapped().await);
}

#[tokio::test]
async fn a_modern_client_without_the_capability_gets_the_link_as_text() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    let told = whoami(&agent).await;
    let answer = told.answer();
    assert_eq!((told.status, &answer["result"]["isError"]), (200, &json!(true)), "{told:?}");
    assert_eq!(answer["result"]["resultType"], "complete");
    setting.connect(&link_of(&told), ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
}

#[tokio::test]
async fn a_client_of_2025_11_25_keeps_its_session_over_the_consent() {
    let setting = Setting::start().await;
    let mut agent = setting.agent(Era::Legacy(LATEST_LEGACY));
    agent.initialize_with(json!({"elicitation": {"form": {}, "url": {}}})).await;
    let session = agent.session().expect("a session").to_owned();
    let told = whoami(&agent).await;
    let error = &told.answer()["error"];
    assert_eq!((told.status, &error["code"]), (200, &json!(-32042)), "{told:?}");
    assert_eq!(error["data"]["elicitations"][0]["mode"], "url");
    setting.connect(&link_of(&told), ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    assert_eq!(agent.session(), Some(session.as_str()));
    // One handshake stands behind the session, however many calls it has.
    let handshakes = setting.protected.subjects_of("initialize");
    assert!((1..=2).contains(&handshakes.len()), "the catalogue's and the session's: {handshakes:?}");
}

#[tokio::test]
async fn older_clients_get_the_link_as_text() {
    for version in ["2025-06-18", "2025-03-26"] {
        let setting = Setting::start().await;
        let mut agent = setting.agent(Era::Legacy(version));
        agent.initialize().await;
        let told = whoami(&agent).await;
        assert_eq!((told.status, &told.answer()["result"]["isError"]), (200, &json!(true)), "{told:?}");
        setting.connect(&link_of(&told), ADA, ADA_THERE).await;
        assert_eq!(account_of(&whoami(&agent).await), ADA_THERE, "{version}");
    }
}

#[tokio::test]
async fn lists_come_from_what_others_have_made_known() {
    let setting = Setting::start().await;
    let (ada, grace) = (setting.agent(Era::Modern), setting.graces_agent(Era::Modern));
    let unknown = grace.call("tools/list", json!({})).await;
    let error = &unknown.answer()["error"];
    assert_eq!((unknown.status, &error["code"]), (200, &json!(-31002)), "{unknown:?}");
    assert!(error["data"]["authorizationUrl"].as_str().is_some_and(|url| url.contains("/connect/")));

    setting.connected(&ada, ADA, ADA_THERE).await;
    let known = portcullis_tests::patience::poll(async || {
        let reply = grace.call("tools/list", json!({})).await;
        reply.answer()["result"]["tools"].is_array().then_some(reply)
    });
    let known = known.await.expect("a catalogue");
    let tools = known.listed("tools");
    assert!(tools.contains(&"whoami".to_owned()) && !tools.contains(&"delete_issue".to_owned()), "{tools:?}");
    assert_eq!(known.answer()["result"]["cacheScope"], "private");
    // What is denied is denied before anybody is asked to connect.
    let denied = grace.call_tool("delete_issue", json!({"id": "PC-1"})).await;
    assert_eq!(denied.answer()["error"]["code"], -32602, "{denied:?}");
    assert!(setting.protected.subjects_of("tools/call").is_empty());
}

#[tokio::test]
async fn what_the_server_had_asked_is_put_back() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    let rename = json!({"name": RENAME, "arguments": {"id": "PC-1"}});
    let asked = agent.call("tools/call", with_urls(rename.clone())).await;
    let theirs = asked.answer()["result"].clone();
    assert_eq!(theirs["requestState"], RENAME_STATE, "{asked:?}");
    let key = theirs["inputRequests"]
        .as_object()
        .and_then(|asked| asked.keys().next().cloned())
        .expect("a question");

    // The account is gone before the answer comes, so the gateway asks in between.
    setting.provider.withdraw(ADA_THERE);
    let mut answered = rename.clone();
    answered["requestState"] = theirs["requestState"].clone();
    answered["inputResponses"] = json!({ key: {"action": "accept", "content": {"title": "New title"}} });
    let again = agent.call("tools/call", with_urls(answered)).await;
    let ours = again.answer()["result"].clone();
    assert!(ours["requestState"].as_str().is_some_and(|state| state.starts_with("pcl-state.")), "{again:?}");

    setting.connect(&link_of(&again), ADA, ADA_THERE).await;
    let mut retried = rename;
    retried["requestState"] = ours["requestState"].clone();
    retried["inputResponses"] = json!({"portcullis_connect": {"action": "accept"}});
    let done = agent.call("tools/call", with_urls(retried)).await;
    assert!(done.answer()["result"].to_string().contains("New title"), "{done:?}");
}

#[tokio::test]
async fn two_members_use_their_own_accounts() {
    let setting = Setting::start().await;
    let (ada, grace) = (setting.agent(Era::Modern), setting.graces_agent(Era::Modern));
    setting.connected(&ada, ADA, ADA_THERE).await;
    // Ada's consent is not Grace's.
    let told = whoami(&grace).await;
    setting.connect(&link_of(&told), GRACE_NAME, GRACE_THERE).await;
    for _ in 0..5 {
        assert_eq!(account_of(&whoami(&ada).await), ADA_THERE);
        assert_eq!(account_of(&whoami(&grace).await), GRACE_THERE);
    }
    // The gateway registered itself once for both.
    let clients: std::collections::BTreeSet<String> =
        setting.provider.ledger.authorizations().into_iter().map(|given| given.client_id).collect();
    assert_eq!(clients.len(), 1, "{clients:?}");
    assert_eq!(setting.stack.server_id(LINEAR).get(..4), Some("srv_"));
}
