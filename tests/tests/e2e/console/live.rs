//! The log as it grows.

use portcullis_tests::browser::{Browser, Window};
use portcullis_tests::mcp::Era;
use portcullis_tests::stack::Builder;
use serde_json::json;

use super::{at, complaints, owner, stack};

#[tokio::test]
async fn requests_appear_as_they_end() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let stack = stack(Builder::default()).await?;
    let olga = owner(&browser, &stack, Window::default()).await?;
    olga.goto(&at(&stack, "/requests?live=1&server=sample")).await;
    olga.wait_for_text("Requests appear as they end.").await;
    let agent = stack.agent("sample", Era::Modern);
    for tool in ["search_issues", "get_issue"] {
        agent.call_tool(tool, json!({"id": "PC-1", "query": "x"})).await;
        olga.wait_for_text(tool).await;
    }
    // Of another server, nothing does; and each is there once.
    let elsewhere = stack.agent("sample-open", Era::Modern);
    elsewhere.call_tool("whoami", json!({})).await;
    agent.call_tool("delete_issue", json!({"id": "PC-1"})).await;
    olga.wait_for_text("workspace/tools.deny:delete_issue").await;
    let text = olga.text().await;
    assert_eq!(text.matches("search_issues").count(), 1, "{text}");
    assert!(!text.contains("whoami"), "{text}");
    assert_eq!(complaints(&olga).await, [""; 0]);
    Ok(())
}
