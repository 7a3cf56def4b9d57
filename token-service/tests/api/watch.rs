//! `GET /v1/watch`, and waiting for what it is acknowledged.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::Service;

const REGISTRY: &str = "
workspaces:
  - slug: core
servers:
  - slug: docs
    url: https://docs.example/mcp
    auth: {type: none}
    workspaces: all
";

#[tokio::test]
async fn a_new_filter_is_told_everything() {
    let service = Service::start(REGISTRY).await;
    let mut reply = service.watch("vm-1", 0).await;
    assert_eq!(reply.header("x-portcullis-service"), Some("1"));
    // The gateway's own keys are others in each run.
    let gateway = reply.body["registry"]["issuers"][0].take();
    assert_eq!(gateway["keys"].as_array().map(Vec::len), Some(1), "{gateway}");
    reply.body["registry"]["issuers"] = json!([]);
    assert_snapshot!(reply.shown(), @r#"
    200 OK
    {
      "cursor": 1,
      "hold_ms": 30000,
      "now_ms": 1795428000000,
      "registry": {
        "accepts_opaque_tokens": false,
        "issuers": [],
        "servers": [
          {
            "id": "srv_1",
            "payload": "redacted",
            "slug": "docs",
            "upstream": {
              "authority": "docs.example",
              "path": "/mcp",
              "tls": true
            }
          }
        ]
      },
      "reset": true
    }
    "#);
}

#[tokio::test]
async fn a_commit_wakes_the_watch() {
    let service = Service::start(REGISTRY).await;
    let (_, key) = service.service_key("core").await;
    let cursor = service.revision().await;
    // The hold is 30 s: only the commit can end the watch in time.
    let (news, _) = tokio::join!(service.watch("vm-1", cursor), async {
        service.connected("vm-1").await;
        service.delete(&format!("/v1/keys/{key}")).await
    });
    assert_eq!(news.body["cursor"], cursor + 1);
    assert_eq!(news.body["invalidations"], json!([{"kind": "key", "id": key}]));
    assert_eq!(news.body.get("registry"), None, "no server changed");
    assert_eq!(news.body["reset"], false);
}

#[tokio::test]
async fn a_change_of_the_registry_brings_the_registry() {
    let service = Service::start(REGISTRY).await;
    let cursor = service.revision().await;
    let server =
        json!({"slug": "new", "url": "https://new.example/mcp", "auth": {"type": "none"}, "workspaces": []});
    service.post("/v1/servers", server).await;
    let news = service.watch("vm-1", cursor).await;
    let slugs: Vec<_> = news.body["registry"]["servers"]
        .as_array()
        .expect("servers")
        .iter()
        .map(|server| &server["slug"])
        .collect();
    assert_eq!(slugs, ["docs", "new"]);
}

#[tokio::test]
async fn a_cursor_of_another_database_starts_over() {
    let service = Service::start(REGISTRY).await;
    let revision = service.revision().await;
    let reply = service.watch("vm-1", 1_000_000).await;
    assert_eq!(reply.body["reset"], true);
    assert_eq!(reply.body["cursor"], revision);
    assert!(reply.body["registry"].is_object());
    let status = service.get("/v1/status").await.body;
    assert_eq!(status["filters"][0]["cursor"], 0, "it acknowledges nothing");
}

#[tokio::test]
async fn a_quiet_watch_ends_with_the_hold() {
    let service = Service::start(&format!("watch_hold: 100ms\n{REGISTRY}")).await;
    let cursor = service.revision().await;
    let reply = service.watch("vm-1", cursor).await;
    assert_snapshot!(reply.shown(), @r#"
    200 OK
    {
      "cursor": 1,
      "hold_ms": 100,
      "now_ms": 1795428000000,
      "reset": false
    }
    "#);
}

#[tokio::test]
async fn bad_watches_are_refused() {
    let service = Service::start(REGISTRY).await;
    for query in ["", "?cursor=1", "?cursor=x&filter=a", "?cursor=1&filter="] {
        let url = format!("http://token-service/v1/watch{query}");
        let status = service.filter.get(url).send().await.expect("a reply").status();
        assert!(status.is_client_error(), "{query}: {status}");
    }
}

#[tokio::test]
async fn a_change_can_wait_until_every_filter_has_it() {
    let service = Service::start(REGISTRY).await;
    let (_, key) = service.service_key("core").await;
    let cursor = service.revision().await;
    let filter = async {
        let news = service.watch("vm-1", cursor).await;
        let next = news.body["cursor"].as_u64().expect("a cursor");
        // Held until the service stops: it is the request that acknowledges.
        service.watch("vm-1", next).await
    };
    let revoked = async {
        service.connected("vm-1").await;
        let revoked = service.delete(&format!("/v1/keys/{key}?wait=applied")).await;
        service.request_stop();
        revoked
    };
    let (_, revoked) = tokio::join!(filter, revoked);
    assert_eq!(revoked.status, 204);
    assert_eq!(revoked.header("x-portcullis-applied"), Some("1"));
    assert_eq!(revoked.header("x-portcullis-revision"), Some((cursor + 1).to_string().as_str()));
}

#[tokio::test]
async fn a_filter_that_does_not_acknowledge_is_named() {
    let service = Service::start(REGISTRY).await;
    let cursor = service.revision().await;
    // It asks, is told of the change, and never comes back.
    let (_, changed) = tokio::join!(service.watch("vm-lost", cursor), async {
        service.connected("vm-lost").await;
        service.put("/v1/policies/organization/docs?wait=applied", json!({"tools": {"deny": ["*"]}})).await
    });
    assert_snapshot!(changed.shown(), @r#"
    504 Gateway Timeout
    {
      "detail": "the change is committed as revision 2; the filters under `waiting_for` have not acknowledged it and stop using what they have cached when their staleness budget is over",
      "revision": 2,
      "status": 504,
      "title": "Committed, but not yet applied by every filter",
      "type": "urn:portcullis:problem:not-applied",
      "waiting_for": [
        "vm-lost"
      ]
    }
    "#);
    let policies = service.get("/v1/policies/organization").await.body;
    assert_eq!(policies["policies"][0]["rules"]["tools"]["deny"], json!(["*"]), "committed all the same");
}

impl Service {
    /// Returns when the filter's watch has arrived; asks the service itself, so there is nothing to sleep for.
    async fn connected(&self, filter: &str) {
        loop {
            let status = self.get("/v1/status").await.body;
            let filters = status["filters"].as_array().expect("filters");
            if filters.iter().any(|seen| seen["filter"] == filter) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}
