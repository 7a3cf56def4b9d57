//! What a record shows of payloads, as the server's settings say.

use portcullis_tests::mcp::Era;
use portcullis_tests::stack::{SAMPLE, SCRIPTED, Stack};
use serde_json::{Value, json};

use super::{called, record};

/// Changes the scripted server and calls its tool; the record of the call.
async fn recorded(
    stack: &Stack,
    name: &'static str,
    change: Value,
    answer: &str,
    headers: &[(&str, &str)],
) -> Value {
    let path = format!("/v1/servers/{SCRIPTED}?wait=applied");
    stack.admin().patch(&path, change).await.expect("changes");
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let arguments = json!({"to": [{"email": "ada@canary.example", "name": "Ada"}], "body": "hello"});
    let message = agent.message("tools/call", json!({"name": "allowed", "arguments": arguments}));
    let reply = async { agent.send(called(name, agent.post(&message))).await };
    let (reply, ()) =
        tokio::join!(reply, async { stack.scripted.next_request().await.answer(200, headers, answer).await });
    assert!(reply.body.contains("grace@canary.example"), "the client gets all of it: {reply:?}");
    let record = record(stack, name, &json!({"ended": "complete"})).await;
    assert_eq!(record["parameters_bytes"].is_null(), record["parameters"].is_null(), "{record}");
    record
}

const REDACT: &[&str] = &["/arguments/to/*/email"];

#[tokio::test]
async fn chosen_places_are_hidden_in_json_and_in_streams() {
    let stack = Stack::start().await;
    let rows = json!({"rows": [{"n": 1, "email": "grace@canary.example"}]});
    let result = json!({"content": [{"type": "text", "text": rows.to_string()}], "structuredContent": rows});
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string();
    let redact = json!({"parameters": REDACT, "response": ["/structuredContent/rows/*/email"]});
    let change = json!({"payload": "redacted", "redact": redact});
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}});
    let events = format!("data: {progress}\n\ndata: {answer}\n\n");
    for (name, answer, kind) in
        [("json", &answer, "application/json"), ("events", &events, "text/event-stream")]
    {
        let record = recorded(&stack, name, change.clone(), answer, &[("content-type", kind)]).await;
        assert!(!record.to_string().contains("canary"), "{record}");
        let parameters: Value =
            serde_json::from_str(record["parameters"].as_str().expect("a text")).expect("JSON");
        assert_eq!(
            parameters["arguments"],
            json!({"to": [{"email": "[redacted]", "name": "Ada"}], "body": "hello"})
        );
        let response: Value =
            serde_json::from_str(record["response"].as_str().expect("a text")).expect("JSON");
        let hidden = json!({"rows": [{"n": 1, "email": "[redacted]"}]});
        assert_eq!(response["result"]["structuredContent"], hidden);
        assert_eq!(response["result"]["content"][0]["text"], hidden.to_string());
    }
    // All of it again.
    let full = recorded(
        &stack,
        "full",
        json!({"payload": "full", "redact": {}}),
        &answer,
        &[("content-type", "application/json")],
    )
    .await;
    assert!(
        full["parameters"].to_string().contains("ada@canary")
            && full["response"].to_string().contains("grace@canary")
    );
    assert_eq!(full["response_bytes"], answer.len().to_string());
    let off =
        recorded(&stack, "off", json!({"payload": "off"}), &answer, &[("content-type", "application/json")])
            .await;
    assert_eq!([&off["parameters"], &off["response"], &off["response_bytes"]], [&Value::Null; 3]);
}

#[tokio::test]
async fn how_much_is_shown_can_be_said() {
    let stack = Stack::start().await;
    let text = format!("grace@canary.example {}", "x".repeat(20_000));
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}})
        .to_string();
    let headers = [("content-type", "application/json")];
    for (name, limit, parameters_cut) in
        [("least", 256, true), ("usual", 4_096, false), ("most", 65_536, false)]
    {
        let change = json!({"payload": "redacted", "payload_limit": limit});
        let record = recorded(&stack, name, change, &answer, &headers).await;
        let shown = record["response"].as_str().expect("a text");
        let cut = answer.len() > limit;
        assert!(shown.len() <= limit, "{} bytes", shown.len());
        assert_eq!(shown.ends_with(&format!("…[truncated, {} bytes]", answer.len())), cut, "{record}");
        assert_eq!(record["response_bytes"], answer.len().to_string());
        let truncated = match (parameters_cut, cut) {
            (true, _) => json!("parameters,response"),
            (false, true) => json!("response"),
            (false, false) => Value::Null,
        };
        assert_eq!(record["truncated"], truncated, "{record}");
    }
}

#[tokio::test]
async fn what_contradicts_itself_is_refused() {
    let stack = Stack::start().await;
    let path = format!("/v1/servers/{SAMPLE}");
    for change in [
        json!({"payload": "full", "redact": {"parameters": REDACT}}),
        json!({"payload_limit": 255}),
        json!({"payload_limit": 65_537}),
        json!({"redact": {"response": ["$.content"]}}),
        json!({"redact": {"parameters": vec!["/a"; 2]}}),
        json!({"redact": {"arguments": ["/a"]}}),
    ] {
        let refused = stack.admin().patch(&path, change.clone()).await;
        assert!(refused.is_err(), "{change}");
    }
}
