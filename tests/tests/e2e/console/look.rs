//! Every page: it fits a small telephone, in light and dark, and has no fault that axe finds. Pictures are left in
//! `target/pages`.

use portcullis_tests::artifacts::target_directory;
use portcullis_tests::browser::{Browser, Person, Window};
use portcullis_tests::mcp::Era;
use portcullis_tests::patience::poll;
use portcullis_tests::stack::{Builder, Stack};
use serde_json::{Value, json};

use super::{at, complaints, owner, stack};

/// Every page with something on it: its address and what its picture is called.
async fn pages(stack: &Stack) -> anyhow::Result<Vec<(String, &'static str)>> {
    let agent = stack.agent("sample", Era::Modern);
    agent.call("tools/list", json!({})).await;
    agent.call_tool("search_issues", json!({"query": "x"})).await;
    agent.call_tool("delete_issue", json!({"id": "PC-1"})).await;
    let admin = stack.admin();
    let known = poll(async || {
        let denied = admin.get("/v1/records?outcome=denied").await.ok()?;
        let tools = admin.get("/v1/servers/sample/tools").await.ok()?;
        let is_known = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
        (is_known(&denied["records"]) && is_known(&tools["entries"])).then_some(denied)
    });
    let denied = known.await.expect("a record and tools");
    let record = denied["records"][0]["id"].as_str().expect("an id").to_owned();
    let decision = denied["records"][0]["decision_id"].as_str().expect("a decision id").to_owned();
    let (member, key) = (&stack.seeded.member, &stack.seeded.key.id);
    admin.put(&format!("/v1/quarantines/key:{key}"), json!({"reason": "for its picture"})).await?;
    Ok(vec![
        ("/".to_owned(), "overview"),
        ("/servers".to_owned(), "servers"),
        ("/servers/-/new".to_owned(), "server-new"),
        ("/servers/-/new?preset=github".to_owned(), "server-new-preset"),
        ("/servers/sample".to_owned(), "server"),
        ("/servers/sample/tools".to_owned(), "tools"),
        ("/servers/sample/tools/search_issues".to_owned(), "tool"),
        ("/servers/sample/rules?level=workspace:core".to_owned(), "rules"),
        ("/workspaces".to_owned(), "workspaces"),
        ("/workspaces/core".to_owned(), "workspace"),
        ("/workspaces/core/members".to_owned(), "members"),
        ("/workspaces/core/keys".to_owned(), "keys"),
        (format!("/members/{member}"), "member"),
        (format!("/keys/{key}"), "key"),
        ("/requests".to_owned(), "requests"),
        (format!("/requests/{record}"), "request"),
        ("/explain".to_owned(), "explain"),
        (format!("/explain?decision={decision}"), "explained"),
        ("/audit".to_owned(), "audit"),
        ("/settings".to_owned(), "settings"),
    ])
}

async fn look_at(
    person: &Person,
    stack: &Stack,
    pages: &[(String, &'static str)],
    window: &str,
) -> anyhow::Result<()> {
    let directory = target_directory()?.join("pages");
    std::fs::create_dir_all(&directory)?;
    let mut faults = Vec::new();
    for (path, name) in pages {
        assert_eq!(person.goto(&at(stack, path)).await, 200, "{path}");
        person.screenshot(&directory.join(format!("console-{name}-{window}.png"))).await;
        for fault in person.faults().await.into_iter().chain(complaints(person).await) {
            faults.push(format!("{name}: {fault}"));
        }
        if person.overflow().await > 0 {
            faults.push(format!("{name} is wider than the window"));
        }
    }
    assert!(faults.is_empty(), "{window}:\n{}", faults.join("\n"));
    Ok(())
}

#[tokio::test]
async fn every_page_is_for_everybody() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let stack = stack(Builder::default()).await?;
    let pages = pages(&stack).await?;
    for (window, shape) in [
        ("light", Window { width: 1280, height: 800, dark: false }),
        ("dark", Window { width: 1280, height: 800, dark: true }),
        // The narrowest that pages have to fit (WCAG 2.2, 1.4.10).
        ("narrow", Window { width: 320, height: 640, dark: false }),
    ] {
        let olga = owner(&browser, &stack, shape).await?;
        look_at(&olga, &stack, &pages, window).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_workspace_is_made_without_a_mouse() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let stack = stack(Builder::default()).await?;
    let olga = owner(&browser, &stack, Window::default()).await?;
    olga.goto(&at(&stack, "/workspaces")).await;
    let mut seen = Vec::new();
    for _ in 0..40 {
        olga.press("Tab").await;
        let focused = olga.focused().await;
        assert!(focused.visible, "one sees that {focused:?} has the focus, after {seen:?}");
        match focused.name.as_str() {
            "Slug" => olga.type_in("night-shift").await,
            "Make the workspace" => {
                olga.press("Enter").await;
                olga.wait_for("heading", "night-shift").await;
                assert_eq!(seen.first().map(String::as_str), Some("Skip to the content"), "{seen:?}");
                return Ok(());
            }
            _ => {}
        }
        seen.push(focused.name);
    }
    panic!("the button is not among {seen:?}")
}
