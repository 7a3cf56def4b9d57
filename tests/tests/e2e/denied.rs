//! A denied name is absent from lists, refused when called, and told from an unknown one by nobody.

use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::stack::{SAMPLE, Stack};
use serde_json::json;

#[tokio::test]
async fn a_denied_tool_is_not_listed() {
    let stack = Stack::start().await;
    for agent in [stack.legacy_agent(SAMPLE).await, stack.agent(SAMPLE, Era::Modern)] {
        let tools = agent.call("tools/list", json!({})).await.listed("tools");
        assert!(!tools.contains(&"delete_issue".to_owned()), "{tools:?}");
        assert!(tools.contains(&"create_issue".to_owned()), "{tools:?}");
        let prompts = agent.call("prompts/list", json!({})).await.listed("prompts");
        assert_eq!(prompts, ["summarize_issues"]);
        let resources = agent.call("resources/list", json!({})).await.listed("resources");
        assert_eq!(resources, ["issue://PC-1"]);
        let templates = agent.call("resources/templates/list", json!({})).await.listed("resourceTemplates");
        assert_eq!(templates, ["issue://{id}"]);
    }
}

#[tokio::test]
async fn denied_and_unknown_names_get_the_same_answer_and_reach_nobody() {
    let stack = Stack::start().await;
    // The first exists and the second does not; one glob denies both.
    let cases = [
        ("prompts/get", "name", "delete_stale_issues", "delete_nobodys_bike"),
        ("resources/read", "uri", "secret://minutes", "secret://nothing"),
    ];
    for agent in [stack.legacy_agent(SAMPLE).await, stack.agent(SAMPLE, Era::Modern)] {
        stack.sample.journal.clear();
        for (method, key, existing, unheard_of) in cases {
            let mut answers = Vec::new();
            for name in [existing, unheard_of] {
                let reply = agent.call(method, json!({ key: name })).await;
                assert!(reply.answer()["error"]["code"].is_i64(), "{reply:?}");
                assert_eq!(reply.answer()["id"], 1, "{reply:?}");
                let mut headers: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
                headers.sort();
                answers.push((reply.status, headers, reply.body.replace(name, "NAME")));
            }
            assert_eq!(answers[0], answers[1], "{method}");
        }
        assert!(stack.sample.journal.entries().is_empty());
    }
}

#[tokio::test]
async fn a_denied_tool_is_answered_as_the_specification_answers_an_unknown_one() {
    let stack = Stack::start().await;
    for agent in [stack.legacy_agent(SAMPLE).await, stack.agent(SAMPLE, Era::Modern)] {
        stack.sample.journal.clear();
        let reply = agent.call_tool("delete_issue", json!({"id": "PC-1"})).await;
        assert!(stack.sample.journal.entries().is_empty());
        assert_eq!(reply.status, 200, "{reply:?}");
        let answer = reply.answer();
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert_eq!(answer["error"]["message"], "Unknown tool: delete_issue");
        let record = stack.envoy.access_log.record_of(reply.request_id()).await;
        assert_eq!(record["decision"], "deny", "{record}");
        assert_eq!(record["name"], "delete_issue", "{record}");
        assert!(record["rule"].to_string().contains("workspace"), "{record}");
    }
}

#[tokio::test]
async fn an_unknown_name_gets_the_answer_of_a_denied_one() {
    let stack = Stack::start().await;
    // The first is denied; the second is not, but does not exist.
    let cases = [
        ("tools/call", "name", "delete_issue", "derail_issue"),
        ("prompts/get", "name", "delete_stale_issues", "derail_stale_issues"),
        ("resources/read", "uri", "secret://minutes", "sacred://minutes"),
    ];
    for agent in [stack.legacy_agent(SAMPLE).await, stack.agent(SAMPLE, Era::Modern)] {
        for (method, key, denied, unknown) in cases {
            stack.sample.journal.clear();
            let denied = visible(&agent, method, key, denied).await;
            assert!(stack.sample.journal.entries().is_empty());
            let unknown = visible(&agent, method, key, unknown).await;
            assert_eq!(stack.sample.journal.entries().len(), 1, "the upstream was asked");
            assert_eq!(denied, unknown, "{method}, {agent:?}");
        }
    }
    assert!(stack.filter_never_trapped().await, "the filter has trapped");
}

/// All that a caller sees of an answer, but for what differs from one request to the next.
async fn visible(agent: &Agent, method: &str, key: &str, name: &str) -> (u16, Vec<String>, String) {
    let reply = agent.call(method, json!({ key: name })).await;
    let headers = reply.headers.iter().filter(|(name, _)| *name != "date" && *name != "x-request-id");
    let mut headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    (reply.status, headers, reply.body.replace(name, "NAME"))
}
