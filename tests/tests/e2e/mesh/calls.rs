//! Lists, calls and denials through the gateway of a mesh.

use portcullis_tests::mcp::{Era, Reply};
use portcullis_tests::mesh::Mesh;
use portcullis_tests::stack::{OPEN, SAMPLE, SAMPLE_KEY, Stack};
use portcullis_tests::upstream::sample::tracker::credential_digest;
use serde_json::json;

use super::stack;

#[tokio::test]
async fn istio_by_wasm_plugin() {
    tell(Mesh::IstioStream).await;
}

#[tokio::test]
async fn istio_by_envoy_filter() {
    tell(Mesh::IstioHold).await;
}

#[tokio::test]
async fn envoy_gateway() {
    tell(Mesh::EnvoyGateway).await;
}

async fn tell(mesh: Mesh) {
    let Some(stack) = stack(mesh, Vec::new()).await else { return };
    tools_are_listed_and_called(&stack).await;
    the_server_learns_nothing_of_the_client(&stack).await;
    a_denied_tool_is_not_called(&stack, mesh).await;
    long_requests_pass_up_to_the_limit(&stack, mesh).await;
    assert!(stack.filter_never_trapped().await);
}

fn text(reply: &Reply) -> String {
    let answer = reply.answer();
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {reply:?}")).to_owned()
}

async fn tools_are_listed_and_called(stack: &Stack) {
    for slug in [SAMPLE, OPEN] {
        for agent in [stack.legacy_agent(slug).await, stack.agent(slug, Era::Modern)] {
            let listed = agent.call("tools/list", json!({})).await;
            assert_eq!(listed.status, 200, "{listed:?}");
            let tools = listed.listed("tools");
            let denied = if slug == SAMPLE { "delete_issue" } else { "create_issue" };
            assert!(tools.contains(&"search_issues".to_owned()), "{tools:?}");
            assert!(!tools.contains(&denied.to_owned()), "{tools:?}");
            let called = agent.call_tool("search_issues", json!({"query": "gate"})).await;
            assert_eq!(called.status, 200, "{called:?}");
            assert!(text(&called).contains("PC-1"), "{called:?}");
            let recorded = stack.envoy.access_log.wait_for(|record| {
                record["server"] == slug && record["name"] == "search_issues" && record["ended"] == "complete"
            });
            let record = recorded.await.unwrap_or_else(|| panic!("{}", stack.envoy.access_log.text()));
            assert_eq!(
                (&record["decision"], &record["caller_name"]),
                (&json!("allow"), &json!("Ada Lovelace"))
            );
        }
    }
    // A stream.
    let params = json!({
        "name": "count_slowly",
        "arguments": {"steps": 5, "pause_ms": 1},
        "_meta": {"progressToken": "t"},
    });
    let messages = stack.agent(SAMPLE, Era::Modern).call("tools/call", params).await.messages();
    let steps: Vec<_> =
        messages.iter().filter_map(|message| message["params"]["progress"].as_f64()).collect();
    assert_eq!(steps, [1.0, 2.0, 3.0, 4.0, 5.0]);
}

async fn the_server_learns_nothing_of_the_client(stack: &Stack) {
    stack.sample.journal.clear();
    let agent = stack.agent(SAMPLE, Era::Modern);
    let message = agent.message("tools/call", json!({"name": "whoami", "arguments": {}}));
    let seen = text(&agent.send(agent.post(&message).header("cookie", "session=of-the-client")).await);
    let expected = json!({"authorization": credential_digest(format!("Bearer {SAMPLE_KEY}").as_bytes())});
    assert_eq!(seen, expected.to_string());
    let entries = stack.sample.journal.entries();
    assert_eq!(entries.len(), 1, "{entries:?}");
    for entry in entries {
        assert!(!entry.contains(&stack.seeded.key.text), "{entry:?}");
        assert!(!entry.contains("of-the-client"), "{entry:?}");
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-envoy-external-address", "x-envoy-internal"] {
            assert!(entry.header(name).is_empty(), "{entry:?}");
        }
        assert!(!entry.headers.iter().any(|(name, _)| name.starts_with("x-portcullis-")), "{entry:?}");
    }
}

async fn a_denied_tool_is_not_called(stack: &Stack, mesh: Mesh) {
    for agent in [stack.legacy_agent(SAMPLE).await, stack.agent(SAMPLE, Era::Modern)] {
        stack.sample.journal.clear();
        let reply = agent.call_tool("delete_issue", json!({"id": "PC-1"})).await;
        assert_eq!((reply.status, &reply.answer()["error"]["code"]), (200, &json!(-32602)), "{reply:?}");
        let entries = stack.sample.journal.entries();
        // Without holding the headers of a call, a server may learn that there was one, and not which.
        assert!(entries.iter().all(|entry| !entry.contains("delete_issue")), "{entries:?}");
        assert!(!mesh.holds() || entries.is_empty(), "{entries:?}");
    }
    let issue = stack.agent(SAMPLE, Era::Modern).call_tool("get_issue", json!({"id": "PC-1"})).await;
    assert!(text(&issue).contains("PC-1"), "{issue:?}");
}

/// The gateway itself says that a request is too long, and Envoy does not say it before.
async fn long_requests_pass_up_to_the_limit(stack: &Stack, mesh: Mesh) {
    let limit = if mesh == Mesh::IstioStream { 1_000_000 } else { 4 * 1024 * 1024 };
    let agent = stack.agent(SAMPLE, Era::Modern);
    let of = |size: usize| agent.call_tool("search_issues", json!({"query": "x".repeat(size)}));
    let long = of(limit - 2_000).await;
    assert_eq!(long.status, 200, "{}", long.body);
    let longer = of(limit + 1).await;
    assert_eq!(longer.status, 413, "{}", longer.body);
    assert_eq!(longer.answer()["error"]["data"]["reason"], "request_too_large", "{}", longer.body);
}
