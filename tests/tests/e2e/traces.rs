//! One trace from the client through Envoy and the token-service.

use portcullis_tests::collector::Collector;
use portcullis_tests::mcp::{Era, MODERN};
use portcullis_tests::stack::{Builder, OPEN, SAMPLE, SAMPLE_KEY, Stack};
use serde_json::{Map, json};

const SERVICE: &str = "portcullis-token-service";
const ENVOY: &str = "portcullis-envoy";

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

async fn traced() -> (Stack, Collector) {
    let collector = Collector::start().await.expect("a collector");
    let endpoint = json!({"otlp_endpoint": format!("http://{}", collector.address)});
    let sections = Map::from_iter([("telemetry".to_owned(), endpoint)]);
    let builder = Builder { sections, collector: Some(collector.address), ..Builder::default() };
    (Stack::build(builder).await.expect("a stack"), collector)
}

#[tokio::test]
async fn a_clients_trace_goes_through_filter_and_token_service() {
    let (stack, collector) = traced().await;
    // Never seen on this server, so a lease is asked for.
    let agent = stack.agent(OPEN, Era::Modern);
    let request = agent.post(&agent.message("tools/list", json!({})));
    let reply = agent.send(request.header("traceparent", format!("00-{TRACE}-{PARENT}-01"))).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let asked = collector.wait_for(TRACE, SERVICE, "POST /v1/leases").await;
    assert_eq!(asked.parent_id, PARENT);
    let decided = collector.wait_for(TRACE, SERVICE, "lease").await;
    assert_eq!(decided.parent_id, asked.span_id);
    let record = stack.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!(record["trace_id"], TRACE);
    let ingress = collector.wait_for_service(TRACE, ENVOY).await;
    assert_eq!(ingress.parent_id, PARENT);
    // The server gets the client's trace context, and none of ours.
    let received = stack.sample.journal.entries();
    let ids = received.iter().flat_map(|entry| entry.header("traceparent")).collect::<Vec<_>>();
    assert!(ids.iter().all(|id| id.contains(PARENT)) && !ids.is_empty(), "{ids:?}");
    for span in collector.spans() {
        let shown = format!("{span:?}");
        for secret in [SAMPLE_KEY, &stack.seeded.key.text, stack.admin().token(), "Ada"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(!shown.contains("/v1/watch"), "watches are no part of any trace: {shown}");
    }
}

/// MCP lets a client say it in the message. By then the lease is asked for; what is asked for later has it.
#[tokio::test]
async fn a_trace_in_the_message_is_logged_and_followed() {
    let (stack, _collector) = traced().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    for (given, expected) in
        [(format!("00-{TRACE}-{PARENT}-01"), json!(TRACE)), ("00-nonsense".to_owned(), json!(null))]
    {
        let message = agent.message("tools/list", json!({"_meta": {"traceparent": given}}));
        let reply = agent.send(agent.post(&message)).await;
        assert_eq!(reply.status, 200, "{MODERN}: {reply:?}");
        let record = stack.envoy.access_log.record_of(reply.request_id()).await;
        assert_eq!(record["trace_id"], expected, "{record}");
    }
}
