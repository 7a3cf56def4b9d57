//! Leases for the bearers of access tokens.

use serde_json::{Value, json};

use super::stand::{Ask, Stand};

fn ask(server: &str, workspace: Option<&str>, proof: &Value) -> Value {
    match workspace {
        Some(workspace) => json!({"server": server, "workspace": workspace, "proof": proof}),
        None => json!({"server": server, "proof": proof}),
    }
}

#[tokio::test]
async fn a_token_is_for_the_one_path_that_it_was_issued_for() {
    let mut stand = Stand::start().await;
    let proof = stand.sign_in().await.proof();
    let lease = stand.service.lease(&ask("open", Some("core"), &proof)).await.body;
    let member = stand.service.member_id("core", "ada").await;
    assert_eq!(
        lease["caller"],
        json!({
            "id": member, "name": "Ada Lovelace", "credential": "access_token", "session_id": proof["session"],
            "client_id": "desktop",
        })
    );
    assert_eq!((&lease["workspace"]["slug"], &lease["limits"]), (&json!("core"), &json!(null)));
    for (server, workspace) in
        [("open", None), ("open", Some("support")), ("notion", Some("core")), ("linear", None)]
    {
        let reply = stand.service.lease(&ask(server, workspace, &proof)).await.body;
        assert_eq!(reply["reason"], "not_for_this_server", "{server} {workspace:?}");
    }
    let unknown = json!({"kind": "access_token", "session": "ses_none", "scopes": ["mcp:read"], "expires_at": proof["expires_at"]});
    let reply = stand.service.lease(&ask("open", Some("core"), &unknown)).await.body;
    assert_eq!(reply["reason"], "unknown_credential");
    let opaque = json!({"kind": "opaque", "token": "x"});
    let reply = stand.service.lease(&ask("open", Some("core"), &opaque)).await.body;
    assert_eq!(reply["reason"], "unknown_credential");
}

#[tokio::test]
async fn reading_tools_are_all_that_a_reading_token_has() {
    let mut stand = Stand::start().await;
    let proof = stand.sign_in_for(&Ask::desktop().with("scope", "mcp:read")).await.proof();
    let request = ask("open", Some("core"), &proof);
    assert_eq!(
        stand.service.lease(&request).await.body["limits"],
        json!({"reading_tools": []}),
        "none is known to read"
    );
    let list = r#"{"tools": [{"name": "get", "annotations": {"readOnlyHint": true}}, {"name": "set"},
        {"name": "say", "annotations": {"readOnlyHint": "true"}}, {"annotations": {"readOnlyHint": true}}]}"#;
    let catalogue = portcullis_token_service::store::connections::Catalogue {
        learnt_at: crate::harness::START,
        results: [("tools/list".to_owned(), list.to_owned())].into(),
        cut: std::collections::BTreeSet::new(),
    };
    let id = stand.service.server_id("open").await;
    let store = stand.service.shared().store.clone();
    store.save_catalogue(&id.as_str().into(), &catalogue).await.expect("saves");
    assert_eq!(stand.service.lease(&request).await.body["limits"], json!({"reading_tools": ["get"]}));
}

#[tokio::test]
async fn no_lease_outlives_the_token_or_the_member() {
    let mut stand = Stand::start().await;
    let tokens = stand.sign_in().await;
    stand.service.clock.advance(295_000);
    let request = ask("open", Some("core"), &tokens.proof());
    assert_eq!(stand.service.lease(&request).await.body["ttl_ms"], 5_000);
    stand.service.clock.advance(5_000);
    assert_eq!(stand.service.lease(&request).await.body["reason"], "expired_credential");

    // A member of the API, who can be disabled.
    let member = json!({"issuer": "https://idp.example", "subject": "zoe", "name": "Zoe"});
    let made = stand.service.post("/v1/workspaces/core/members", member).await.id();
    stand.ada = crate::browser::Browser::signed_in(&stand.service, "Zoe").await;
    let tokens = stand.sign_in().await;
    assert_eq!(stand.lease(&tokens).await, "granted");
    stand.service.patch(&format!("/v1/members/{made}"), json!({"disabled": true})).await;
    assert_eq!(stand.lease(&tokens).await, "disabled_credential");
    assert_eq!(stand.refresh(&tokens.refresh).await.body["error"], "invalid_grant");
    stand.service.delete(&format!("/v1/members/{made}")).await;
    assert_eq!(stand.lease(&tokens).await, "unknown_credential");
}
