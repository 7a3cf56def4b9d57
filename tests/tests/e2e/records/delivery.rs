//! As many records as requests, whatever becomes of the token-service meanwhile.

use portcullis_tests::mcp::Era;
use portcullis_tests::patience::poll;
use portcullis_tests::stack::{OPEN, Stack};
use serde_json::json;

#[tokio::test]
async fn a_token_service_that_comes_back_has_them_all() {
    let mut stack = Stack::start().await;
    let agent = stack.agent(OPEN, Era::Modern);
    let mut calls = 0;
    for what in ["runs", "is gone", "is back", "hangs", "goes on"] {
        match what {
            "is gone" => stack.service.kill().expect("ends"),
            "is back" => stack.service.restart().await.expect("starts again"),
            "hangs" => stack.service.process.freeze().expect("stops"),
            "goes on" => stack.service.process.thaw().expect("goes on"),
            _ => {}
        }
        for _ in 0..20 {
            // Answered or refused: each is a request.
            agent.call_tool("whoami", json!({})).await;
            calls += 1;
        }
    }
    let written = poll(async || {
        let lines = stack.envoy.access_log.records();
        (lines.iter().filter(|line| line["server"] == OPEN).count() >= calls).then_some(())
    });
    written.await.expect("Envoy writes a line for each");
    let all = poll(async || {
        let answer = stack.admin().get("/v1/records?server=sample-open&limit=1000").await.ok()?;
        (answer["records"].as_array()?.len() >= calls).then_some(())
    });
    all.await.expect("every record arrives");
    let lines = stack.envoy.access_log.records();
    let lines = lines.iter().filter(|line| line["server"] == OPEN).count();
    let answer = stack.admin().get("/v1/records?server=sample-open&limit=1000").await.expect("an answer");
    assert_eq!(answer["records"].as_array().map(Vec::len), Some(lines), "no more than there were");
    let dropped = stack.envoy.stat("open_telemetry_access_log.records.logs_dropped").await;
    assert_eq!(dropped.expect("a counter"), 0);
}
