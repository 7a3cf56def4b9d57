//! Two people at a browser each: what is the one's is of no use to the other.

use portcullis_tests::browser::{self, Browser};
use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::person::Person;

use super::{
    ADA, ADA_THERE, GRACE_NAME, GRACE_THERE, Setting, account_of, allow_as, button_of, link_of,
    up_to_provider, whoami,
};

/// Ada's agent, Ada at a browser, and Grace at another, signed in already.
struct Two {
    setting: Setting,
    agent: Agent,
    ada: browser::Person,
    grace: browser::Person,
}

impl Two {
    /// `None` without a browser.
    async fn start() -> anyhow::Result<Option<Self>> {
        let Some(browser) = Browser::start().await? else { return Ok(None) };
        let setting = Setting::start().await;
        let (ada, grace) = (browser.person("ada").await, browser.person("grace").await);
        grace.goto(&format!("{}/connections", setting.stack.public_url())).await;
        grace.click("button", &button_of(GRACE_NAME)).await;
        grace.wait_for("button", "Connect linear in Core").await;
        Ok(Some(Self { agent: setting.agent(Era::Modern), setting, ada, grace }))
    }

    async fn link(&self) -> String {
        link_of(&whoami(&self.agent).await)
    }

    /// Grace sees a page that names nobody, and nothing was redeemed or stored.
    async fn refused_to_grace(&self, words: &str) {
        let text = self.grace.text().await;
        assert_eq!((self.grace.status().await, text.contains(words)), (403, true), "{text}");
        self.names_nobody().await;
        assert!(self.setting.provider.ledger.token_requests().is_empty(), "a code was redeemed");
        assert!(self.setting.connections().await.is_empty(), "something was stored");
    }

    async fn names_nobody(&self) {
        let html = self.grace.html().await;
        for name in [ADA, ADA_THERE, GRACE_THERE, "Ada", self.setting.stack.seeded.member.as_str()] {
            assert!(!html.contains(name), "{name}: {html}");
        }
    }

    /// Ada gets a new link, and her own account by it.
    async fn ada_can_still_connect(&self) {
        let setting = &self.setting;
        let link = self.link().await;
        assert_eq!(self.ada.goto(&link).await, 200);
        self.ada.click("button", "Continue to 127.0.0.1").await;
        self.ada.wait_for_url("/authorize").await;
        allow_as(&self.ada, ADA_THERE).await;
        self.ada.wait_for_url("/connected").await;
        assert_eq!(account_of(&whoami(&self.agent).await), ADA_THERE);
        link_of(&whoami(&setting.graces_agent(Era::Modern)).await);
        // What is left of the link is of no use, to Ada neither.
        assert_eq!(self.ada.goto(&link).await, 410);
        assert_eq!(setting.provider.ledger.requests_of("authorization_code").len(), 1);
    }
}

#[tokio::test]
async fn the_link_of_somebody_else_shows_nothing_and_is_burned() -> anyhow::Result<()> {
    let Some(two) = Two::start().await? else { return Ok(()) };
    let link = two.link().await;
    two.grace.goto(&link).await;
    two.refused_to_grace("made for somebody else").await;
    assert!(two.setting.provider.ledger.authorizations().is_empty());

    // Burned, for Ada too, who is not signed in and is not asked to be.
    assert_eq!(two.ada.goto(&link).await, 410);
    two.ada.goto(&format!("{}/connections", two.setting.stack.public_url())).await;
    two.ada.click("button", &button_of(ADA)).await;
    two.ada.wait_for("button", "Connect linear in Core").await;
    two.ada_can_still_connect().await;
    Ok(())
}

#[tokio::test]
async fn an_account_given_for_somebody_else_is_not_taken() -> anyhow::Result<()> {
    let Some(two) = Two::start().await? else { return Ok(()) };
    up_to_provider(&two.ada, &two.link().await, ADA).await;
    let at_provider = two.ada.url().await;

    // Grace opens what Ada's browser was sent to, and allows it with her own account.
    assert_eq!(two.grace.goto(&at_provider).await, 200);
    allow_as(&two.grace, GRACE_THERE).await;
    two.grace.wait_for_url("/callback/").await;
    assert_eq!(two.setting.provider.ledger.authorizations().len(), 1, "there is a code");
    two.refused_to_grace("not begun in this browser").await;
    two.ada_can_still_connect().await;
    Ok(())
}

#[tokio::test]
async fn the_way_back_of_somebody_else_is_of_no_use() -> anyhow::Result<()> {
    let Some(two) = Two::start().await? else { return Ok(()) };
    up_to_provider(&two.ada, &two.link().await, ADA).await;
    // Ada allows it, and the address that she would come back by is captured on the way.
    let thief = Person::new();
    let page = thief.get(&two.ada.url().await).await?;
    let allowed = thief.send(page.form("Allow")?.with("subject", ADA_THERE)).await?;
    let way_back = allowed.onward()?.expect("a way back").to_string();

    two.grace.goto(&way_back).await;
    two.refused_to_grace("not begun in this browser").await;
    // The flow is used up, also for the browser that began it.
    assert_eq!(two.ada.goto(&way_back).await, 400);
    assert!(two.setting.provider.ledger.token_requests().is_empty(), "a code was redeemed");
    two.ada_can_still_connect().await;
    Ok(())
}
