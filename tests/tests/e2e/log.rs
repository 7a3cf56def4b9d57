//! Every request leaves exactly one record that says who did what, and no record tells a secret.

use std::collections::BTreeSet;

use portcullis_tests::envoy::streams_bodies;
use portcullis_tests::mcp::Era;
use portcullis_tests::stack::{SAMPLE, SAMPLE_KEY, SCRIPTED, SCRIPTED_KEY, Stack};
use serde_json::{Value, json};

#[tokio::test]
async fn an_allowed_call_is_recorded_in_full() {
    let stack = Stack::start().await;
    for agent in [stack.legacy_agent(SAMPLE).await, stack.agent(SAMPLE, Era::Modern)] {
        let reply = agent.call_tool("search_issues", json!({"query": "gate"})).await;
        let record = stack.envoy.access_log.record_of(reply.request_id()).await;
        for (field, expected) in [
            ("server", json!(SAMPLE)),
            ("workspace", json!("core")),
            ("method", json!("tools/call")),
            ("kind", json!("tool")),
            ("name", json!("search_issues")),
            ("caller", json!(stack.seeded.member)),
            ("caller_name", json!("Ada Lovelace")),
            ("credential", json!("member_key")),
            ("decision", json!("allow")),
            ("status", json!(200)),
            ("http_method", json!("POST")),
            ("source", json!("127.0.0.1")),
        ] {
            assert_eq!(record[field], expected, "{field} in {record}");
        }
        assert!(record["parameters"].as_str().is_some_and(|text| text.contains("gate")), "{record}");
        assert!(record["response"].as_str().is_some_and(|text| text.contains("PC-1")), "{record}");
        assert!(record["timestamp"].as_str().is_some_and(|text| text.ends_with('Z')), "{record}");
        assert!(record["latency_ms"].is_u64(), "{record}");
        assert!(record["upstream_ms"].is_u64(), "{record}");
        assert!(record["bytes_in"].as_u64().is_some_and(|bytes| bytes > 0), "{record}");
        assert!(record["revision"].as_str().is_some_and(|text| text.parse::<u64>().is_ok()), "{record}");
        assert_eq!(record["error_code"], Value::Null);
    }
}

#[tokio::test]
async fn every_request_is_recorded_once_whatever_becomes_of_it() {
    let stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let scripted = stack.agent(SCRIPTED, Era::Modern);
    let answer = |status: u16| {
        let stack = &stack;
        async move { stack.scripted.next_request().await.answer(status, &[], "no").await }
    };
    let not_json = agent.post(&json!({})).body("{");
    let replies = [
        agent.call_tool("search_issues", json!({"query": "x"})).await,
        agent.call_tool("delete_issue", json!({"id": "PC-1"})).await,
        agent.call_tool("unheard_of", json!({})).await,
        agent.with_credential(None).call_tool("search_issues", json!({})).await,
        agent.send(not_json).await,
        agent.call("tools/list", json!({})).await,
        tokio::join!(scripted.call_tool("allowed", json!({})), answer(500)).0,
        tokio::join!(scripted.call_tool("allowed", json!({})), answer(401)).0,
    ];
    let decisions: Vec<&str> = vec!["allow", "deny", "allow", "deny", "deny", "allow", "allow", "allow"];
    let keys: BTreeSet<String> = keys(&stack.envoy.access_log.record_of(replies[0].request_id()).await);
    for (reply, decision) in replies.iter().zip(decisions) {
        let record = stack.envoy.access_log.record_of(reply.request_id()).await;
        assert_eq!(record["decision"], decision, "{record}");
        assert_eq!(record["status"], reply.status, "{record}");
        assert_eq!(keys, self::keys(&record), "every record has every field");
    }
    let ids: Vec<Value> =
        stack.envoy.access_log.records().iter().map(|record| record["request_id"].clone()).collect();
    for reply in &replies {
        assert_eq!(ids.iter().filter(|id| **id == reply.request_id()).count(), 1);
    }
}

fn keys(record: &Value) -> BTreeSet<String> {
    record.as_object().expect("a record").keys().cloned().collect()
}

#[tokio::test]
async fn a_refusal_says_why_and_by_what_rule() {
    let stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let reply = agent.call_tool("delete_issue", json!({"id": "PC-1"})).await;
    let record = stack.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!(record["decision"], "deny");
    assert_eq!(record["caller"], json!(stack.seeded.member));
    assert!(record["rule"].as_str().is_some_and(|rule| rule.contains("delete_issue")), "{record}");
    assert_eq!(record["error_code"], "-32602", "{record}");
    assert!(record["details"].as_str().is_some_and(|text| text.starts_with("portcullis_")), "{record}");
    if !streams_bodies() {
        assert_eq!(record["upstream_host"], Value::Null);
    }

    let reply = agent.with_credential(None).call_tool("search_issues", json!({})).await;
    let record = stack.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!(record["details"], "portcullis_no_credential", "{record}");
    assert_eq!(record["server"], SAMPLE);
    assert_eq!(record["caller"], Value::Null);
}

#[tokio::test]
async fn no_log_and_no_answer_tells_a_secret() {
    let stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let mut answers = vec![
        agent.call_tool("whoami", json!({})).await.body,
        agent.call_tool("delete_issue", json!({"id": "PC-1"})).await.body,
        agent.call("tools/list", json!({})).await.body,
    ];
    // An upstream that says aloud what it was told.
    let scripted = stack.agent(SCRIPTED, Era::Modern);
    let (echo, ()) = tokio::join!(scripted.call_tool("allowed", json!({})), async {
        let text = format!("you are {SCRIPTED_KEY}");
        let result = json!({"resultType": "complete", "content": [{"type": "text", "text": text}]});
        stack.scripted.next_request().await.json(&json!({"jsonrpc": "2.0", "id": 1, "result": result})).await;
    });
    stack.envoy.access_log.record_of(echo.request_id()).await;
    answers.push(echo.body);
    let logs = [
        ("the access log", stack.envoy.access_log.text()),
        ("Envoy's log", stack.envoy.process.log()),
        ("the token-service's log", stack.service.process.log()),
        ("the answers", answers.join("\n")),
    ];
    for secret in [SAMPLE_KEY, SCRIPTED_KEY, &stack.seeded.key.text, stack.admin().token()] {
        for (what, text) in &logs {
            assert!(!text.contains(secret), "{what} tells {secret}:\n{text}");
        }
    }
}
