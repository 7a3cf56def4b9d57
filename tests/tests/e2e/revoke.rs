//! What an administrator takes away is gone with the next request, on every worker, and comes back the same way.

use portcullis_tests::mcp::{Agent, Era, Reply};
use portcullis_tests::stack::{Builder, SAMPLE, Stack};
use serde_json::json;

const WORKERS: u32 = 2;
/// Each on a connection of its own, so that all workers get some.
const REQUESTS: usize = 20;

async fn stack() -> Stack {
    let builder = Builder { concurrency: WORKERS, ..Builder::default() };
    Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"))
}

async fn call_from_everywhere(stack: &Stack) -> Vec<Reply> {
    let mut replies = Vec::new();
    for _ in 0..REQUESTS {
        let agent: Agent = stack.agent(SAMPLE, Era::Modern);
        replies.push(agent.call_tool("whoami", json!({})).await);
    }
    replies
}

async fn assert_all(stack: &Stack, status: u16) {
    for reply in call_from_everywhere(stack).await {
        assert_eq!(reply.status, status, "{reply:?}");
    }
}

#[tokio::test]
async fn a_disabled_key_stops_working_at_once_and_works_again_when_enabled() {
    let stack = stack().await;
    assert_all(&stack, 200).await;
    let path = format!("/v1/keys/{}?wait=applied", stack.seeded.key.id);
    stack.admin().patch(&path, json!({"disabled": true})).await.expect("disables");
    stack.sample.journal.clear();
    assert_all(&stack, 401).await;
    assert!(stack.sample.journal.entries().is_empty());
    stack.admin().patch(&path, json!({"disabled": false})).await.expect("enables");
    assert_all(&stack, 200).await;
}

#[tokio::test]
async fn a_disabled_member_takes_the_keys_along() {
    let stack = stack().await;
    assert_all(&stack, 200).await;
    let path = format!("/v1/members/{}?wait=applied", stack.seeded.member);
    stack.admin().patch(&path, json!({"disabled": true})).await.expect("disables");
    assert_all(&stack, 401).await;
}

#[tokio::test]
async fn a_workspace_without_the_server_does_not_see_it() {
    let stack = stack().await;
    assert_all(&stack, 200).await;
    let path =
        format!("/v1/servers/{}/workspaces/{}?wait=applied", stack.server_id(SAMPLE), stack.seeded.workspace);
    stack.admin().delete(&path).await.expect("takes the server away");
    let gone = call_from_everywhere(&stack).await;
    let unknown = stack.agent("unheard-of", Era::Modern).call_tool("whoami", json!({})).await;
    for reply in &gone {
        assert_eq!(reply.status, unknown.status, "as if there were no such server: {reply:?}");
        assert_eq!(reply.body, unknown.body);
    }
    stack.admin().put_nothing(&path).await.expect("gives it back");
    assert_all(&stack, 200).await;
}

#[tokio::test]
async fn a_tool_denied_now_is_gone_now() {
    let stack = stack().await;
    assert_all(&stack, 200).await;
    let path =
        format!("/v1/policies/workspace:{}/{}?wait=applied", stack.seeded.workspace, stack.server_id(SAMPLE));
    stack.admin().put(&path, json!({"tools": {"deny": ["whoami"]}})).await.expect("denies");
    stack.sample.journal.clear();
    for reply in call_from_everywhere(&stack).await {
        assert_eq!(reply.answer()["error"]["code"], -32602, "{reply:?}");
    }
    assert!(stack.sample.journal.entries().is_empty());
}
