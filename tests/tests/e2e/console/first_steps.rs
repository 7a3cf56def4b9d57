//! From nothing to a governed, observed server, in the browser alone.

use portcullis_tests::browser::{Browser, Person};
use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::patience::poll;
use serde_json::json;

use super::super::office::Office;
use super::complaints;

#[tokio::test]
async fn from_nothing_to_a_governed_server() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let Some(office) = Office::empty().await? else { return Ok(()) };
    let ada = browser.person("ada").await;
    ada.goto(&format!("{}/", office.stack.admin().url())).await;
    office.at_the_provider(&ada, "ada").await;
    ada.wait_for("heading", "First steps").await;
    // What the provider's own pages load from elsewhere is its business.
    ada.complaints().await;

    make_a_workspace(&ada).await;
    add_a_server(&ada, &office).await;
    let key = make_a_key(&ada).await;
    let agent = Agent::new(office.stack.url("tracker"), Some(&key), Era::Modern);
    assert_eq!(agent.call_tool("search_issues", json!({"query": "x"})).await.status, 200);
    take_a_tool_away(&ada, &office, &agent).await;
    see_and_explain(&ada, &office).await;
    hold_the_server(&ada, &office, &agent).await;

    // The log of changes has all of it, and nothing that happened was a fault of a page.
    ada.click("link", "Audit log").await;
    ada.wait_for("heading", "Audit log").await;
    let log = ada.text().await;
    for change in ["workspace", "member", "server", "key", "policy", "quarantine"] {
        assert!(log.contains(change), "{change}: {log}");
    }
    assert_eq!(complaints(&ada).await, [""; 0]);
    assert!(!ada.stored().await.contains(&key), "a key stays in no storage of the browser");

    ada.click("button", "Sign out").await;
    ada.wait_for("heading", "Signed out").await;
    assert_eq!(ada.goto(&format!("{}/openapi.json", office.stack.admin().url())).await, 200);
    ada.goto(&format!("{}/v1/me", office.stack.admin().url())).await;
    assert_eq!(ada.status().await, 401);
    Ok(())
}

async fn make_a_workspace(ada: &Person) {
    ada.click("link", "Workspaces").await;
    ada.wait_for("heading", "No workspaces yet").await;
    // Bad input is told at the form, which keeps what was typed.
    ada.fill("Slug", "web").await;
    ada.fill("Name for people; the slug if empty", &"x".repeat(100)).await;
    ada.click("button", "Make the workspace").await;
    ada.wait_for("heading", &"x".repeat(100)).await;
    ada.click("link", "Workspaces").await;
    ada.wait_for("link", &"x".repeat(100)).await;
    ada.fill("Slug", "web").await;
    ada.fill("Name for people; the slug if empty", "Web team").await;
    ada.click("button", "Make the workspace").await;
    ada.wait_for("heading", "The request clashes with what exists").await;
    ada.fill("Slug", "core").await;
    ada.click("button", "Make the workspace").await;
    ada.wait_for("heading", "Web team").await;
    ada.click("link", "Members").await;
    ada.fill("Subject the sub of the tokens, exactly", "grace").await;
    ada.fill("Name for people; the subject if empty", "Grace Hopper").await;
    ada.click("button", "Add the member").await;
    ada.wait_for("link", "Grace Hopper").await;
}

async fn add_a_server(ada: &Person, office: &Office) {
    ada.click("link", "Servers").await;
    ada.wait_for("heading", "No servers yet").await;
    ada.click("link", "Add a server").await;
    ada.fill("Slug part of the address: /slug/mcp", "tracker").await;
    ada.fill("Name for people; the slug if empty", "Tracker").await;
    ada.fill("URL of its MCP endpoint", &office.stack.sample.open_url()).await;
    ada.click("button", "Check the server").await;
    // Plain http has to be allowed; until it is, the page says so.
    ada.wait_for_text("What to do:").await;
    ada.click(
        "checkbox",
        "Plain http is allowed for a server on this machine or in a network that you trust",
    )
    .await;
    ada.click("button", "Check the server").await;
    ada.wait_for_text("It answers without a credential.").await;
    ada.click("checkbox", "Web team").await;
    ada.click("button", "Add the server").await;
    ada.wait_for("heading", "Tracker").await;
}

