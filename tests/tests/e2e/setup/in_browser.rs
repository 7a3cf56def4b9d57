//! The page as people see and use it. The pictures are left in `target/pages`, to be looked at.

use portcullis_tests::artifacts::target_directory;
use portcullis_tests::browser::{Browser, Person, Window};
use portcullis_tests::stack::SAMPLE;

use crate::accounts::ADA;
use crate::identity::Setting;

/// More stops than the page has with everything closed.
const MOST_STOPS: usize = 60;

const WINDOWS: [(&str, Window); 3] = [
    ("light", Window { width: 1024, height: 768, dark: false }),
    ("dark", Window { width: 1024, height: 768, dark: true }),
    ("narrow", Window { width: 320, height: 640, dark: false }),
];

async fn signed_in(browser: &Browser, setting: &Setting, name: &str, window: Window) -> Person {
    let person = browser.person_at(name, window).await;
    assert_eq!(person.goto(&format!("{}/setup", setting.stack.public_url())).await, 200);
    person.click("button", &format!("{ADA} Core")).await;
    person.wait_for("heading", "Set up a client").await;
    person
}

/// Tabs on to what is called so, and sees at every stop where the focus is.
async fn tab_to(person: &Person, name: &str) {
    let mut passed = Vec::new();
    for _ in 0..MOST_STOPS {
        person.press("Tab").await;
        let focused = person.focused().await;
        assert!(focused.visible, "nobody can see that the focus is on {focused:?}");
        if focused.name == name {
            return;
        }
        passed.push(focused.name);
    }
    panic!("{name} cannot be reached with the keyboard, only {passed:?}");
}

#[tokio::test]
async fn it_fits_every_window() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let directory = target_directory()?.join("pages");
    std::fs::create_dir_all(&directory)?;
    let setting = Setting::with_workers(1).await;
    for (name, window) in WINDOWS {
        let ada = signed_in(&browser, &setting, name, window).await;
        let picture = |page: &str| directory.join(format!("{page}-{name}.png"));
        ada.screenshot(&picture("setup")).await;
        assert_eq!(ada.overflow().await, 0, "{name}");
        ada.click("link", "Set up a client for desk in Core").await;
        ada.wait_for("heading", "Before you begin").await;
        ada.screenshot(&picture("setup-server")).await;
        assert_eq!(ada.overflow().await, 0, "{name}");
        // Everything opened is as wide as it gets.
        for client in ["Claude Code", "Claude Desktop", "Cursor", "VS Code", "Codex CLI"] {
            tab_to(&ada, client).await;
            ada.press("Enter").await;
        }
        ada.screenshot(&picture("setup-server-open")).await;
        assert_eq!(ada.overflow().await, 0, "{name}");
        let complaints = ada.complaints().await;
        let ours: Vec<_> = complaints.iter().filter(|text| text.contains("/setup")).collect();
        assert!(ours.is_empty(), "{ours:?}");
        ada.leave().await;
    }
    Ok(())
}

#[tokio::test]
async fn one_click_selects_a_text_and_no_more() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let setting = Setting::with_workers(1).await;
    let ada = signed_in(&browser, &setting, "ada", Window::default()).await;
    ada.click("link", &format!("Set up a client for {SAMPLE} in Core")).await;
    ada.wait_for("heading", "Before you begin").await;
    let address = ada.selected_by_click("pre[data-snippet=address] code").await;
    assert_eq!(address.trim_end(), setting.stack.url(SAMPLE));
    tab_to(&ada, "Cursor").await;
    ada.press("Enter").await;
    let selected = ada.selected_by_click("pre[data-snippet='cursor/api-key/2'] code").await;
    let text = ada.html().await;
    assert_eq!(selected.trim_end(), super::snippets(&text)["cursor/api-key/2"]);
    Ok(())
}

/// From the connections to a text that can be copied, and back.
#[tokio::test]
async fn everything_can_be_done_with_the_keyboard() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let setting = Setting::with_workers(1).await;
    let ada = signed_in(&browser, &setting, "ada", Window::default()).await;
    tab_to(&ada, "Your connections").await;
    ada.press("Enter").await;
    ada.wait_for("heading", "Your connections").await;
    tab_to(&ada, "Set up a client").await;
    ada.press("Enter").await;
    ada.wait_for("heading", "Set up a client").await;
    tab_to(&ada, &format!("Set up a client for {SAMPLE} in Core")).await;
    ada.press("Enter").await;
    ada.wait_for("heading", "Before you begin").await;
    tab_to(&ada, "VS Code").await;
    assert_eq!(ada.focused().await.tag, "summary");
    ada.press("Space").await;
    tab_to(&ada, "As text: VS Code, api-key, step 1").await;
    ada.press("Enter").await;
    ada.wait_for_url("/vs-code/api-key/1").await;
    assert!(ada.text().await.contains("${input:portcullis-api-key}"), "{}", ada.text().await);
    assert_eq!(ada.back().await, 200);
    tab_to(&ada, "All servers").await;
    Ok(())
}
