//! Clusters and routes that were rendered from the registry, in place of the dynamic forward proxy.

use portcullis_tests::mcp::{Era, Reply};
use portcullis_tests::patience::poll;
use portcullis_tests::seed::{self, Server};
use portcullis_tests::stack::{Builder, OPEN, SAMPLE, Stack};
use serde_json::json;

#[tokio::test]
async fn calls_go_by_a_cluster_of_the_servers_own() {
    let stack = Stack::build(Builder { rendered: true, ..Builder::default() }).await;
    let stack = stack.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    for slug in [SAMPLE, OPEN] {
        for agent in [stack.legacy_agent(slug).await, stack.agent(slug, Era::Modern)] {
            let listed = agent.call("tools/list", json!({})).await;
            assert!(listed.listed("tools").contains(&"search_issues".to_owned()), "{listed:?}");
            let called = agent.call_tool("search_issues", json!({"query": "gate"})).await;
            assert_eq!(called.status, 200, "{called:?}");
        }
    }
    // Both are at one port, and share a cluster.
    let url = stack.sample.url();
    let port = url.split([':', '/']).find(|part| part.parse::<u16>().is_ok_and(|port| port > 255));
    let cluster = format!("cluster.upstream_localhost_{}.upstream_rq_200", port.expect("a port"));
    assert!(stack.envoy.stat(&cluster).await.expect("a statistic") >= 8);
    for entry in stack.sample.journal.entries() {
        for (name, _) in &entry.headers {
            let ours = name.starts_with("x-portcullis-") || name.starts_with("x-envoy-");
            assert!(!ours && name != "x-forwarded-for", "{name} reached the upstream");
        }
    }
}

#[tokio::test]
async fn a_server_works_as_soon_as_it_is_rendered() {
    let stack = Stack::build(Builder { rendered: true, scripted: false, ..Builder::default() }).await;
    let stack = stack.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    let url = stack.scripted.url().replace("127.0.0.1", "localhost");
    let late = Server { slug: "late", url, ..stack.servers[1].clone() };
    seed::register(stack.admin(), &stack.seeded.workspace, &late).await.expect("is registered");

    let agent = stack.agent("late", Era::Modern);
    let call = async || -> Reply { agent.call_tool("get_issue", json!({})).await };
    let refused = poll(async || Some(call().await).filter(|reply| reply.status != 404)).await;
    let refused = refused.expect("the filter knows it");
    assert_eq!((refused.status, &refused.answer()["error"]["code"]), (503, &json!(-31003)), "{refused:?}");
    assert!(refused.answer()["error"]["message"].to_string().contains("render the routes again"));

    stack.render_again().expect("renders");
    let result = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}});
    let called = poll(async || Some(call().await).filter(|reply| reply.status == 200));
    let answered = async { stack.scripted.next_request().await.json(&result).await };
    let (reply, ()) = tokio::join!(called, answered);
    assert_eq!(reply.expect("it works").answer(), result);
}
