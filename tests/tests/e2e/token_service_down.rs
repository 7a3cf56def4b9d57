//! Without the token-service: what is decided already goes on for a while, all else is refused, nothing is let through.

use std::net::SocketAddr;

use portcullis_tests::artifacts::Artifacts;
use portcullis_tests::envoy::{Envoy, Settings};
use portcullis_tests::mcp::{Agent, Era, Reply};
use portcullis_tests::patience::poll;
use portcullis_tests::port::Reserved;
use portcullis_tests::seed::member_key;
use portcullis_tests::stack::{OPEN, SAMPLE, Stack};
use serde_json::json;

fn assert_unavailable(reply: &Reply) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
    assert_eq!(reply.answer()["error"]["code"], -31003, "{reply:?}");
}

async fn another_key(stack: &Stack) -> String {
    let seeded = &stack.seeded;
    let key = member_key(stack.admin(), &seeded.workspace, &seeded.member, "phone").await;
    key.expect("another key").text
}

#[tokio::test]
async fn what_is_known_is_served_and_nothing_else() {
    let mut stack = Stack::start().await;
    let known = stack.agent(SAMPLE, Era::Modern);
    let unknown = known.with_credential(Some(&another_key(&stack).await));
    assert_eq!(known.call_tool("whoami", json!({})).await.status, 200);
    stack.sample.journal.clear();

    stack.service.kill().expect("ends");
    assert_eq!(known.call_tool("whoami", json!({})).await.status, 200);
    assert_unavailable(&unknown.call_tool("whoami", json!({})).await);
    // Known caller, but never seen on this server.
    assert_unavailable(&stack.agent(OPEN, Era::Modern).call_tool("whoami", json!({})).await);
    assert_eq!(stack.sample.journal.entries().len(), 1);

    stack.service.restart().await.expect("starts again");
    let back = poll(async || {
        let reply = unknown.call_tool("whoami", json!({})).await;
        (reply.status == 200).then_some(())
    });
    back.await.expect("the filter finds the token-service again");
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn a_token_service_that_hangs_is_one_that_is_gone() {
    let stack = Stack::start().await;
    let agent = stack.agent(OPEN, Era::Modern);
    stack.service.process.freeze().expect("stops");
    assert_unavailable(&agent.call_tool("whoami", json!({})).await);
    stack.service.process.thaw().expect("goes on");
    let back = poll(async || {
        let reply = agent.call_tool("whoami", json!({})).await;
        (reply.status == 200).then_some(())
    });
    back.await.expect("the filter finds the token-service again");
}

#[tokio::test]
async fn without_a_token_service_at_start_nothing_is_let_through() {
    let artifacts = Artifacts::find().expect("everything built");
    let directory = tempfile::tempdir().expect("a directory");
    let ports: Vec<Reserved> = (0..4).map(|_| Reserved::take(None).expect("a port")).collect();
    let addresses: Vec<SocketAddr> = ports.iter().map(|port| port.address().expect("an address")).collect();
    drop(ports);
    let settings = Settings {
        gateway: addresses[0],
        admin: addresses[1],
        // Nobody listens there.
        token_service: addresses[2],
        replicas: Vec::new(),
        pages: addresses[3],
        public_url: format!("http://{}", addresses[0]),
        access_log: directory.path().join("access.jsonl"),
        concurrency: 1,
        log: "wasm:info",
        rate_limit_service: None,
        longest_response: None,
        longest_lease: None,
        trusted_ca: None,
        collector: None,
        listener_file: None,
        filter_file: None,
        mesh: None,
        rendered_from: None,
    };
    let mut envoy = Envoy::start(&artifacts, &settings, directory.path()).expect("starts");
    envoy.ready().await.expect("Envoy itself is ready");
    let agent = Agent::new(format!("http://{}/sample/mcp", addresses[0]), Some("whatever"), Era::Modern);
    assert_unavailable(&agent.call("tools/list", json!({})).await);
    assert_eq!(envoy.stat("vm_reload").await.expect("statistics"), 0);
}
