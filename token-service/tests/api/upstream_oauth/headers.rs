//! O32: headers that an administrator sets as a credential, refused when they are written.

use reqwest::StatusCode;
use serde_json::json;

use super::stand::Stand;

/// O32
#[tokio::test]
async fn headers_that_would_change_the_request_are_refused() {
    let stand = Stand::start().await;
    let good = "canary-value";
    let names = [
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
    let values = [
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
        &format!("canary-{}", "x".repeat(64 * 1024 - 1024)),
    ];
    let rows = names.map(|name| (name, good)).into_iter();
    for (name, value) in rows.chain(values.map(|value| ("authorization", value))) {
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
