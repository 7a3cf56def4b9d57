//! The way to a connection without a mouse.

use portcullis_tests::browser::{Browser, Person};
use portcullis_tests::mcp::Era;

use super::{ADA, ADA_THERE, Setting, account_of, button_of, link_of, whoami};

/// More stops than any page has.
const MOST_STOPS: usize = 20;

/// Tabs to what is called so, past what comes before, and sees at every stop where the focus is.
async fn tab_to(person: &Person, name: &str) -> Vec<String> {
    let mut passed = Vec::new();
    for _ in 0..MOST_STOPS {
        person.press("Tab").await;
        let focused = person.focused().await;
        assert!(focused.visible, "nobody can see that the focus is on {focused:?}");
        if focused.name == name {
            return passed;
        }
        passed.push(focused.name);
    }
    panic!("{name} cannot be reached with the keyboard, only {passed:?}");
}

#[tokio::test]
async fn everything_can_be_reached_and_seen_with_the_keyboard() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let setting = Setting::start().await;
    let agent = setting.agent(Era::Modern);
    let ada = browser.person("ada").await;
    ada.goto(&link_of(&whoami(&agent).await)).await;
    assert_eq!(tab_to(&ada, &button_of(ADA)).await, ["Portcullis"]);
    ada.press("Enter").await;
    ada.wait_for("button", "Continue to 127.0.0.1").await;
    assert_eq!(tab_to(&ada, "Continue to 127.0.0.1").await, ["Portcullis", "Sign out"]);
    ada.press("Enter").await;
    ada.wait_for_url("/authorize").await;

    // The provider's own page, which is not what is looked at here.
    ada.fill("Account", ADA_THERE).await;
    ada.press("Enter").await;
    ada.wait_for_url("/connected").await;
    assert_eq!(tab_to(&ada, "Keep").await, ["Portcullis", "Sign out"]);
    ada.press("Enter").await;
    ada.wait_for("button", "Disconnect linear in Core").await;
    assert_eq!(account_of(&whoami(&agent).await), ADA_THERE);

    let passed = tab_to(&ada, "Disconnect linear in Core").await;
    assert_eq!(passed, ["Portcullis", "Sign out", "Set up a client", "Reconnect linear in Core"]);
    ada.press("Space").await;
    ada.wait_for("button", "Connect linear in Core").await;
    link_of(&whoami(&agent).await);
    Ok(())
}
