//! Events pass as they come: each is with the client before the upstream writes the next.

use portcullis_tests::mcp::{Agent, Era, EventStream};
use portcullis_tests::stack::{SAMPLE, SCRIPTED, Stack};
use portcullis_tests::upstream::scripted::Answer;
use serde_json::json;

async fn open(stack: &Stack, agent: &Agent) -> (EventStream, Answer) {
    let request = agent.post(&agent.message("tools/call", json!({"name": "allowed", "arguments": {}})));
    tokio::join!(agent.stream(request), async { stack.scripted.next_request().await.events() })
}

#[tokio::test]
async fn each_event_arrives_before_the_next_is_sent() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let (mut stream, answer) = open(&stack, &agent).await;
    assert_eq!(stream.response.headers()["content-type"], "text/event-stream");
    for step in 1..=5 {
        let params = json!({"progressToken": "t", "progress": step});
        answer.event(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})).await;
        assert_eq!(stream.next_message().await["params"]["progress"], step);
    }
    let result = json!({"resultType": "complete", "content": []});
    answer.event(&json!({"jsonrpc": "2.0", "id": 1, "result": result})).await;
    assert_eq!(stream.next_message().await["id"], 1);
    drop(answer);
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn everything_around_the_data_is_kept() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let (mut stream, answer) = open(&stack, &agent).await;
    for event in [
        ": keep-alive",
        "id: 7\nretry: 3000\ndata: ",
        "event: message\nid: 8\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"method\":\"notifications/x\"}",
        "unknown: field\ndata:{\"jsonrpc\":\"2.0\",\"method\":\"notifications/y\"}",
    ] {
        // In two pieces, the first of which ends inside a line.
        let (first, second) = event.split_at(event.len() / 2);
        answer.send(first).await;
        answer.send(&format!("{second}\n\n")).await;
        assert_eq!(stream.next().await.expect("the event").raw, event);
    }
}

#[tokio::test]
async fn an_event_cut_inside_a_character_arrives_whole() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let (mut stream, answer) = open(&stack, &agent).await;
    let message = json!({"jsonrpc": "2.0", "method": "notifications/x", "params": {"t": "żółć"}});
    let event = format!("data: {message}\n\n");
    let inside = event.find('ó').expect("the character") + 1;
    answer.send_bytes(&event.as_bytes()[..inside]).await;
    answer.send_bytes(&event.as_bytes()[inside..]).await;
    assert_eq!(stream.next_message().await, message);
}

#[tokio::test]
async fn progress_of_a_real_server_arrives() {
    let stack = Stack::start().await;
    for agent in [stack.legacy_agent(SAMPLE).await, stack.agent(SAMPLE, Era::Modern)] {
        let params = json!({
            "name": "count_slowly",
            "arguments": {"steps": 20, "pause_ms": 1},
            "_meta": {"progressToken": "t"},
        });
        let messages = agent.call("tools/call", params).await.messages();
        let steps: Vec<_> =
            messages.iter().filter_map(|message| message["params"]["progress"].as_f64()).collect();
        let expected: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(steps, expected);
        assert!(messages.last().expect("an answer")["result"].to_string().contains("counted to 20"));
    }
}

#[tokio::test]
async fn a_large_result_arrives_whole() {
    let stack = Stack::start().await;
    for agent in [stack.legacy_agent(SAMPLE).await, stack.agent(SAMPLE, Era::Modern)] {
        let size = 3 * 1024 * 1024;
        let answer = agent.call_tool("large_result", json!({"bytes": size})).await.answer();
        let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
        assert_eq!(text.len(), size);
    }
}
