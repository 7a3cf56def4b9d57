//! O32: headers that an administrator sets as a credential, refused when they are written.

use reqwest::StatusCode;
use serde_json::json;

use super::stand::Stand;

/// Names that frame or route a request, that are the gateway's or MCP's, or that are none.
const NAMES: [&str; 36] = [
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "TE",
    "Trailer",
    "Connection",
    "Keep-Alive",
    "Upgrade",
    "Proxy-Authorization",
    "Proxy-Connection",
    "HTTP2-Settings",
    "Expect",
    "Via",
    "Forwarded",
    "Origin",
    "X-Forwarded-For",
    "X-Envoy-Original-Path",
    "X-Portcullis-Caller",
    "Mcp-Session-Id",
    "Mcp-Method",
    "Accept",
    "Content-Type",
    "Content-Encoding",
    "Last-Event-ID",
    "X-Request-Id",
    ":path",
    ":authority",
    "",
    " ",
    "a b",
    "a:b",
    "a\r\nx",
    "a\0",
    "ä",
    "authorization ",
    "\tauthorization",
];

/// Values that a header cannot carry as they are.
const VALUES: [&str; 11] = [
    "",
    " canary-a",
    "canary-a ",
    "canary-a\rx",
    "canary-a\nx",
    "canary-a\r\nx: y",
    "canary-\0",
    "canary-\tx",
    "canary-ä",
    "canary-\u{7f}",
    "canary-\u{2028}",
];

/// O32
#[tokio::test]
async fn headers_that_would_change_the_request_are_refused() {
    let stand = Stand::start().await;
    let good = "canary-value";
    let long = format!("canary-{}", "x".repeat(63 * 1024));
    let names = NAMES.into_iter().map(|name| (name, good));
    let values = VALUES.into_iter().chain([long.as_str()]).map(|value| ("authorization", value));
    for (name, value) in names.chain(values) {
        let server = json!({
            "slug": "refused", "url": "https://mcp.example/mcp", "workspaces": ["core"],
            "auth": {"type": "headers", "headers": [{"name": name, "value": value}]},
        });
        let reply = stand.service.post("/v1/servers", server).await;
        let short: String = value.chars().take(20).collect();
        // A body larger than what is read at all is refused as such.
        let expected = [StatusCode::UNPROCESSABLE_ENTITY, StatusCode::PAYLOAD_TOO_LARGE];
        assert!(expected.contains(&reply.status), "{name:?} {short:?}: {}", reply.text);
        assert!(!reply.text.contains("canary"), "{name:?} {short:?}: {}", reply.text);
        assert_eq!(stand.service.get("/v1/servers/refused").await.status, StatusCode::NOT_FOUND);
    }
    let server = json!({
        "slug": "taken", "url": "https://mcp.example/mcp", "workspaces": ["core"],
        "auth": {"type": "headers", "headers": [{"name": "Authorization", "value": good}]},
    });
    assert_eq!(stand.service.post("/v1/servers", server).await.status, StatusCode::CREATED);
    let lease = stand.service.lease_with_key("taken", &stand.key).await;
    let headers = &lease.body["credential_headers"];
    assert_eq!(*headers, json!([{"name": "authorization", "value": good}]), "{}", lease.text);
    stand.no_secret_was_logged();
}
