//! A token-service that has just started knows no filter, and does not take that for there being none.

use portcullis_tests::mcp::Era;
use portcullis_tests::stack::{SAMPLE, Stack};
use serde_json::json;

#[tokio::test]
async fn applied_is_true_right_after_a_restart() {
    let mut stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    assert_eq!(agent.call_tool("whoami", json!({})).await.status, 200, "the lease is cached");
    stack.service.kill().expect("ends");
    stack.service.restart().await.expect("starts again");
    // Before the filter has come back.
    let path = format!("/v1/keys/{}?wait=applied", stack.seeded.key.id);
    stack.admin().patch(&path, json!({"disabled": true})).await.expect("is applied");
    assert_eq!(agent.call_tool("whoami", json!({})).await.status, 401);
}

#[tokio::test]
async fn the_status_says_how_long_changes_take() {
    let stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    assert_eq!(agent.call_tool("whoami", json!({})).await.status, 200);
    let path = format!("/v1/keys/{}?wait=applied", stack.seeded.key.id);
    stack.admin().patch(&path, json!({"disabled": true})).await.expect("is applied");
    let status = stack.admin().get("/v1/status").await.expect("the status");
    let delay = &status["revocation_delay_ms"];
    assert!(delay["count"].as_u64().is_some_and(|count| count > 0), "{status}");
    for figure in ["p50", "p99", "max", "since_ms"] {
        assert!(delay[figure].is_u64(), "{status}");
    }
}