/// For Grace, by the pages of her workspace.
async fn make_a_key(ada: &Person) -> String {
    ada.click("link", "Workspaces").await;
    ada.click("link", "Web team").await;
    ada.wait_for("link", "Tracker").await;
    ada.click("link", "API keys").await;
    ada.wait_for("heading", "No keys yet").await;
    ada.fill("Name what or whose it is, such as “build agent”", "build agent").await;
    ada.choose("Acts as", "Grace Hopper").await;
    ada.click("button", "Make the key").await;
    ada.wait_for_text("It is shown this once").await;
    let text = ada.text().await;
    let key = text.split_whitespace().find(|word| word.starts_with("pcl_")).unwrap_or_default();
    assert!(key.len() > 40, "{text}");
    // Opened again, the page has it no more.
    let url = ada.url().await;
    ada.goto(&url).await;
    let again = ada.text().await;
    assert!(again.contains("build agent") && !again.contains(key), "{again}");
    key.to_owned()
}

async fn take_a_tool_away(ada: &Person, office: &Office, agent: &Agent) {
    let tools = format!("{}/servers/tracker/tools", office.stack.admin().url());
    agent.call("tools/list", json!({})).await;
    let known = poll(async || {
        ada.goto(&tools).await;
        (ada.count("checkbox", "delete_issue").await == 1).then_some(())
    });
    assert!(known.await.is_some(), "{}", ada.text().await);
    assert_eq!(agent.call_tool("delete_issue", json!({"id": "PC-1"})).await.status, 200);
    ada.click("link", "delete_issue").await;
    ada.wait_for_text("inputSchema").await;
    ada.click("button", "Approve this definition").await;
    ada.wait_for("button", "Withdraw the approval").await;
    ada.goto(&tools).await;
    ada.click("checkbox", "delete_issue").await;
    ada.click("button", "Save tools").await;
    ada.wait_for_url("level=organization").await;
    let refused = agent.call_tool("delete_issue", json!({"id": "PC-1"})).await;
    assert!(refused.answer()["error"].is_object(), "{refused:?}");
    let listed = agent.call("tools/list", json!({})).await.listed("tools");
    assert!(
        !listed.contains(&"delete_issue".to_owned()) && listed.contains(&"get_issue".to_owned()),
        "{listed:?}"
    );
}

async fn see_and_explain(ada: &Person, office: &Office) {
    let denied = format!("{}/requests?outcome=denied", office.stack.admin().url());
    let arrived = poll(async || {
        ada.goto(&denied).await;
        ada.text().await.contains("delete_issue").then_some(())
    });
    assert!(arrived.await.is_some(), "{}", ada.text().await);
    let row = ada.text().await;
    assert!(row.contains("Grace Hopper") && row.contains("organization/tools.deny:delete_issue"), "{row}");
    ada.goto(&format!("{denied}&name=delete_issue")).await;
    let first = office.stack.admin().get("/v1/records?outcome=denied&limit=1").await.expect("records");
    let id = first["records"][0]["id"].as_str().expect("an id");
    ada.goto(&format!("{}/requests/{id}", office.stack.admin().url())).await;
    ada.click("link", "Why was this denied?").await;
    ada.wait_for_text("It would be denied again, for the same reason.").await;
    let answer = ada.text().await;
    assert!(answer.contains("organization/tools.deny:delete_issue"), "{answer}");
    // The overview counts it.
    ada.click("link", "Overview").await;
    ada.wait_for("heading", "Top tools").await;
    assert!(ada.text().await.contains("delete_issue"), "{}", ada.text().await);
}

async fn hold_the_server(ada: &Person, office: &Office, agent: &Agent) {
    ada.goto(&format!("{}/servers/tracker", office.stack.admin().url())).await;
    ada.unfold("Quarantine this server").await;
    ada.fill("Reason others see it in the explanation of a refusal", "looks odd").await;
    ada.click("button", "Quarantine").await;
    ada.wait_for("heading", "In quarantine").await;
    assert_eq!(agent.call_tool("get_issue", json!({"id": "PC-1"})).await.status, 404);
    ada.click("button", "Lift the quarantine").await;
    ada.wait_for_text("Quarantine this server").await;
    assert_eq!(agent.call_tool("get_issue", json!({"id": "PC-1"})).await.status, 200);
}
