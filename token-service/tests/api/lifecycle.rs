//! From the first start to the last request.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Directory, LOG, Service};
use crate::reply::Reply;

#[tokio::test]
async fn the_first_start_makes_private_files_and_names_the_token_file() {
    let service = Service::start("").await;
    for name in ["admin-token", "root.key", "portcullis.db", "internal.sock"] {
        let mode = std::fs::metadata(service.directory().path(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let place = service.directory().path("admin-token").display().to_string();
    let log = LOG.text();
    assert!(log.lines().any(|line| line.contains("admin token") && line.contains(&place)), "{place}");
    assert!(!log.contains(service.token()));
}

#[tokio::test]
async fn a_stop_lets_the_requests_at_hand_finish() {
    let service = Service::start("workspaces: [{slug: core}]\n").await;
    let cursor = service.revision().await;
    let (reply, ()) = tokio::join!(service.watch("vm-1", cursor), async {
        while service.get("/v1/status").await.body["filters"].as_array().is_none_or(Vec::is_empty) {}
        service.request_stop();
    });
    assert_eq!((reply.status.as_u16(), &reply.body["cursor"]), (200, &cursor.into()));
    let directory = service.stop().await;
    assert!(!directory.path("internal.sock").exists());
}

#[tokio::test]
async fn key_uses_are_written_at_the_end_at_the_latest() {
    let declared = "
workspaces: [{slug: core}]
servers: [{slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, workspaces: all}]
";
    let service = Service::start(declared).await;
    let (key, id) = service.service_key("core").await;
    let path = format!("/v1/keys/{id}");
    assert_eq!(service.get(&path).await.body.get("last_used_at"), None);
    service.clock.advance(2_000);
    assert_eq!(service.lease_with_key("docs", &key).await.body["result"], "granted");
    let revision = service.revision().await;
    let directory = service.stop().await;
    let service = Service::start_in(directory, declared).await.expect("starts again");
    assert_eq!(service.get(&path).await.body["last_used_at"], "2026-11-23T10:00:02Z");
    assert_eq!(service.revision().await, revision, "no filter was disturbed");
}

#[tokio::test]
async fn readiness_follows_the_store() {
    let service = Service::start("").await;
    let ready = async |service: &Service| {
        Reply::read(service.filter.get("http://token-service/readyz").send().await.expect("a reply")).await
    };
    assert_eq!(ready(&service).await.status, 200);
    let database = service.directory().path("portcullis.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    sqlx::query("ALTER TABLE revisions RENAME TO gone").execute(&mut connection).await.expect("writes");
    let reply = ready(&service).await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (503, "the store does not answer\n"));
    let live = service.filter.get("http://token-service/livez").send().await.expect("a reply");
    assert_eq!(live.status(), 200);

    let request =
        serde_json::json!({"server": "docs", "proof": crate::harness::token_proof("i", "s", None, 9)});
    let lease = service.lease(&request).await;
    assert_eq!(lease.body, serde_json::json!({"result": "unavailable", "retry_after_ms": 1000}));
    let status = service.get("/v1/status").await;
    assert_eq!(status.status, 503);
    assert!(!status.text.contains("revisions"), "no internals: {}", status.text);
}

#[tokio::test]
async fn two_services_do_not_share_a_socket() {
    let service = Service::start("").await;
    let other = Directory::new();
    std::os::unix::fs::symlink(service.directory().path("internal.sock"), other.path("internal.sock"))
        .expect("a link");
    assert!(Service::start_in(other, "").await.is_err());
}
