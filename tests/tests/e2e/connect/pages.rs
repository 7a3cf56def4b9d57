//! The pages for browsers: past the filter, to the public listener and nowhere else.

use portcullis_tests::raw::RawConnection;
use serde_json::json;

use super::stand::{Stand, granted};

#[tokio::test]
async fn pages_come_from_the_public_listener_and_nothing_else_does() {
    let stand = Stand::start([granted(1)]).await;
    let http = portcullis_tests::http::client().redirect(reqwest::redirect::Policy::none()).build();
    let http = http.expect("a client");
    for path in [
        "/connect/t1?x=1",
        "/callback/s1?code=c&state=s",
        "/connections",
        "/connections/c1/reconnect",
        "/setup",
        "/setup/core/linear",
        "/sign-in",
        "/sign-out",
        "/oauth/authorize",
        "/assets/style.css",
    ] {
        let request = http
            .get(format!("http://{}{path}", stand.gateway))
            .header("x-portcullis-handle", "h")
            .header("x-portcullis-service", "1")
            .header("x-portcullis-api-key", "k")
            .header("x-forwarded-for", "203.0.113.9")
            .header("cookie", "session=1");
        let (reply, ()) = tokio::join!(request.send(), async {
            let conversation = stand.pages.next_request().await;
            assert_eq!(conversation.request.target, path);
            for (name, _) in &conversation.request.headers {
                assert!(!name.starts_with("x-portcullis-"), "{name}");
            }
            assert_eq!(conversation.request.header("x-forwarded-for"), ["127.0.0.1"]);
            assert_eq!(conversation.request.header("cookie"), ["session=1"]);
            let headers = [("set-cookie", "session=2"), ("location", "/connections")];
            conversation.answer(303, &headers, "").await;
        });
        let reply = reply.expect("an answer");
        assert_eq!(reply.status(), 303, "{path}");
        assert!(reply.headers().contains_key("set-cookie"), "{path}");
    }
    for (path, header) in [
        ("/connect/t1", "x-portcullis-upstream: tls"),
        ("/connect/t1", "x-portcullis-upstream: service"),
        ("/v1/leases", "x-portcullis-upstream: service"),
        ("/connectionsx", "x-a: b"),
        ("/setupx", "x-a: b"),
        ("/connections/../scripted/mcp", "x-a: b"),
        ("/scripted/mcp", "x-portcullis-upstream: plain"),
    ] {
        let mut connection = RawConnection::open(stand.gateway).await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{header}\r\n\r\n", stand.gateway);
        connection.send(request.as_bytes()).await;
        let reply = connection.response().await.expect("an answer");
        assert!(matches!(reply.status, 401 | 404), "{path} {header}: {reply:?}");
        let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!(body["jsonrpc"], json!("2.0"), "{path} {header}: the filter's answer");
    }
    assert_eq!(stand.pages.journal.entries().len(), 10);
    assert!(stand.upstream.journal.entries().is_empty());
    assert!(stand.service.asked("/v1/leases").is_empty());
}
