//! `POST /v1/leases`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{CANARY, Service, key_proof};
use crate::reply::Reply;

const REGISTRY: &str = "
workspaces:
  - slug: core
  - slug: other
servers:
  - slug: linear
    url: https://mcp.linear.example/mcp
    auth: {type: headers, headers: {Authorization: {env: CANARY}}}
    workspaces: [core]
  - slug: docs
    url: https://docs.example/mcp
    auth: {type: none}
    workspaces: all
  - slug: off
    url: https://off.example/mcp
    auth: {type: none}
    workspaces: all
policies:
  organization:
    servers:
      linear: {tools: {deny: ['delete_*']}}
      off: {enabled: false}
";

/// The reason, and what decided; with the revision that it rests on.
fn denied(lease: &Reply, reason: &str, because: &str) {
    assert_eq!(
        (&lease.body["result"], &lease.body["reason"]),
        (&json!("denied"), &json!(reason)),
        "{}",
        lease.text
    );
    assert_eq!(lease.body["because"], because);
    assert!(lease.body["revision"].as_u64().is_some_and(|revision| revision > 0), "{}", lease.text);
}

#[tokio::test]
async fn a_key_gets_policy_and_credential() {
    let service = Service::start(REGISTRY).await;
    let (key, id) = service.service_key("core").await;
    let path = format!("/v1/policies/key:{id}/linear");
    service.put(&path, json!({"tools": {"allow": ["list_*", "get_*"]}})).await;

    let lease = service.lease_with_key("linear", &key).await;
    assert_eq!(lease.header("x-portcullis-service"), Some("1"));
    assert_eq!(lease.body["credential_headers"], json!([{"name": "authorization", "value": CANARY}]));
    let session_key = lease.body["session_key"].as_str().expect("a key for sessions");
    assert_eq!(session_key.len(), 64);
    let shown = lease.shown().replace(&id, "KEY").replace(CANARY, "CANARY").replace(session_key, "SESSIONS");
    assert_snapshot!(shown, @r#"
    200 OK
    {
      "caller": {
        "credential": "service_key",
        "id": "KEY",
        "key_id": "KEY",
        "name": "ci"
      },
      "credential_generation": 0,
      "credential_headers": [
        {
          "name": "authorization",
          "value": "CANARY"
        }
      ],
      "policy": {
        "levels": [
          {
            "level": "organization",
            "tools": {
              "deny": [
                "delete_*"
              ]
            }
          },
          {
            "level": "key",
            "tools": {
              "allow": [
                "list_*",
                "get_*"
              ]
            }
          }
        ]
      },
      "result": "granted",
      "revision": 3,
      "server_id": "srv_1",
      "session_key": "SESSIONS",
      "ttl_ms": 60000,
      "workspace": {
        "id": "wsp_1",
        "slug": "core"
      }
    }
    "#);

    let lease = service.lease_with_key("docs", &key).await;
    assert_eq!(lease.body["credential_headers"], json!([]));
}

#[tokio::test]
async fn every_reason_to_deny_a_key() {
    let service = Service::start(REGISTRY).await;
    let (key, id) = service.service_key("core").await;
    let (foreign_key, _) = service.service_key("other").await;

    let mut unknown = key_proof(&key);
    unknown["id"] = "0123456789".into();
    let ask = |server: &str, proof: Value| json!({"server": server, "proof": proof});
    denied(&service.lease(&ask("linear", unknown)).await, "unknown_credential", "key/unknown");
    let mut forged = key_proof(&foreign_key);
    forged["id"] = id.clone().into();
    denied(&service.lease(&ask("linear", forged)).await, "unknown_credential", "key/secret");

    let elsewhere = json!({"server": "linear", "workspace": "other", "proof": key_proof(&key)});
    denied(&service.lease(&elsewhere).await, "wrong_workspace", "caller/workspace");
    let right_there = json!({"server": "linear", "workspace": "core", "proof": key_proof(&key)});
    assert_eq!(service.lease(&right_there).await.body["result"], "granted");

    for (server, because) in [("nothing", "server/unknown"), ("off", "organization/enabled")] {
        denied(&service.lease_with_key(server, &key).await, "unknown_server", because);
    }
    let not_provisioned = service.lease_with_key("linear", &foreign_key).await;
    denied(&not_provisioned, "unknown_server", "provision/workspace");

    let path = format!("/v1/keys/{id}");
    service.patch(&path, json!({"expires_at": "2026-11-23T10:00:30Z"})).await;
    assert_eq!(service.lease_with_key("linear", &key).await.body["ttl_ms"], 30_000, "it ends with the key");
    service.clock.advance(30_000);
    denied(&service.lease_with_key("linear", &key).await, "expired_credential", "key/expired");
    service.patch(&path, json!({"expires_at": null, "disabled": true})).await;
    denied(&service.lease_with_key("linear", &key).await, "disabled_credential", "key/disabled");
    service.delete(&path).await;
    denied(&service.lease_with_key("linear", &key).await, "unknown_credential", "key/unknown");
}

#[tokio::test]
async fn a_credential_that_does_not_open_is_said_to_be_unavailable() {
    let service = Service::start(REGISTRY).await;
    let (key, _) = service.service_key("core").await;
    let database = service.directory().path("portcullis.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    sqlx::query("UPDATE server_headers SET value = CAST(x'00' || value AS BLOB)")
        .execute(&mut connection)
        .await
        .expect("writes");
    denied(&service.lease_with_key("linear", &key).await, "credential_unavailable", "server/credential");
}

#[tokio::test]
async fn broken_requests_are_told_what_is_wrong() {
    let service = Service::start(REGISTRY).await;
    let proof = json!({"kind": "api_key", "id": "x", "digest": "00"});
    let reply = service.lease(&json!({"server": "linear", "proof": proof})).await;
    assert_eq!(reply.header("x-portcullis-service"), Some("1"));
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_snapshot!(reply.shown(), @r#"
    422 Unprocessable Entity
    {
      "detail": "one fault; see `problems`",
      "problems": [
        {
          "field": "proof",
          "problem": "a digest is 64 lower-case hexadecimal digits at line 1 column 50",
          "remedy": "see /openapi.json for the fields and their types"
        }
      ],
      "status": 422,
      "title": "The request has faults",
      "type": "urn:portcullis:problem:invalid-request"
    }
    "#);

    let reply = service.lease(&json!({"server": "linear", "padding": "x".repeat(70_000)})).await;
    assert_eq!(reply.header("x-portcullis-service"), Some("1"));
    assert_snapshot!(reply.shown(), @r#"
    413 Payload Too Large
    {
      "detail": "at most 65536 bytes are read",
      "status": 413,
      "title": "The body is too large",
      "type": "urn:portcullis:problem:too-large"
    }
    "#);
}
