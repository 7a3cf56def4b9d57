//! A client that goes away takes its request with it.

use portcullis_tests::mcp::Era;
use portcullis_tests::patience::within;
use portcullis_tests::stack::{SCRIPTED, Stack};
use serde_json::json;

#[tokio::test]
async fn before_the_answer_began() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let request = agent.post(&agent.message("tools/call", json!({"name": "allowed"})));
    let waiting = tokio::spawn(request.send());
    let mut conversation = stack.scripted.next_request().await;
    waiting.abort();
    within("the upstream to be told", conversation.abandoned()).await;
}

#[tokio::test]
async fn in_the_middle_of_the_answer() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let request = agent.post(&agent.message("tools/call", json!({"name": "allowed"})));
    let (mut stream, answer) =
        tokio::join!(agent.stream(request), async { stack.scripted.next_request().await.events() });
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": "t", "progress": 1}});
    answer.event(&progress).await;
    assert_eq!(stream.next_message().await, progress);
    drop(stream);
    within("the upstream to be told", answer.abandoned()).await;
}
