//! The audit log.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::Service;

#[tokio::test]
async fn each_change_is_recorded_with_its_author() {
    let service = Service::start("workspaces: [{slug: core}]\n").await;
    let made = service.post("/v1/workspaces", json!({"slug": "design"})).await;
    service.clock.advance(1_500);
    service.patch("/v1/workspaces/design", json!({"name": "Design"})).await;
    service.patch("/v1/workspaces/design", json!({"name": "Design"})).await;
    service.delete(&format!("/v1/workspaces/{}", made.id())).await;
    service.delete("/v1/workspaces/core").await;
    assert_snapshot!(service.get("/v1/audit").await.shown(), @r#"
    200 OK
    {
      "entries": [
        {
          "action": "workspace.delete",
          "at": "2026-11-23T10:00:01.5Z",
          "object": "wsp_1",
          "revision": 4,
          "sequence": 4,
          "who": "admin_token"
        },
        {
          "action": "workspace.change",
          "at": "2026-11-23T10:00:01.5Z",
          "object": "wsp_1",
          "revision": 3,
          "sequence": 3,
          "who": "admin_token"
        },
        {
          "action": "workspace.create",
          "at": "2026-11-23T10:00:00Z",
          "object": "wsp_1",
          "revision": 2,
          "sequence": 2,
          "who": "admin_token"
        },
        {
          "action": "workspace.create",
          "at": "2026-11-23T10:00:00Z",
          "object": "wsp_2",
          "revision": 1,
          "sequence": 1,
          "who": "configuration"
        }
      ]
    }
    "#);
    let page = service.get("/v1/audit?before=3&limit=1").await.body;
    assert_eq!(page["entries"][0]["sequence"], 2);
}

#[tokio::test]
async fn the_log_cannot_be_rewritten() {
    let service = Service::start("workspaces: [{slug: core}]\n").await;
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(service.directory().path("portcullis.db"));
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    for statement in ["UPDATE audit SET object = 'x'", "DELETE FROM audit"] {
        let error = sqlx::query(statement).execute(&mut connection).await.expect_err("refused");
        assert!(error.to_string().contains("only grows"), "{error}");
    }
}
