//! An upstream that is not there: the client is told in its own form, and the record says what happened.

use portcullis_tests::mcp::Era;
use portcullis_tests::port::Reserved;
use portcullis_tests::stack::Stack;
use serde_json::json;

#[tokio::test]
async fn a_server_that_nobody_runs() {
    let stack = Stack::start().await;
    let nobody = Reserved::take(None).expect("a port").address().expect("an address");
    let server = json!({
        "slug": "gone",
        "url": format!("http://{nobody}/mcp"),
        "allow_http": true,
        "auth": {"type": "none"},
        "workspaces": "all",
    });
    // Registered while everything runs, and known to the filter without a change to Envoy.
    stack.admin().post("/v1/servers?wait=applied", server).await.expect("registers");
    for era in [Era::Modern, Era::Legacy("2025-11-25")] {
        let reply = stack.agent("gone", era).call("tools/list", json!({})).await;
        assert_eq!(reply.status, 503, "{reply:?}");
        assert_eq!(reply.answer()["error"]["code"], -31003, "{reply:?}");
        let record = stack.envoy.access_log.record_of(reply.request_id()).await;
        assert_eq!(record["decision"], "allow", "{record}");
        assert_eq!(record["flags"], "UF", "{record}");
    }
    assert!(stack.filter_never_trapped().await);
}
