//! `GET /metrics`. Figures are those of the process, so other tests may have added to them.

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Directory, Service};

const DECLARED: &str = "
workspaces: [{slug: core, members: [{issuer: 'https://idp.example', subject: ada-canary, name: Ada Canary}]}]
servers: [{slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, workspaces: all}]
";

async fn service() -> (Service, String) {
    let internal = "internal: unix:DIRECTORY/internal.sock\n  metrics: 127.0.0.1:0";
    let service = Service::start_with_internal(Directory::new(), internal, DECLARED).await.expect("starts");
    let url = service.addresses.metrics.clone().expect("a listener for metrics");
    (service, url)
}

/// The value of the series that begins so; 0 if there is none.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or(" 0");
    line.trim().parse().unwrap_or_else(|error| panic!("{error}: {series}{line}"))
}

#[tokio::test]
async fn what_happens_is_counted() {
    let (service, url) = service().await;
    let text = async || {
        service
            .admin
            .get(format!("{url}/metrics"))
            .send()
            .await
            .expect("a reply")
            .text()
            .await
            .expect("a text")
    };
    let before = text().await;
    let (key, _) = service.service_key("core").await;
    service.lease_with_key("docs", &key).await;
    service.lease_with_key("nowhere", &key).await;
    service.get("/v1/servers").await;
    service.get("/canary-path").await;
    service.watch("filter-1", 0).await;
    let after = text().await;
    for series in [
        r#"portcullis_token_service_leases_total{result="granted",reason="none"}"#,
        r#"portcullis_token_service_leases_total{result="denied",reason="unknown_server"}"#,
        r#"portcullis_token_service_lease_seconds_count{result="granted"}"#,
        r#"portcullis_token_service_http_requests_total{listener="admin",method="GET",route="/v1/servers",status="200"}"#,
        r#"portcullis_token_service_http_requests_total{listener="admin",method="GET",route="-",status="404"}"#,
        r#"portcullis_token_service_http_requests_total{listener="internal",method="GET",route="/v1/watch",status="200"}"#,
        r#"portcullis_token_service_changes_total{action="key.create"}"#,
        "portcullis_token_service_store_write_seconds_count",
    ] {
        assert!(value(&after, series) - value(&before, series) > 0.5, "{series}\n{after}");
    }
    for series in [
        r#"portcullis_token_service_filters{state="connected"}"#,
        "portcullis_token_service_revision",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(value(&after, series) > 0.5, "{series}\n{after}");
    }
    assert!(!after.contains("canary") && !after.contains("Canary"), "{after}");
    assert!(
        !after.contains(r#"http_request_seconds_count{listener="internal",route="/v1/watch"}"#),
        "it is held"
    );
}

#[tokio::test]
async fn figures_are_for_those_who_look_after_the_gateway() {
    let (service, url) = service().await;
    let status = async |url: String| service.admin.get(url).send().await.expect("a reply").status();
    assert_eq!(status(format!("{url}/metrics")).await, StatusCode::OK);
    for path in ["/", "/v1/status", "/v1/leases", "/v1/watch?cursor=0&filter=x"] {
        assert_eq!(status(format!("{url}{path}")).await, StatusCode::NOT_FOUND, "{path}");
    }
    for other in [&service.addresses.public, &service.addresses.admin] {
        assert_eq!(status(format!("{other}/metrics")).await, StatusCode::NOT_FOUND, "{other}");
    }
    let internal = service.filter.get("http://token-service/metrics").send().await.expect("a reply");
    assert_eq!(internal.status(), StatusCode::OK);
    assert!(
        internal.headers()["content-type"].to_str().expect("a text").starts_with("text/plain; version=0.0.4")
    );
    let posted = service.admin.post(format!("{url}/metrics")).json(&json!({})).send().await.expect("a reply");
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}
