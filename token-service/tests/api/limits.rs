//! How often something may be called: from the admin API and the file to the lease.

use serde_json::{Value, json};

use crate::harness::Service;

const REGISTRY: &str = "
workspaces: [{slug: core}, {slug: other}]
servers:
  - {slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, workspaces: all, concurrency: 4}
  - {slug: notes, url: 'https://notes.example/mcp', auth: {type: none}, workspaces: all}
limits:
  organization:
    - {name: all, requests: 100, per: day}
    - {name: elsewhere, workspace: other, requests: 1, per: day}
  workspaces:
    core:
      - {name: writes, server: docs, tools: ['create_*'], each: [member, tool], requests: 5, per: hour}
";

async fn terms(service: &Service, server: &str, key: &str) -> Value {
    let lease = service.lease_with_key(server, key).await.body;
    assert_eq!(lease["result"], "granted", "{lease}");
    lease["terms"].clone()
}

fn names(terms: &Value) -> Vec<&str> {
    let rates = terms["rates"].as_array().map(Vec::as_slice).unwrap_or_default();
    rates.iter().filter_map(|rate| rate["name"].as_str()).collect()
}

#[tokio::test]
async fn a_lease_says_how_often() {
    let service = Service::start(REGISTRY).await;
    let (key, id) = service.service_key("core").await;
    let of_docs = terms(&service, "docs", &key).await;
    assert_eq!(names(&of_docs), ["organization/limits:all", "workspace/limits:writes"]);
    assert_eq!(of_docs["concurrency"], 4);
    let writes = &of_docs["rates"][1];
    let said = ["tools", "requests", "window_ms", "by_tool"].map(|field| writes[field].clone());
    assert_eq!(said, [json!(["create_*"]), json!(5), json!(3_600_000), json!(true)]);
    let of_notes = terms(&service, "notes", &key).await;
    assert_eq!(names(&of_notes), ["organization/limits:all"]);
    assert_eq!(of_notes["rates"][0], of_docs["rates"][0], "one count for both");

    let path = format!("/v1/limits/key:{id}/slow");
    let set = service.put(&path, json!({"server": "notes", "requests": 2, "per": "second"})).await;
    assert_eq!(set.status, 200, "{}", set.text);
    assert_eq!(names(&terms(&service, "notes", &key).await), ["organization/limits:all", "key/limits:slow"]);
    assert_eq!(names(&terms(&service, "docs", &key).await).len(), 2);
    assert_eq!(service.delete(&path).await.status, 204);
    assert_eq!(names(&terms(&service, "notes", &key).await), ["organization/limits:all"]);
}

#[tokio::test]
async fn limits_are_shown_as_they_are_set() {
    let service = Service::start(REGISTRY).await;
    let body = json!({"tools": ["create_*"], "each": "member", "requests": 9, "per": "minute"});
    let set = service.put("/v1/limits/workspace:core/more", body).await.body;
    let shown = service.get("/v1/limits/workspace:core").await.body;
    assert_eq!(shown["limits"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown["limits"][0], set);
    let expected = json!({
        "level": "workspace", "name": "more", "tools": ["create_*"], "each": ["member"], "requests": 9,
        "per": "minute", "origin": "api", "revision": set["revision"],
    });
    assert_eq!(set, expected);
    assert_eq!(shown["limits"][1]["server"], service.server_id("docs").await);
    // What the file declares is shown, and is the file's.
    let refused = service.put("/v1/limits/workspace:core/writes", json!({"requests": 9, "per": "day"})).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(service.delete("/v1/limits/workspace:core/writes").await.status, 409);
    assert_eq!(service.delete("/v1/limits/workspace:core/nothing").await.status, 404);
}

#[tokio::test]
async fn every_fault_of_a_limit_is_named() {
    let service = Service::start(REGISTRY).await;
    let body = json!({"workspace": "core", "tools": [""], "requests": 0, "per": "day"});
    let refused = service.put("/v1/limits/workspace:core/Bad-Name", body).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let problems = refused.body["problems"].as_array().expect("problems").iter();
    let mut fields: Vec<&str> = problems.map(|problem| problem["field"].as_str().expect("a field")).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["name", "requests", "tools[0]", "workspace"]);
    for body in [json!({"requests": 1, "per": "week"}), json!({"requests": 1, "per": "day", "each": "call"})]
    {
        assert_eq!(service.put("/v1/limits/organization/x", body).await.status, 422);
    }
    for number in 0..50 {
        let path = format!("/v1/limits/workspace:other/limit-{number}");
        assert_eq!(service.put(&path, json!({"requests": 1, "per": "day"})).await.status, 200);
    }
    let one_more = service.put("/v1/limits/workspace:other/more", json!({"requests": 1, "per": "day"})).await;
    assert_eq!(one_more.status, 422, "{}", one_more.text);
}

#[tokio::test]
async fn a_servers_bound_is_set_and_taken_away() {
    let service = Service::start("workspaces: [{slug: core}]\n").await;
    let server = json!({"slug": "made", "url": "https://made.example/mcp", "auth": {"type": "none"}, "workspaces": "all", "concurrency": 3});
    assert_eq!(service.post("/v1/servers", server).await.body["concurrency"], 3);
    let changed = service.patch("/v1/servers/made", json!({"name": "Made"})).await.body;
    assert_eq!(changed["concurrency"], 3, "what is absent stays");
    let (key, _) = service.service_key("core").await;
    assert_eq!(terms(&service, "made", &key).await, json!({"concurrency": 3}));
    let freed = service.patch("/v1/servers/made", json!({"concurrency": 0})).await.body;
    assert_eq!(freed["concurrency"], Value::Null);
    assert_eq!(terms(&service, "made", &key).await, Value::Null);
}
