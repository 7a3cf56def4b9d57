//! The whole way in a real browser: from the link to the connection, and what the member does with it afterwards.

use portcullis_tests::browser::Browser;
use portcullis_tests::demo::{DESK, Demo, SHARED_DESK};
use portcullis_tests::mcp::Era;
use portcullis_tests::patience::within;
use portcullis_tests::provider::ledger::Event;
use portcullis_tests::seed::GRACE;
use portcullis_tests::stack::{Builder, Stack};

use super::{
    ADA, ADA_THERE, GRACE_NAME, GRACE_THERE, Setting, account_of, allow_as, complaints_of_ours, link_of,
    up_to_provider, whoami,
};

#[tokio::test]
async fn a_member_connects_once_and_nobody_else_does() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let demo = Demo::start().await?;
    let builder = Builder { servers: demo.servers(), members: vec![GRACE], ..Builder::default() };
    let stack = Stack::build(builder).await?;
    let people =
        [(&stack.seeded.key, ADA, ADA_THERE), (&stack.seeded.others[0].key, GRACE_NAME, GRACE_THERE)];
    for (key, name, account) in people {
        let told = whoami(&stack.agent_of(key, DESK, Era::Modern)).await;
        assert_eq!(told.answer()["result"]["isError"], true, "{told:?}");
        let person = browser.person(name).await;
        up_to_provider(&person, &link_of(&told), name).await;
        allow_as(&person, account).await;
        person.wait_for_url("/connected").await;
        assert!(person.text().await.contains("Connected"), "{}", person.text().await);
        assert_eq!(complaints_of_ours(&person, &stack).await, [""; 0]);
    }
    for (key, _, account) in people {
        assert_eq!(account_of(&whoami(&stack.agent_of(key, DESK, Era::Modern)).await), account);
    }
    assert_eq!(demo.desk.subjects_of("tools/call"), [ADA_THERE, GRACE_THERE]);
    let subjects: Vec<_> = demo.provider.ledger.authorizations().into_iter().map(|one| one.subject).collect();
    assert_eq!(subjects, [ADA_THERE, GRACE_THERE]);
    assert!(stack.filter_never_trapped().await, "the filter has trapped");

    // The other server of the demonstration is used with the gateway's own client.
    for (key, ..) in people {
        let shared = stack.agent_of(key, SHARED_DESK, Era::Modern);
        assert_eq!(account_of(&whoami(&shared).await), "portcullis");
    }
    assert_eq!(demo.machines.ledger.requests_of("client_credentials").len(), 1, "one token for everybody");
    Ok(())
}

#[tokio::test]
async fn a_member_sees_connections_and_connects_again_and_disconnects() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    let ada = browser.person("ada").await;
    up_to_provider(&ada, &link_of(&whoami(&agent).await), ADA).await;
    allow_as(&ada, ADA_THERE).await;
    ada.click("button", "Keep").await;
    ada.wait_for("region", "linear in Core").await;
    assert_eq!(ada.count("button", "Connect linear in Core").await, 0);

    // Again, with another account: from now on that one is used.
    ada.click("button", "Reconnect linear in Core").await;
    ada.wait_for_url("/authorize").await;
    allow_as(&ada, "ada-at-work@provider").await;
    ada.click("button", "Keep").await;
    assert_eq!(account_of(&whoami(&agent).await), "ada-at-work@provider");

    ada.click("button", "Disconnect linear in Core").await;
    ada.wait_for("button", "Connect linear in Core").await;
    assert_eq!(ada.count("button", "Disconnect linear in Core").await, 0);
    let revoked = |event: &Event| matches!(event, Event::Revoked { subject: Some(subject), .. } if subject == "ada-at-work@provider");
    within("the revocation at the provider", setting.provider.ledger.wait_for(revoked)).await;
    link_of(&whoami(&agent).await);
    assert_eq!(setting.connections().await[0]["state"], "disconnected");

    ada.click("button", "Sign out").await;
    ada.wait_for_url("/sign-in").await;
    assert_eq!(complaints_of_ours(&ada, &setting.stack).await, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn saying_no_at_the_provider_connects_nothing() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    let ada = browser.person("ada").await;
    up_to_provider(&ada, &link_of(&whoami(&agent).await), ADA).await;
    ada.click("button", "Deny").await;
    ada.wait_for_url("/callback/").await;
    assert_eq!(ada.status().await, 400);
    assert!(ada.text().await.contains("did not allow it"), "{}", ada.text().await);
    assert!(setting.provider.ledger.token_requests().is_empty());
    assert!(setting.connections().await.is_empty());

    // The page leads to where it can be tried again.
    ada.click("link", "Your connections").await;
    ada.click("button", "Connect linear in Core").await;
    ada.wait_for_url("/authorize").await;
    allow_as(&ada, ADA_THERE).await;
    ada.wait_for_url("/connected").await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
    Ok(())
}
