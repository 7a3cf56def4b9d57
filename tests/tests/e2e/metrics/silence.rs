//! A token-service that is gone, as the metrics tell of it.

use portcullis_tests::mcp::Era;
use portcullis_tests::scrape::envoy_shows;
use portcullis_tests::stack::{SAMPLE, Stack};
use serde_json::json;

#[tokio::test]
async fn silence_shows_and_goes_away() {
    let mut stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    stack.service.kill().expect("ends");
    envoy_shows(&stack, "VMs that know nothing", |scrape| {
        scrape.sum("portcullis_unverified_vms", &[]) >= 2.0
            && scrape.sum("portcullis_watch_age_milliseconds", &[]) >= 3_000.0
    })
    .await;
    assert_eq!(agent.call("tools/list", json!({})).await.status, 200, "what is cached serves");
    let silent = envoy_shows(&stack, "a request without word", |scrape| {
        scrape.sum("portcullis_stale_served_total", &[("mcp_server", SAMPLE)]) > 0.0
    })
    .await;
    assert!(silent.sum("portcullis_calls_total", &[("mcp_call", "watch"), ("mcp_result", "failed")]) > 0.0);
    let age = silent.sum("portcullis_watch_age_milliseconds", &[]);
    assert!(age >= 3_000.0, "{age}");
    stack.service.restart().await.expect("starts again");
    envoy_shows(&stack, "that all is well", |scrape| {
        scrape.sum("portcullis_unverified_vms", &[]) < 0.5
            && scrape.sum("portcullis_watch_age_milliseconds", &[]) < age
    })
    .await;
}

/// A VM that starts again, for a new configuration or after a fault of Envoy, goes on where the one before has been.
#[tokio::test]
async fn an_envoy_that_starts_again_counts_anew_and_once() {
    let mut stack = Stack::start().await;
    let count = |scrape: &portcullis_tests::scrape::Scrape| scrape.sum("portcullis_requests_total", &[]);
    envoy_shows(&stack, "requests", |scrape| count(scrape) > 0.0).await;
    stack.restart_envoy().await.expect("starts again");
    let before = count(&envoy_shows(&stack, "requests again", |scrape| count(scrape) > 0.0).await);
    let agent = stack.agent(SAMPLE, Era::Modern);
    for _ in 0..4 {
        agent.call("tools/list", json!({})).await;
    }
    envoy_shows(&stack, "four more", |scrape| count(scrape) - before > 3.5).await;
    let after = envoy_shows(&stack, "no more than four", |scrape| count(scrape) - before < 4.5).await;
    assert!(count(&after) - before > 3.5);
}
