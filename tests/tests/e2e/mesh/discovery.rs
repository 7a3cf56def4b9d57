//! The filter from a file that Envoy follows: new requests meet the new configuration, and open streams go on.

use portcullis_tests::mcp::Era;
use portcullis_tests::patience::poll;
use portcullis_tests::stack::{Builder, SAMPLE, SCRIPTED, Stack};
use serde_json::{Value, json};

/// Of the requests that show which configuration they meet.
const LENGTH: usize = 4096;
/// How often Envoy has refused what the file said.
const REFUSED: &str = "extension_config_discovery.http_filter.portcullis.update_rejected";

#[tokio::test]
async fn a_change_of_the_filter_ends_no_stream() {
    let builder = Builder { filter_by_file: true, ..Builder::default() };
    let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let request = agent.post(&agent.message("tools/call", json!({"name": "allowed", "arguments": {}})));
    let (mut stream, answer) =
        tokio::join!(agent.stream(request), async { stack.scripted.next_request().await.events() });
    let progress = |step: u32| {
        let params = json!({"progressToken": "t", "progress": step});
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    };
    answer.event(&progress(1)).await;
    assert_eq!(stream.next_message().await, progress(1));

    // Something that shows at once.
    let shorter = |plugin: &mut Value| plugin["max_request_bytes"] = json!(LENGTH / 2);
    stack.envoy.change_filter(&stack.filter_file(), shorter).expect("a file");
    assert!(becomes(&stack, 413).await, "{}", stack.envoy.process.log_tail());
    answer.event(&progress(2)).await;
    assert_eq!(stream.next_message().await, progress(2));

    // What cannot be used changes nothing.
    let broken = |plugin: &mut Value| plugin["no_such_setting"] = json!(1);
    stack.envoy.change_filter(&stack.filter_file(), broken).expect("a file");
    let refused = poll(async || (stack.envoy.stat(REFUSED).await.ok()? > 0).then_some(())).await;
    assert!(refused.is_some(), "{}", stack.envoy.process.log_tail());
    assert!(becomes(&stack, 413).await);

    let mended = |plugin: &mut Value| {
        let settings = plugin.as_object_mut().expect("an object");
        settings.remove("no_such_setting");
        settings.remove("max_request_bytes");
    };
    stack.envoy.change_filter(&stack.filter_file(), mended).expect("a file");
    assert!(becomes(&stack, 200).await, "{}", stack.envoy.process.log_tail());
    answer
        .event(&json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}}))
        .await;
    assert_eq!(stream.next_message().await["id"], 1);
    drop(answer);
    assert_eq!(stream.next().await, None);
    assert!(stack.filter_never_trapped().await);
}

/// Whether a long request is answered with `status` sooner or later.
async fn becomes(stack: &Stack, status: u16) -> bool {
    let agent = stack.agent(SAMPLE, Era::Modern);
    let seen = poll(async || {
        let reply = agent.call_tool("search_issues", json!({"query": "x".repeat(LENGTH)})).await;
        (reply.status == status).then_some(())
    });
    seen.await.is_some()
}
