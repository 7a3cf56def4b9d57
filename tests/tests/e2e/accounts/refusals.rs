//! Whoever finishes a connection is who began it.

use portcullis_tests::mcp::Era;
use portcullis_tests::person::Person;

use super::{ADA, ADA_THERE, GRACE_NAME, Setting, account_of, link_of, sign_in, whoami};

#[tokio::test]
async fn somebody_else_cannot_use_the_link() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    let link = link_of(&whoami(&agent).await);
    setting.provider.approve_as(Some("grace@provider"));
    let page = sign_in(&Person::new(), &link, GRACE_NAME).await;
    assert_eq!(page.status, 403, "{}", page.text());
    assert!(!page.html.contains(ADA) && !page.html.contains("grace@provider"), "{}", page.html);
    // The link is burned, for Ada too.
    let page = Person::new().open(&link).await.expect("a page");
    assert_eq!(page.status, 410, "{}", page.text());
    assert!(setting.provider.ledger.token_requests().is_empty());
    assert!(setting.provider.ledger.authorizations().is_empty());
    // A new call brings a new link.
    let link = link_of(&whoami(&agent).await);
    setting.connect(&link, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);
}

#[tokio::test]
async fn a_captured_address_of_the_provider_or_of_the_way_back_is_of_no_use() {
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    let link = link_of(&whoami(&agent).await);
    let ada = Person::new();
    let consent = sign_in(&ada, &link, ADA).await;
    let leaving = ada.send(consent.form("Continue to").expect("a form")).await.expect("a page");
    let to_provider = leaving.onward().expect("readable").expect("an address");
    setting.provider.approve_as(Some("mallory@provider"));

    // Grace, signed in herself, opens what Ada's browser was sent to, and comes back with a code.
    let grace = Person::new();
    sign_in(&grace, &format!("{}/connections", setting.stack.public_url()), GRACE_NAME).await;
    let page = grace.open(to_provider.as_str()).await.expect("a page");
    assert_eq!(page.status, 403, "{}", page.text());
    assert!(setting.provider.ledger.token_requests().is_empty(), "a code was redeemed for the wrong person");

    // The flow is used up: Ada cannot be brought to finish it with the account of somebody else.
    let page = ada.open(page.url.as_str()).await.expect("a page");
    assert!((400..500).contains(&page.status), "{}", page.text());
    assert!(setting.provider.ledger.token_requests().is_empty());
    link_of(&whoami(&agent).await);
}
