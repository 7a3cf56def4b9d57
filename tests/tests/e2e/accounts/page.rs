//! The page on which members see what is connected.

use portcullis_tests::mcp::Era;
use portcullis_tests::person::Person;
use portcullis_tests::provider::ledger::Event;

use super::{ADA, ADA_THERE, Setting, account_of, link_of, sign_in, whoami};

#[tokio::test]
async fn a_member_disconnects_and_the_provider_is_told() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    setting.connected(&agent, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);

    let person = Person::new();
    let connections = format!("{}/connections", setting.stack.public_url());
    let page = sign_in(&person, &connections, ADA).await;
    assert!(page.text().contains("linear"), "{}", page.text());
    let page = person.press(&page, "Disconnect").await.expect("a page");
    assert_eq!(page.status, 200, "{}", page.text());
    let told = whoami(&agent).await;
    link_of(&told);
    portcullis_tests::patience::within(
        "the revocation at the provider",
        setting.provider.ledger.wait_for(|event| matches!(event, Event::Revoked { .. })),
    )
    .await;

    // And again without an agent.
    setting.provider.approve_as(Some(ADA_THERE));
    let page = person.press(&page, "Connect").await.expect("a way on");
    assert!(page.text().contains("Connected"), "{}", page.text());
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
}
