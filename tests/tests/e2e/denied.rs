//! A denied name is absent from lists, refused when called, and told from an unknown one by nobody.

use std::collections::BTreeMap;

use portcullis_tests::envoy::streams_bodies;
use portcullis_tests::everything::Everything;
use portcullis_tests::mcp::{Agent, Era, LATEST_LEGACY, Reply};
use portcullis_tests::seed::{self, Server};
use portcullis_tests::stack::{SAMPLE, SCRIPTED, Stack};
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
        let session = agent.session();
        for (method, key, denied, unknown) in cases {
            stack.sample.journal.clear();
            let denied = agent.call(method, json!({ key: denied })).await.renamed(denied);
            assert!(stack.sample.journal.entries().is_empty());
            let unknown = agent.call(method, json!({ key: unknown })).await.renamed(unknown);
            assert_eq!(stack.sample.journal.entries().len(), 1, "the upstream was asked");
            assert_eq!(denied.answer(), unknown.answer(), "{method}, {session:?}");
            assert_eq!(denied.status, unknown.status, "{method}, {session:?}");
        }
    }
    assert!(stack.filter_never_trapped().await, "the filter has trapped");
}

#[tokio::test]
async fn a_json_answer_that_a_name_is_unknown_is_replaced_head_and_all() {
    let stack = Stack::start().await;
    let not_found = error("tool not found");
    let length = not_found.len().to_string();
    let heads = [
        (200, vec![JSON]),
        (400, vec![JSON, ("content-length", length.as_str()), ("mcp-session-id", "s")]),
        (404, vec![JSON, ("content-length", length.as_str())]),
    ];
    for era in [Era::Legacy(LATEST_LEGACY), Era::Modern] {
        let agent = stack.agent(SCRIPTED, era);
        let denied = agent.call_tool("denied_1", json!({})).await.renamed("denied_1");
        assert_eq!(denied.status, 200, "{denied:?}");
        // Where no head waits for its body, an upstream's status and headers stay.
        let heads = if streams_bodies() { &heads[..1] } else { &heads[..] };
        for (status, headers) in heads {
            let unknown = call_scripted(&stack, &agent, *status, headers, &not_found).await;
            assert_eq!(unknown.status, denied.status, "{status}, {era:?}");
            assert_eq!(unknown.body, denied.body, "{status}, {era:?}");
            if !streams_bodies() {
                assert_eq!(lasting_headers(&unknown), lasting_headers(&denied), "{status}, {era:?}");
            }
        }
    }
    assert!(stack.filter_never_trapped().await, "the filter has trapped");
}

#[tokio::test]
async fn other_errors_keep_their_head_and_words() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let other = error("there is no city of that name");
    for status in [200, 400, 404] {
        let reply = call_scripted(&stack, &agent, status, &[JSON, ("mcp-session-id", "s")], &other).await;
        assert_eq!((reply.status, &reply.body), (status, &other));
        let session = reply.header("mcp-session-id").expect("the session");
        assert_eq!(session.rsplit('.').next(), Some("s"));
        assert!(session.starts_with("pcl-bound."), "of use to this caller only: {session}");
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn error(message: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": message}}).to_string()
}

/// Calls a tool that no rule denies; the upstream answers with `body`, in two pieces.
async fn call_scripted(
    stack: &Stack,
    agent: &Agent,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let (reply, ()) = tokio::join!(agent.call_tool("absent_1", json!({})), async {
        let answer = stack.scripted.next_request().await.begin(status, headers);
        let (first, last) = body.split_at(body.len() / 2);
        answer.send(first).await;
        answer.send(last).await;
    });
    reply.renamed("absent_1")
}

#[tokio::test]
async fn unknown_names_of_server_everything_get_the_answer_of_denied_ones() -> anyhow::Result<()> {
    let Some(everything) = Everything::start().await? else { return Ok(()) };
    let stack = Stack::start().await;
    let server = Server {
        slug: "everything",
        url: everything.url(),
        auth: seed::no_credential(),
        allowed_tool: "echo",
        denied_tool: "get-env",
        denied_prompts: vec!["args-prompt"],
        denied_resources: vec!["demo://resource/static/document/startup.md"],
        payload: "redacted",
    };
    seed::register(stack.admin(), &stack.seeded.workspace, &server).await?;
    let agent = stack.legacy_agent(server.slug).await;
    for (method, key, denied, unknown) in [
        ("tools/call", "name", "get-env", "get-fun"),
        ("prompts/get", "name", "args-prompt", "args-punned"),
        ("resources/read", "uri", "demo://resource/static/document/startup.md", "demo://resource/nothing"),
    ] {
        let denied = agent.call(method, json!({ key: denied })).await.renamed(denied);
        let unknown = agent.call(method, json!({ key: unknown })).await.renamed(unknown);
        assert_eq!((denied.status, denied.answer()), (unknown.status, unknown.answer()), "{method}");
    }
    Ok(())
}

trait Renamed {
    /// The same with another name in its body.
    fn renamed(self, name: &str) -> Self;
}

impl Renamed for Reply {
    fn renamed(mut self, name: &str) -> Self {
        self.body = self.body.replace(name, "NAME");
        self
    }
}

/// All headers but for what differs from one request to the next.
fn lasting_headers(reply: &Reply) -> BTreeMap<String, String> {
    let passing = ["date", "x-request-id"];
    let headers = reply.headers.iter().filter(|(name, _)| !passing.contains(&name.as_str()));
    headers.map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect()
}
