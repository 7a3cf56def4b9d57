//! What records may hold of payloads: from the file and the admin API to the filters.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::harness::Service;

const REGISTRY: &str = "
workspaces: [{slug: core}]
servers:
  - slug: crm
    url: https://crm.example/mcp
    auth: {type: none}
    workspaces: all
    payload_limit: 8192
    redact: {parameters: [/arguments/email], response: ['/structuredContent/*/ssn']}
";

/// What filters are told of a server.
async fn told(service: &Service, slug: &str) -> Value {
    let reply = service.watch("vm-1", 0).await;
    let servers = reply.body["registry"]["servers"].as_array().expect("servers").clone();
    servers.into_iter().find(|server| server["slug"] == slug).expect("the server")
}

#[tokio::test]
async fn a_filter_that_knows_no_pointers_is_told_to_show_a_digest() {
    let service = Service::start(REGISTRY).await;
    let crm = told(&service, "crm").await;
    assert_eq!(crm["payload"], "digest");
    let redact = json!({"parameters": ["/arguments/email"], "response": ["/structuredContent/*/ssn"]});
    assert_eq!(crm["capture"], json!({"policy": "redacted", "limit": 8192, "redact": redact}));
    let shown = service.get("/v1/servers/crm").await.body;
    assert_eq!(
        (&shown["payload"], &shown["payload_limit"], &shown["redact"]),
        (&json!("redacted"), &json!(8192), &redact)
    );
}

#[tokio::test]
async fn what_is_absent_stays_and_what_is_given_replaces() {
    let service = Service::start(REGISTRY).await;
    let notes = json!({"slug": "notes", "url": "https://notes.example/mcp", "auth": {"type": "none"}, "workspaces": "all"});
    let made = service.post("/v1/servers", notes).await.body;
    assert_eq!(
        (&made["payload"], &made["payload_limit"], &made["redact"]),
        (&json!("redacted"), &json!(4096), &Value::Null)
    );
    assert_eq!(told(&service, "notes").await["capture"], Value::Null);

    let pointers = json!({"parameters": ["/a", "/b"], "response": ["/c"]});
    let changed =
        service.patch("/v1/servers/notes", json!({"redact": pointers, "payload_limit": 1000})).await.body;
    assert_eq!((&changed["redact"], &changed["payload_limit"]), (&pointers, &json!(1000)));
    let renamed = service.patch("/v1/servers/notes", json!({"name": "Notes"})).await.body;
    assert_eq!((&renamed["redact"], &renamed["payload_limit"]), (&pointers, &json!(1000)));
    let fewer = service.patch("/v1/servers/notes", json!({"redact": {"response": ["/d"]}})).await.body;
    assert_eq!(fewer["redact"], json!({"parameters": [], "response": ["/d"]}));

    let full = service.patch("/v1/servers/notes", json!({"payload": "full"})).await;
    assert_eq!(full.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(full.body["problems"][0]["field"], "redact");
    let full = service.patch("/v1/servers/notes", json!({"payload": "full", "redact": {}})).await.body;
    assert_eq!((&full["payload"], &full["redact"]), (&json!("full"), &Value::Null));
    let entry = told(&service, "notes").await;
    assert_eq!(
        (&entry["payload"], &entry["capture"]),
        (&json!("full"), &json!({"policy": "full", "limit": 1000}))
    );
}

#[tokio::test]
async fn every_fault_is_named() {
    let service = Service::start(REGISTRY).await;
    let redact = json!({"parameters": ["a", "/x~2"], "response": vec!["/y"; 2]});
    let refused = service.patch("/v1/servers/crm", json!({"payload_limit": 70_000, "redact": redact})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problems = refused.body["problems"].as_array().expect("problems").clone();
    let fields: Vec<&str> = problems.iter().filter_map(|problem| problem["field"].as_str()).collect();
    assert_eq!(
        fields,
        ["payload_limit", "redact.parameters[0]", "redact.parameters[1]", "redact.response[1]"]
    );
}
