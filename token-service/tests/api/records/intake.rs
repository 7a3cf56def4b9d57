//! What is sent is kept, once, and shown.

use serde_json::json;
use tonic::Code;

use super::stand::{Stand, call, export};

#[tokio::test]
async fn a_record_is_shown_with_all_that_was_sent() {
    let stand = Stand::start("").await;
    let record = call(
        5,
        "create_issue",
        &[
            ("user.id", "mem_1"),
            ("gen_ai.tool.call.arguments", r#"{"title":"x"}"#),
            ("gen_ai.tool.call.result", "done"),
            ("portcullis.key", "-"),
            ("team", "platform"),
            ("error.type", "repeated"),
        ],
    );
    stand.send(vec![record]).await;
    let list = stand.service.get("/v1/records").await.body;
    let id = list["records"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(list["records"][0]["parameters"], json!(null), "only where they are asked for");
    assert_eq!(list["next"], json!(null));
    let with = stand.service.get("/v1/records?payloads=true").await.body;
    let shown = stand.service.get(&format!("/v1/records/{id}")).await.body;
    assert_eq!(with["records"][0], shown);
    assert_eq!(
        shown,
        json!({
            "id": id,
            "at": "2026-11-23T10:00:00.005Z",
            "outcome": "ok",
            "request_id": "5 create_issue",
            "server": "linear",
            "caller": "mem_1",
            "method": "tools/call",
            "kind": "tool",
            "name": "create_issue",
            "decision": "allow",
            "status": 200,
            "latency_ms": 7,
            "parameters": "{\"title\":\"x\"}",
            "response": "done",
            "further": {"team": "platform"},
        })
    );
    for missing in ["rec_0000000000000000", "rec_x", "1"] {
        assert_eq!(stand.service.get(&format!("/v1/records/{missing}")).await.status, 404, "{missing}");
    }
}

#[tokio::test]
async fn what_comes_again_counts_once() {
    let stand = Stand::start("").await;
    let batch = vec![call(1, "a", &[]), call(2, "b", &[])];
    for _ in 0..3 {
        stand.send(batch.clone()).await;
    }
    assert_eq!(stand.names("/v1/records").await, ["b", "a"]);
    let status = stand.service.get("/v1/status").await.body["records"].clone();
    assert_eq!(status["records"], 2);
    assert_eq!(status["oldest"], "2026-11-23T10:00:00.001Z");
    let received = json!({"kept": 2, "duplicates": 4, "rejected": 0, "refused": 0, "failed": 0});
    assert_eq!(status["received"], received);
}

#[tokio::test]
async fn many_senders_lose_nothing() {
    let stand = Stand::start("").await;
    let batch = |sender: u64| (0..50).map(|number| call(sender * 100 + number, "x", &[])).collect();
    let sending = (0..20).map(|sender| stand.export(export(batch(sender))));
    let mut answers = Vec::new();
    for answer in futures_of(sending).await {
        answers.push(answer.expect("is taken"));
    }
    assert_eq!(answers.len(), 20);
    assert_eq!(stand.service.get("/v1/status").await.body["records"]["records"], 1_000);
}

/// All at once.
async fn futures_of<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in waiting.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn records_outlive_the_service() {
    let stand = Stand::start("").await;
    stand.send(vec![call(1, "a", &[])]).await;
    let directory = stand.service.stop().await;
    let again = Stand::start_in(directory, "").await;
    again.send(vec![call(1, "a", &[]), call(2, "b", &[])]).await;
    assert_eq!(again.names("/v1/records").await, ["b", "a"]);
}

#[tokio::test]
async fn what_may_not_stay_goes() {
    let stand = Stand::start("records: {max_records: 1000, keep: 1h}").await;
    for start in [0, 500, 1_000] {
        stand.send((start..start + 500).map(|number| call(number, "x", &[])).collect()).await;
    }
    let shared = stand.service.shared();
    let records = shared.records.as_ref().expect("records are kept");
    records.prune(shared.clock.now()).await.expect("prunes");
    assert_eq!(records.store.usage().await.expect("tells").records, 1_000);
    stand.service.clock.advance(3_600_001 + 1_400);
    records.prune(shared.clock.now()).await.expect("prunes");
    let left = records.store.usage().await.expect("tells");
    assert_eq!(left.records, 99);
}

#[tokio::test]
async fn where_none_are_kept_senders_are_told() {
    let stand = Stand::start("records: {enabled: false}").await;
    let refused = stand.export(export(vec![call(1, "a", &[])])).await.expect_err("is off");
    assert_eq!(refused.code(), Code::Unimplemented);
    let refused = stand.service.get("/v1/records").await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(refused.text.contains("records.enabled"), "{}", refused.text);
    assert_eq!(stand.service.get("/v1/status").await.body["records"], json!(null));
    assert!(!stand.service.directory().path("portcullis.records.db").exists());
}
