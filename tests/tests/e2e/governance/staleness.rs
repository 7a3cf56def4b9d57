//! Workspaces choose how long they are served while filters hear nothing from the token-service.

use portcullis_tests::mcp::Era;
use portcullis_tests::patience::poll;
use portcullis_tests::stack::{SAMPLE, SCRIPTED, Stack};
use serde_json::{Value, json};

async fn choose(stack: &Stack, staleness: &str) {
    let path = format!("/v1/workspaces/{}?wait=applied", stack.seeded.workspace);
    let changed = stack.admin().patch(&path, json!({"staleness": staleness})).await.expect("changes");
    assert_eq!(changed["name"], "Core", "nothing else does");
}

#[tokio::test]
async fn a_strict_workspace_is_refused_as_soon_as_nothing_is_verified() {
    let mut stack = Stack::start().await;
    choose(&stack, "strict").await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    assert_eq!(agent.call_tool("whoami", json!({})).await.status, 200);
    let scripted = stack.agent(SCRIPTED, Era::Modern);
    let request = scripted.post(&scripted.message("tools/call", json!({"name": "allowed", "arguments": {}})));
    let (mut stream, answer) =
        tokio::join!(scripted.stream(request), async { stack.scripted.next_request().await.events() });
    stack.service.kill().expect("ends");
    let refused = poll(async || {
        let reply = agent.call_tool("whoami", json!({})).await;
        (reply.status == 503).then_some(reply)
    });
    let refused = refused.await.expect("it is refused in the end");
    assert_eq!(refused.answer()["error"]["code"], -31003, "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    // The filter looks at the silence of open streams with every tick.
    let last = poll(async || {
        answer.event(&json!({"jsonrpc": "2.0", "method": "notifications/x"})).await;
        Some(stream.next_message().await).filter(|message| message["error"]["code"] == -31003)
    });
    assert!(last.await.is_some(), "the open stream ends too");
    stack.service.restart().await.expect("starts again");
    let served = poll(async || (agent.call_tool("whoami", json!({})).await.status == 200).then_some(()));
    assert!(served.await.is_some(), "and is served when the service is back");
}

#[tokio::test]
async fn what_is_served_while_nothing_is_verified_is_marked() {
    let mut stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let first = agent.call_tool("whoami", json!({})).await;
    let record = stack.envoy.access_log.record_of(first.request_id()).await;
    assert_eq!(record["stale"], Value::Null);
    stack.service.kill().expect("ends");
    let marked = poll(async || {
        let reply = agent.call_tool("whoami", json!({})).await;
        assert_eq!(reply.status, 200, "the lease is cached: {reply:?}");
        let record = stack.envoy.access_log.record_of(reply.request_id()).await;
        (record["stale"] == "true").then_some(())
    });
    assert!(marked.await.is_some());
}

#[tokio::test]
async fn a_staleness_is_checked_and_can_be_left_to_the_filters_again() {
    let stack = Stack::start().await;
    let path = format!("/v1/workspaces/{}", stack.seeded.workspace);
    choose(&stack, "30s").await;
    assert_eq!(stack.admin().get(&path).await.expect("is shown")["staleness"], "30s");
    assert!(stack.admin().patch(&path, json!({"staleness": "301s"})).await.is_err());
    choose(&stack, "default").await;
    assert_eq!(stack.admin().get(&path).await.expect("is shown")["staleness"], Value::Null);
}
