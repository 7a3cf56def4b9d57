//! Every page as people see it: light, dark and on a small telephone. The pictures are left in `target/pages`, to be
//! looked at.

use std::path::PathBuf;

use portcullis_tests::artifacts::target_directory;
use portcullis_tests::browser::{Browser, Person, Window};
use portcullis_tests::mcp::Era;
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::shape::Shape;
use portcullis_tests::stack::{Builder, Stack};
use portcullis_tests::upstream::protected::Protected;
use serde_json::json;

use super::{
    ADA, ADA_THERE, GRACE_NAME, GRACE_THERE, LINEAR, Setting, allow_as, button_of, complaints_of_ours,
    link_of, oauth, server, whoami,
};

/// The narrowest window that pages have to fit (WCAG 2.2, 1.4.10).
const NARROW: Window = Window { width: 320, height: 640, dark: false };

/// A name that nobody has foreseen, and scopes as some providers spell them.
const LONG_NAME: &str = "Customer Relationship Management (Production, Europe-West)";
const LONG_SCOPES: [&str; 3] = [
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
    "https://www.googleapis.com/auth/calendar.events.freebusy",
    "openid",
];

/// Somebody's window, and where its pictures go.
struct Viewer {
    person: Person,
    window: &'static str,
    directory: PathBuf,
}

impl Viewer {
    /// Takes a picture of the page at hand, which fits the window.
    async fn look(&self, page: &str) {
        let path = self.directory.join(format!("{page}-{}.png", self.window));
        self.person.screenshot(&path).await;
        assert_eq!(self.person.overflow().await, 0, "{} is wider than the window", path.display());
    }

    /// [`Self::look`] at the page behind an address, which answers with this status.
    async fn look_at(&self, stack: &Stack, url: &str, status: u16, page: &str) {
        assert_eq!(self.person.goto(url).await, status, "{url}");
        self.look(page).await;
        let mut complaints = complaints_of_ours(&self.person, stack).await;
        // That a page came with an error is one.
        complaints.retain(|complaint| status < 400 || !complaint.contains("the server responded with"));
        assert_eq!(complaints, [""; 0], "{page}");
    }
}

/// Three servers: `linear`, one with a long name and long scopes, and one that asks a provider that is not there.
async fn setting() -> anyhow::Result<(Setting, Protected)> {
    let provider = Provider::start(Shape { scopes: LONG_SCOPES.to_vec(), ..Shape::linear() }).await?;
    let protected = Protected::behind(&provider).await?;
    let long = Protected::behind(&provider).await?;
    let nowhere = json!({"issuer": "http://127.0.0.1:9"});
    let auth = json!({"type": "oauth", "authorization_server": nowhere});
    let servers = vec![
        server(LINEAR, &protected, oauth()),
        server("crm", &long, json!({"type": "oauth", "scopes": LONG_SCOPES})),
        server("away", &long, auth),
    ];
    let setting = Setting::of(provider, protected, Builder { servers, ..Builder::default() }).await;
    setting.stack.admin().patch("/v1/servers/crm", json!({"name": LONG_NAME})).await?;
    Ok((setting, long))
}

async fn every_page(browser: &Browser, window: &'static str, shape: Window) -> anyhow::Result<()> {
    let directory = target_directory()?.join("pages");
    std::fs::create_dir_all(&directory)?;
    let (setting, _long) = setting().await?;
    let person = browser.person_at(window, shape).await;
    let viewer = Viewer { person, window, directory };
    to_a_connection(&viewer, &setting).await;
    what_is_connected(&viewer, &setting).await?;
    troubles(&viewer, &setting).await;
    Ok(())
}

async fn to_a_connection(viewer: &Viewer, setting: &Setting) {
    let agent = setting.stack.agent("crm", Era::Modern);
    let link = link_of(&whoami(&agent).await);
    let ada = &viewer.person;
    viewer.look_at(&setting.stack, &link, 200, "sign-in").await;
    ada.click("button", &button_of(ADA)).await;
    ada.wait_for("button", "Continue to 127.0.0.1").await;
    viewer.look("consent").await;
    ada.click("button", "Continue to 127.0.0.1").await;
    ada.wait_for_url("/authorize").await;
    allow_as(ada, ADA_THERE).await;
    ada.wait_for_url("/connected").await;
    viewer.look("connected").await;
    ada.click("button", "Keep").await;
    ada.wait_for("heading", "Your connections").await;
}

async fn what_is_connected(viewer: &Viewer, setting: &Setting) -> anyhow::Result<()> {
    let (ada, admin) = (&viewer.person, setting.stack.admin());
    viewer.look("connections").await;
    // The server moves, and another one ends the connection.
    let connections = format!("{}/connections", setting.stack.public_url());
    ada.click("button", "Connect linear in Core").await;
    ada.wait_for_url("/authorize").await;
    allow_as(ada, ADA_THERE).await;
    ada.wait_for_url("/connected").await;
    setting.provider.withdraw(ADA_THERE);
    link_of(&whoami(&setting.stack.agent("crm", Era::Modern)).await);
    admin.patch("/v1/servers/linear", json!({"url": "http://127.0.0.1:9/mcp", "allow_http": true})).await?;
    viewer.look_at(&setting.stack, &connections, 200, "connections-in-trouble").await;
    Ok(())
}

async fn troubles(viewer: &Viewer, setting: &Setting) {
    let (ada, stack) = (&viewer.person, &setting.stack);
    viewer.look_at(stack, &format!("{}/connections/nothing", stack.public_url()), 404, "not-found").await;
    let grace = stack.agent_of(&stack.seeded.others[0].key, "crm", Era::Modern);
    let link = link_of(&whoami(&grace).await);
    viewer.look_at(stack, &link, 403, "wrong-person").await;
    viewer.look_at(stack, &link, 410, "link-over").await;
    let link = link_of(&whoami(&stack.agent("away", Era::Modern)).await);
    viewer.look_at(stack, &link, 502, "provider-down").await;
    assert!(!ada.html().await.contains(GRACE_NAME) && !ada.html().await.contains(GRACE_THERE));

    // What is shown on the way to the provider, for browsers that do not go on by themselves.
    ada.stay_off("/authorize").await;
    ada.goto(&format!("{}/connections", stack.public_url())).await;
    ada.click("button", &format!("Reconnect {LONG_NAME} in Core")).await;
    ada.wait_for("link", "Continue to 127.0.0.1").await;
    viewer.look("onward").await;
}

#[tokio::test]
async fn every_page_fits_and_nothing_is_complained_about() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    every_page(&browser, "light", Window::default()).await?;
    every_page(&browser, "dark", Window { dark: true, ..Window::default() }).await?;
    every_page(&browser, "narrow", NARROW).await
}
