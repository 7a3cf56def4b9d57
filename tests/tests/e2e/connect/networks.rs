//! Credentials that may be used from some networks only, by the address that Envoy tells the filter.

use portcullis_tests::mcp::Era;
use serde_json::{Value, json};

use super::stand::{Stand, granted};

fn within(networks: &[&str]) -> Value {
    let mut lease = granted(1);
    lease["limits"] = json!({"sources": networks});
    lease
}

#[tokio::test]
async fn the_clients_own_address_counts() {
    let stand = Stand::start([within(&["192.0.2.0/24", "127.0.0.0/8"])]).await;
    let agent = stand.agent(Era::Modern);
    let (reply, ()) = tokio::join!(agent.call_tool("allowed", json!({"q": 1})), async {
        let body = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}});
        stand
            .upstream
            .next_request()
            .await
            .answer(200, &[("content-type", "application/json")], &body.to_string())
            .await;
    });
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn from_elsewhere_nothing_gets_in_whatever_the_client_says_of_its_way() {
    let stand = Stand::start([within(&["192.0.2.0/24"])]).await;
    let agent = stand.agent(Era::Modern);
    let call = agent.message("tools/call", json!({"name": "allowed", "arguments": {}}));
    for (name, value) in [
        ("accept-language", "en"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-real-ip", "192.0.2.7"),
        ("forwarded", "for=192.0.2.7"),
        ("x-envoy-external-address", "192.0.2.7"),
    ] {
        let reply = agent.send(agent.post(&call).header(name, value)).await;
        assert_eq!(reply.status, 403, "{name}: {reply:?}");
        assert_eq!(reply.answer()["error"]["data"]["reason"], "source_not_allowed");
        let record = stand.envoy.access_log.record_of(reply.request_id()).await;
        assert_eq!((&record["rule"], &record["source"]), (&"source_not_allowed".into(), &"127.0.0.1".into()));
    }
    assert!(stand.upstream.journal.entries().is_empty());
}
