//! One record of each way in which a request can end, with all that a record has to say.

use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::patience::within;
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::shape::Shape;
use portcullis_tests::seed::Server;
use portcullis_tests::stack::{Builder, SAMPLE, SCRIPTED, Stack};
use portcullis_tests::upstream::protected::Protected;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{assert_same, record_of};

/// What every record of a call by a known caller says.
const ALWAYS: [&str; 16] = [
    "id",
    "at",
    "outcome",
    "request_id",
    "source",
    "http_method",
    "server",
    "workspace",
    "workspace_id",
    "caller",
    "caller_name",
    "credential",
    "key",
    "method",
    "name",
    "decision",
];

/// The line of a request and what was kept of it say the same; the record is returned.
async fn checked(stack: &Stack, request_id: &str) -> Value {
    let line = stack.envoy.access_log.record_of(request_id).await;
    let record = record_of(stack, request_id).await;
    assert_same(&line, &record);
    record
}

fn assert_complete(record: &Value, outcome: &str, status: u64) {
    for field in ALWAYS {
        assert!(record[field].is_string(), "{field} in {record}");
    }
    for field in ["status", "latency_ms", "bytes_in", "bytes_out"] {
        assert!(record[field].is_u64(), "{field} in {record}");
    }
    assert!(record["parameters"].as_str().is_some_and(|text| text.contains("seen")), "{record}");
    assert_eq!((&record["outcome"], &record["status"]), (&json!(outcome), &json!(status)), "{record}");
}

fn result(text: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "result":
        {"resultType": "complete", "content": [{"type": "text", "text": text}]}})
}

#[tokio::test]
async fn answered_and_denied() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let arguments = json!({"q": "seen"});

    let (reply, ()) = tokio::join!(agent.call_tool("allowed", arguments.clone()), async {
        stack.scripted.next_request().await.json(&result("fine")).await;
    });
    let record = checked(&stack, reply.request_id()).await;
    assert_complete(&record, "ok", 200);
    assert!(record["response"].as_str().is_some_and(|text| text.contains("fine")), "{record}");
    assert_eq!(record["version"], "2026-07-28");

    let (reply, ()) = tokio::join!(agent.call_tool("allowed", arguments.clone()), async {
        stack.scripted.next_request().await.answer(500, &[], "broken").await;
    });
    assert_complete(&checked(&stack, reply.request_id()).await, "error", 500);

    let reply = agent.call_tool("denied", arguments.clone()).await;
    let record = checked(&stack, reply.request_id()).await;
    assert_complete(&record, "denied", u64::from(reply.status));
    assert!(record["rule"].is_string() && record["decision_id"].is_string(), "{record}");
    assert_eq!(record["error_code"], "-32602");

    let reply = agent.with_credential(None).call_tool("allowed", arguments).await;
    let record = checked(&stack, reply.request_id()).await;
    assert_eq!((&record["outcome"], &record["status"]), (&json!("denied"), &json!(401)), "{record}");
    assert_eq!(record["caller"], Value::Null);
}

#[tokio::test]
async fn streamed_and_cancelled() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let call = |agent: &Agent| {
        agent.post(&agent.message("tools/call", json!({"name": "allowed", "arguments": {"q": "seen"}})))
    };
    let (mut stream, answer) =
        tokio::join!(agent.stream(call(&agent)), async { stack.scripted.next_request().await.events() });
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress",
        "params": {"progressToken": "t", "progress": 1}});
    answer.event(&progress).await;
    assert_eq!(stream.next_message().await, progress);
    answer.event(&result("the end")).await;
    drop(answer);
    stream.next_message().await;
    assert!(stream.is_over().await);
    let record = checked(&stack, &stream.request_id()).await;
    assert_complete(&record, "ok", 200);
    assert!(record["response"].as_str().is_some_and(|text| text.contains("the end")), "{record}");

    let request = call(&agent);
    let waiting = tokio::spawn(request.send());
    let mut conversation = stack.scripted.next_request().await;
    waiting.abort();
    within("the upstream to be told", conversation.abandoned()).await;
    let line = stack.envoy.access_log.wait_for(|line| line["flags"] == "DC").await.expect("a line");
    let record = checked(&stack, line["request_id"].as_str().expect("an id")).await;
    assert_complete(&record, "error", 0);
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time() {
    let stack = Stack::start().await;
    // It accepts connections and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let url = format!("https://{}/mcp", silent.local_addr().expect("an address"));
    let server = json!({"slug": "silent", "url": url, "auth": {"type": "none"}, "workspaces": "all"});
    stack.admin().post("/v1/servers?wait=applied", server).await.expect("registers");
    let reply = stack.agent("silent", Era::Modern).call_tool("any", json!({"q": "seen"})).await;
    let record = checked(&stack, reply.request_id()).await;
    assert_complete(&record, "error", 503);
    assert!(record["details"].as_str().is_some_and(|text| text.contains("timeout")), "{record}");
}

#[tokio::test]
async fn an_account_is_wanted_first() {
    let provider = Provider::start(Shape::linear()).await.expect("a provider");
    let desk = Protected::behind(&provider).await.expect("a server");
    let server = Server {
        slug: "desk",
        url: desk.url(),
        auth: json!({"type": "oauth"}),
        allowed_tool: "whoami",
        denied_tool: "nothing",
        denied_prompts: Vec::new(),
        denied_resources: Vec::new(),
        payload: "redacted",
    };
    let builder = Builder { servers: vec![server], ..Builder::default() };
    let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    let reply = stack.agent("desk", Era::Modern).call_tool("whoami", json!({"q": "seen"})).await;
    let record = checked(&stack, reply.request_id()).await;
    assert_complete(&record, "connect_required", 200);
    assert!(!record.to_string().contains("/connect/tic"), "{record}");

    // Pages for browsers leave a line and no record.
    let page =
        stack.agent(SAMPLE, Era::Modern).at(format!("{}/connections", stack.public_url()), Era::Modern);
    let reply = page.send(page.builder(reqwest::Method::GET)).await;
    stack.envoy.access_log.record_of(reply.request_id()).await;
    let later = stack.agent(SAMPLE, Era::Modern).call_tool("whoami", json!({"q": "seen"})).await;
    record_of(&stack, later.request_id()).await;
    let target = format!("/v1/records?request_id={}", reply.request_id());
    assert_eq!(stack.admin().get(&target).await.expect("an answer")["records"], json!([]));
}
