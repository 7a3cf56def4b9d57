//! What is odd and does no harm is served, and leaves no trace at the upstream.

use portcullis_tests::mcp::Era;
use portcullis_tests::raw::RawConnection;
use portcullis_tests::stack::{SAMPLE, Stack};
use serde_json::json;

#[tokio::test]
async fn what_only_the_gateway_may_say_is_not_believed() {
    let stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let message = agent.message("tools/call", json!({"name": "get_issue", "arguments": {"id": "PC-1"}}));
    let claims = [
        ("x-portcullis-upstream", "tls"),
        ("x-portcullis-caller", "spoofed"),
        ("x-envoy-original-path", "/spoofed"),
        ("x-forwarded-for", "spoofed"),
        ("x-forwarded-host", "spoofed"),
        ("forwarded", "for=spoofed"),
        ("x-http-method-override", "DELETE"),
    ];
    let request =
        claims.iter().fold(agent.post(&message), |request, (name, value)| request.header(*name, *value));
    let reply = agent.send(request).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let entries = stack.sample.journal.entries();
    assert_eq!(entries.len(), 1);
    assert!(!entries[0].contains("spoofed"), "{entries:?}");
    let names: Vec<&str> = entries[0].headers.iter().map(|(name, _)| name.as_str()).collect();
    for (name, _) in claims {
        assert!(!names.contains(&name), "{names:?}");
    }
    assert!(
        !names.iter().any(|name| name.starts_with("x-portcullis") || name.starts_with("x-envoy")),
        "{names:?}"
    );
    let record = stack.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!(record["source"], "127.0.0.1");
}

#[tokio::test]
async fn bytes_above_0x7f_in_a_header_that_nobody_reads_do_nothing() {
    let stack = Stack::start().await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }}})
    .to_string();
    let mut request = format!(
        "POST /{SAMPLE}/mcp HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\n\
         content-length: {}\r\nx-odd: ",
        stack.gateway,
        stack.seeded.key.text,
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(b"\xff\x80\r\n\r\n");
    request.extend_from_slice(body.as_bytes());
    let mut connection = RawConnection::open(stack.gateway).await;
    connection.send(&request).await;
    assert_eq!(connection.response().await.map(|response| response.status), Some(200));
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn spellings_that_mean_the_same_are_the_same() {
    let stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let message = agent.message("tools/list", json!({}));
    let request = agent.post(&message).body(message.to_string());
    let mut request = request.build().expect("a request");
    let kind = "Application/JSON; Charset=UTF-8".parse().expect("a value");
    request.headers_mut().insert("content-type", kind);
    let reply = portcullis_tests::http::client().build().expect("a client").execute(request).await;
    assert_eq!(reply.expect("an answer").status(), 200);
}
