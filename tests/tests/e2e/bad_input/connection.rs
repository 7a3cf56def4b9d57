//! Several requests on a connection, and parts of one.

use portcullis_tests::mcp::Era;

use super::*;

#[tokio::test]
async fn a_request_that_never_ends_goes_nowhere() {
    let stack = Stack::start().await;
    let bytes = Request::good(&stack).bytes();
    let mut connection = RawConnection::open(stack.gateway).await;
    connection.send(&bytes[..bytes.len() - 1]).await;
    drop(connection);
    // The broken request is recorded, so it is over.
    let over = stack.envoy.access_log.wait_for(|record| record["status"] == 0).await;
    assert!(over.is_some(), "{}", stack.envoy.access_log.text());
    assert!(stack.sample.journal.entries().is_empty());
    assert_eq!(stack.agent(SAMPLE, Era::Modern).call("tools/list", serde_json::json!({})).await.status, 200);
}

#[tokio::test]
async fn requests_on_one_connection_are_judged_one_by_one() {
    let stack = Stack::start().await;
    let good = Request::good(&stack);
    let poison = good.clone().add("x-poison", b"\xff\xfe").tool("delete_issue");
    let mut connection = RawConnection::open(stack.gateway).await;
    connection.send(&[good.bytes(), poison.bytes(), good.bytes()].concat()).await;
    let mut texts = Vec::new();
    for _ in 0..3 {
        let response = connection.response().await.expect("an answer each");
        assert_eq!(response.status, 200);
        texts.push(response.text());
    }
    assert!(texts[0].contains("PC-1"), "{texts:?}");
    assert!(texts[1].contains("Unknown tool"), "{texts:?}");
    assert!(texts[2].contains("PC-1"), "{texts:?}");
    assert_eq!(stack.sample.journal.entries().len(), 2);
    assert!(stack.filter_never_trapped().await);
}
