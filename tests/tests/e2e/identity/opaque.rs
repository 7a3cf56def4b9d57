//! Tokens that only the company's identity provider can judge.

use std::time::Duration;

use anyhow::Context as _;
use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::oauth_client::{OAuthClient, Tokens};
use portcullis_tests::oidc::Oidc;
use portcullis_tests::patience::poll;
use portcullis_tests::person::Person;
use portcullis_tests::stack::{Builder, OPEN, SAMPLE, Stack};
use serde_json::json;

/// Somebody signs in at the provider's own pages and gets a token for `resource`.
async fn token(oidc: &Oidc, login: &str, resource: &str) -> anyhow::Result<Tokens> {
    let client = OAuthClient::register(&oidc.issuer()).await?;
    let person = Person::new();
    let page = person.open(&client.authorization_url(resource, "read")?).await?;
    let page = person.submit(page.form("Sign-in")?.with("login", login).with("password", "any")).await?;
    let mut page = person.send(page.form("Continue")?).await?;
    loop {
        let next = page.onward()?.with_context(|| format!("no way back from {}", page.url))?;
        if next.path() == "/callback" {
            return client.redeem(&next, resource).await;
        }
        page = person.get(next.as_str()).await?;
    }
}

#[tokio::test]
async fn such_a_token_is_enough_for_its_server_until_the_provider_says_otherwise() -> anyhow::Result<()> {
    let Some(oidc) = Oidc::start(Duration::from_mins(5)).await? else { return Ok(()) };
    let secrets = tempfile::tempdir()?;
    let issuers = json!([oidc.asked_about_tokens(&secrets.path().join("introspection"))?]);
    let stack = Stack::build(Builder { issuers, scripted: false, ..Builder::default() }).await?;
    let member = json!({"issuer": oidc.issuer(), "subject": "grace", "name": "Grace Hopper"});
    stack.admin().post("/v1/workspaces/core/members", member).await?;
    let resource = stack.url(SAMPLE);

    let held = token(&oidc, "grace", &resource).await?;
    assert!(!held.access.contains('.'), "it says nothing by itself");
    let agent = Agent::new(&resource, Some(&held.access), Era::Modern);
    let reply = agent.call_tool("whoami", json!({})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let record = stack.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!(
        (&record["credential"], &record["caller_name"]),
        (&json!("opaque_token"), &json!("Grace Hopper"))
    );
    // It is for that server's address, and the person behind another is nobody here.
    let elsewhere = agent.at(stack.url(OPEN), Era::Modern).call_tool("whoami", json!({})).await;
    assert_eq!(elsewhere.status, 401, "{elsewhere:?}");
    let stranger = token(&oidc, "mallory", &resource).await?;
    let stranger = agent.with_credential(Some(&stranger.access)).call_tool("whoami", json!({})).await;
    assert_eq!(stranger.status, 401, "{stranger:?}");

    oidc.expire(&held.access).await?;
    let refused = poll(async || {
        let reply = agent.call_tool("whoami", json!({})).await;
        (reply.status != 200).then_some(reply)
    });
    assert_eq!(refused.await.context("it is good for ever")?.status, 401);
    Ok(())
}
