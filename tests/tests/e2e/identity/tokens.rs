//! What an access token of the gateway is good for, and how it ends.

use portcullis_tests::mcp::Era;
use portcullis_tests::oauth_client::tokens;
use portcullis_tests::patience::poll;
use portcullis_tests::stack::{OPEN, SAMPLE};
use portcullis_tests::upstream::journal::Entry;
use serde_json::{Value, json};

use super::Setting;

const EVERYTHING: &str = "mcp:read mcp:write";

#[tokio::test]
async fn it_is_good_for_one_server_until_its_sign_in_is_ended() -> anyhow::Result<()> {
    let setting = Setting::start().await;
    let (client, mut held) = setting.tokens(SAMPLE, EVERYTHING).await;
    assert_eq!(held.scope, EVERYTHING);
    let agent = setting.agent_with(SAMPLE, &held.access, Era::Modern);
    assert_eq!(agent.call_tool("whoami", json!({})).await.status, 200);
    for path in [format!("/{OPEN}/mcp"), format!("/core/{SAMPLE}/mcp")] {
        let elsewhere =
            setting.agent_with(SAMPLE, &held.access, Era::Modern).at(setting.url(&path), Era::Modern);
        let reply = elsewhere.call_tool("whoami", json!({})).await;
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(
            reply.header("www-authenticate").is_some_and(|text| text.contains("invalid_token")),
            "{reply:?}"
        );
    }
    // Neither of the other things that the client holds is an access token.
    for other in [&held.refresh, &client.id] {
        let reply = setting.agent_with(SAMPLE, other, Era::Modern).call_tool("whoami", json!({})).await;
        assert_eq!(reply.status, 401, "{reply:?}");
    }

    let renewed: Value = client.refresh(&held.refresh).await?.error_for_status()?.json().await?;
    held = tokens(&renewed)?;
    let agent = setting.agent_with(SAMPLE, &held.access, Era::Modern);
    let reply = agent.call_tool("whoami", json!({})).await;
    assert_eq!(reply.status, 200);
    let record = setting.stack.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!(record["client_id"], client.id.as_str(), "{record}");
    let session = record["session_id"].as_str().expect("a sign-in");

    setting.stack.admin().delete(&format!("/v1/sessions/{session}?wait=applied")).await?;
    let reply = agent.call_tool("whoami", json!({})).await;
    assert_eq!(reply.status, 401, "the very next request");
    let refused = client.refresh(&held.refresh).await?;
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.json::<Value>().await?["error"], "invalid_grant");
    Ok(())
}

#[tokio::test]
async fn who_may_only_read_sees_all_and_is_asked_for_more_when_it_writes() {
    let setting = Setting::start().await;
    let (_, held) = setting.tokens(SAMPLE, "mcp:read").await;
    assert_eq!(held.scope, "mcp:read");
    let reader = setting.agent_with(SAMPLE, &held.access, Era::Modern);
    let listed = reader.call("tools/list", json!({})).await;
    assert_eq!(listed.status, 200);
    assert!(listed.body.contains("whoami") && !listed.body.contains("delete_issue"), "{listed:?}");
    setting.stack.sample.journal.clear();
    let refused = reader.call_tool("create_issue", json!({"title": "x"})).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let challenge = refused.header("www-authenticate").expect("a challenge");
    for part in [
        "error=\"insufficient_scope\"",
        "scope=\"mcp:read mcp:write\"",
        &format!(
            "resource_metadata=\"{}\"",
            setting.url(&format!("/.well-known/oauth-protected-resource/{SAMPLE}/mcp"))
        ),
    ] {
        assert!(challenge.contains(part), "{challenge}");
    }
    assert_eq!(refused.answer()["error"]["code"], -31001, "{refused:?}");
    // The service itself asks which of its tools only read; from then on those can be called.
    let answered = poll(async || {
        let reply = reader.call_tool("whoami", json!({})).await;
        (reply.status != 403).then_some(reply)
    });
    let answered = answered.await.expect("the catalogue is learnt");
    assert_eq!(answered.status, 200, "{answered:?}");
    let refused = reader.call_tool("create_issue", json!({"title": "x"})).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    let called = |entry: &Entry| entry.rpc_method().as_deref() == Some("tools/call");
    let calls: Vec<Entry> = setting.stack.sample.journal.entries().into_iter().filter(called).collect();
    assert!(calls.len() == 1 && calls[0].contains("whoami"), "{calls:?}");
}
