//! The admin API, noun by noun.

use insta::assert_snapshot;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::Service;
use crate::reply::Reply;

const DECLARED: &str = "
workspaces:
  - slug: core
    members:
      - {issuer: 'https://idp.example', subject: ada, name: Ada}
servers:
  - slug: docs
    url: https://docs.example/mcp
    auth: {type: none}
    workspaces: all
policies:
  organization:
    servers:
      docs: {tools: {deny: ['delete_*']}}
";

fn linear() -> serde_json::Value {
    json!({
        "slug": "linear",
        "url": "https://mcp.linear.example/mcp",
        "auth": {"type": "headers", "headers": [{"name": "Authorization", "value": "Bearer one"}]},
        "workspaces": ["core"],
    })
}

#[tokio::test]
async fn a_server_from_registration_to_deletion() {
    let service = Service::start(DECLARED).await;
    let made = service.post("/v1/servers", linear()).await;
    assert_snapshot!(made.shown(), @r#"
    201 Created
    {
      "auth": {
        "headers": [
          {
            "generation": 1,
            "name": "authorization"
          }
        ],
        "type": "headers"
      },
      "id": "srv_1",
      "name": "linear",
      "origin": "api",
      "payload": "redacted",
      "payload_limit": 4096,
      "provision_new_workspaces": false,
      "revision": 2,
      "slug": "linear",
      "url": "https://mcp.linear.example/mcp"
    }
    "#);
    assert_eq!(made.header("etag"), Some(format!("\"{}\"", made.body["revision"]).as_str()));

    let by_slug = service.get("/v1/servers/linear").await;
    let by_id = service.get(&format!("/v1/servers/{}", made.id())).await;
    assert_eq!(by_slug.body, made.body);
    assert_eq!(by_id.body, made.body);
    let provisions = service.get("/v1/servers/linear/workspaces").await.body;
    assert_eq!(provisions["workspaces"][0]["slug"], "core");

    let changed = service.patch("/v1/servers/linear", json!({"name": "Linear", "payload": "full"})).await;
    assert_eq!(changed.body["auth"], made.body["auth"], "what is absent stays");
    assert_eq!((&changed.body["name"], &changed.body["payload"]), (&json!("Linear"), &json!("full")));

    assert_eq!(service.delete("/v1/servers/linear").await.status, StatusCode::NO_CONTENT);
    assert_snapshot!(service.get("/v1/servers/linear").await.shown(), @r#"
    404 Not Found
    {
      "detail": "no server under this path",
      "status": 404,
      "title": "There is no such thing",
      "type": "urn:portcullis:problem:not-found"
    }
    "#);
    assert_eq!(service.delete("/v1/servers/linear").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn all_faults_of_a_server_are_named_at_once() {
    let service = Service::start(DECLARED).await;
    let reply = service
        .post(
            "/v1/servers",
            json!({
                "slug": "Linear", "name": "", "url": "http://mcp.linear.example/mcp",
                "auth": {"type": "headers", "headers": [
                    {"name": "host", "value": "x"},
                    {"name": "authorization"},
                    {"name": "x-key", "value": "two\nlines"},
                ]},
                "workspaces": ["core", "nowhere"],
            }),
        )
        .await;
    assert_snapshot!(reply.shown(), @r#"
    422 Unprocessable Entity
    {
      "detail": "7 faults; see `problems`",
      "problems": [
        {
          "field": "slug",
          "problem": "a slug has 1 to 63 lower-case letters, digits and hyphens, and starts with a letter or digit",
          "remedy": "choose a slug of that form, such as `linear`"
        },
        {
          "field": "name",
          "problem": "is empty",
          "remedy": "give a name of 1 to 100 characters on one line"
        },
        {
          "field": "url",
          "problem": "the URL must be https; plain http has to be allowed for this server explicitly",
          "remedy": "give the URL of the server's MCP endpoint, such as https://mcp.example.com/mcp"
        },
        {
          "field": "auth.headers[0].name",
          "problem": "this header frames, routes or describes the request and cannot carry a credential",
          "remedy": "use the name that the server's documentation gives, such as `authorization`"
        },
        {
          "field": "auth.headers[1].value",
          "problem": "is absent, and there is no value to keep",
          "remedy": "give the value"
        },
        {
          "field": "auth.headers[2].value",
          "problem": "the value has a character that is not visible ASCII, or begins or ends with a space",
          "remedy": "give the value exactly as the server expects it"
        },
        {
          "field": "workspaces[1]",
          "problem": "is no workspace",
          "remedy": "GET /v1/workspaces lists them"
        }
      ],
      "status": 422,
      "title": "The request has faults",
      "type": "urn:portcullis:problem:invalid-request"
    }
    "#);
    let reply = service.post("/v1/servers", json!({"slug": "x", "owner": "me"})).await;
    assert_snapshot!(reply.shown(), @r#"
    422 Unprocessable Entity
    {
      "detail": "one fault; see `problems`",
      "problems": [
        {
          "field": "owner",
          "problem": "unknown field `owner`, expected one of `slug`, `name`, `url`, `allow_http`, `auth`, `payload`, `payload_limit`, `redact`, `workspaces`, `provision_new_workspaces`, `concurrency` at line 1 column 8",
          "remedy": "see /openapi.json for the fields and their types"
        }
      ],
      "status": 422,
      "title": "The request has faults",
      "type": "urn:portcullis:problem:invalid-request"
    }
    "#);
}

#[tokio::test]
async fn a_credential_stays_with_its_origin() {
    let service = Service::start(DECLARED).await;
    service.post("/v1/servers", linear()).await;
    let moved = json!({"url": "https://evil.example/mcp"});
    assert_snapshot!(service.patch("/v1/servers/linear", moved).await.shown(), @r#"
    422 Unprocessable Entity
    {
      "detail": "one fault; see `problems`",
      "problems": [
        {
          "field": "auth",
          "problem": "would be sent to another host, port or scheme than it was given for",
          "remedy": "give the value of every credential together with the new URL"
        }
      ],
      "status": 422,
      "title": "The request has faults",
      "type": "urn:portcullis:problem:invalid-request"
    }
    "#);
    let kept = json!({
        "url": "https://evil.example/mcp",
        "auth": {"type": "headers", "headers": [{"name": "authorization"}]},
    });
    assert_eq!(service.patch("/v1/servers/linear", kept).await.status, StatusCode::UNPROCESSABLE_ENTITY);

    let other_path = json!({"url": "https://mcp.linear.example/v2/mcp"});
    assert_eq!(service.patch("/v1/servers/linear", other_path).await.status, StatusCode::OK);
    let anew = json!({
        "url": "https://mcp.linear.app/mcp",
        "auth": {"type": "headers", "headers": [{"name": "authorization", "value": "Bearer two"}]},
    });
    assert_eq!(service.patch("/v1/servers/linear", anew).await.status, StatusCode::OK);
    let (key, _) = service.service_key("core").await;
    let lease = service.lease_with_key("linear", &key).await;
    assert_eq!(lease.body["credential_headers"][0]["value"], "Bearer two");
}

#[tokio::test]
async fn the_same_value_again_changes_nothing() {
    let service = Service::start(DECLARED).await;
    let made = service.post("/v1/servers", linear()).await;
    let auth = linear()["auth"].clone();
    let again = service.patch("/v1/servers/linear", json!({"auth": auth})).await;
    assert_eq!(again.body, made.body);
    let other =
        json!({"auth": {"type": "headers", "headers": [{"name": "authorization", "value": "Bearer two"}]}});
    let other = service.patch("/v1/servers/linear", other).await;
    assert_eq!(other.body["auth"]["headers"][0]["generation"], 2);
}

#[tokio::test]
async fn workspaces_members_and_provisions() {
    let service = Service::start(DECLARED).await;
    let made = service.post("/v1/workspaces", json!({"slug": "design", "name": "Design"})).await;
    assert_snapshot!(made.shown(), @r#"
    201 Created
    {
      "id": "wsp_1",
      "name": "Design",
      "origin": "api",
      "revision": 2,
      "slug": "design"
    }
    "#);
    let taken = service.post("/v1/workspaces", json!({"slug": "design"})).await;
    assert_snapshot!(taken.shown(), @r#"
    409 Conflict
    {
      "detail": "there is already a workspace \"design\"; choose another, or change the one that is there",
      "status": 409,
      "title": "The request clashes with what exists",
      "type": "urn:portcullis:problem:conflict"
    }
    "#);
    let renamed = service.patch("/v1/workspaces/design", json!({"name": "Design team"})).await;
    assert_eq!(renamed.body["name"], "Design team");
    for (given, shown) in [("30s", json!("30s")), ("0s", json!("strict")), ("default", json!(null))] {
        let changed = service.patch("/v1/workspaces/design", json!({"staleness": given})).await;
        assert_eq!(
            (&changed.body["staleness"], &changed.body["name"]),
            (&shown, &json!("Design team")),
            "{given}"
        );
    }
    let refused = service.patch("/v1/workspaces/design", json!({"staleness": "301s"})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    assert!(refused.text.contains("strict"), "it says what to write: {}", refused.text);

    service.post("/v1/servers", linear()).await;
    let path = "/v1/servers/linear/workspaces/design";
    let first = service.put(path, json!(null)).await;
    assert_eq!(first.status, StatusCode::NO_CONTENT);
    let again = service.put(path, json!(null)).await;
    assert_eq!(again.header("x-portcullis-revision"), first.header("x-portcullis-revision"));
    assert_eq!(service.delete(path).await.status, StatusCode::NO_CONTENT);

    let bob = json!({"issuer": "https://idp.example", "subject": "bob"});
    let made = service.post("/v1/workspaces/design/members", bob.clone()).await;
    assert_snapshot!(made.shown(), @r#"
    201 Created
    {
      "disabled": false,
      "id": "mem_1",
      "issuer": "https://idp.example",
      "lapsed": false,
      "name": "bob",
      "origin": "api",
      "revision": 10,
      "role": "member",
      "subject": "bob",
      "workspace": "wsp_1"
    }
    "#);
    let twice = service.post("/v1/workspaces/design/members", bob).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    let path = format!("/v1/members/{}", made.id());
    assert_eq!(service.patch(&path, json!({"disabled": true})).await.body["disabled"], true);
    assert_eq!(service.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(service.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(service.delete("/v1/workspaces/design").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn members_come_in_pages() {
    let service = Service::start(DECLARED).await;
    for number in 0..4 {
        let member = json!({"issuer": "https://idp.example", "subject": format!("m{number}")});
        service.post("/v1/workspaces/core/members", member).await;
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = service.get(&format!("/v1/workspaces/core/members?limit=2{after}")).await.body;
        let members = page["members"].as_array().expect("members").clone();
        assert!(members.len() <= 2);
        seen.extend(members.into_iter().map(|member| member["subject"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    seen.sort_by_key(ToString::to_string);
    assert_eq!(seen, ["ada", "m0", "m1", "m2", "m3"]);
    for query in ["limit=0", "limit=1001", "limit=x", "offset=3"] {
        let reply = service.get(&format!("/v1/workspaces/core/members?{query}")).await;
        assert!(reply.status.is_client_error(), "{query}");
    }
}

#[tokio::test]
async fn a_key_is_shown_once() {
    let service = Service::start(DECLARED).await;
    let member = service.get("/v1/workspaces/core/members").await.body["members"][0]["id"].clone();
    let body = json!({"name": "laptop", "member": member, "expires_at": "2027-01-01T00:00:00+01:00"});
    let made = service.post("/v1/workspaces/core/keys", body).await;
    let key = made.body["api_key"].as_str().expect("a key").to_owned();
    let id = made.body["key"]["id"].as_str().expect("an id").to_owned();
    assert_snapshot!(made.shown().replace(&key, "KEY").replace(&id, "ID"), @r#"
    201 Created
    {
      "api_key": "KEY",
      "key": {
        "created_at": "2026-11-23T10:00:00Z",
        "disabled": false,
        "expires_at": "2026-12-31T23:00:00Z",
        "id": "ID",
        "limits": {
          "read_only": false
        },
        "member": "mem_1",
        "name": "laptop",
        "revision": 2,
        "workspace": "wsp_1"
      }
    }
    "#);

    let shown = service.get(&format!("/v1/keys/{id}")).await;
    let listed = service.get("/v1/workspaces/core/keys").await;
    let secret = key.rsplit('_').nth(1).expect("a secret");
    for reply in [&shown, &listed] {
        assert!(!reply.text.contains(secret) && !reply.text.contains("digest"), "{}", reply.text);
    }
    assert_eq!(listed.body["keys"][0], shown.body);

    let other = service.post("/v1/workspaces", json!({"slug": "other"})).await;
    assert_eq!(other.status, StatusCode::CREATED);
    let foreign = service.post("/v1/workspaces/other/keys", json!({"name": "x", "member": member})).await;
    assert_snapshot!(foreign.shown(), @r#"
    422 Unprocessable Entity
    {
      "detail": "one fault; see `problems`",
      "problems": [
        {
          "field": "member",
          "problem": "is not a member of this workspace",
          "remedy": "GET /v1/me shows your own id, and GET /v1/workspaces/{workspace}/members those of others"
        }
      ],
      "status": 422,
      "title": "The request has faults",
      "type": "urn:portcullis:problem:invalid-request"
    }
    "#);
    let late = json!({"name": "x", "expires_at": "2020-01-01T00:00:00Z"});
    assert_snapshot!(service.post("/v1/workspaces/core/keys", late).await.shown(), @r#"
    422 Unprocessable Entity
    {
      "detail": "one fault; see `problems`",
      "problems": [
        {
          "field": "expires_at",
          "problem": "is in the past",
          "remedy": "give a time to come, or leave it out for a key that never expires"
        }
      ],
      "status": 422,
      "title": "The request has faults",
      "type": "urn:portcullis:problem:invalid-request"
    }
    "#);
}

#[tokio::test]
async fn policies_of_each_level() {
    let service = Service::start(DECLARED).await;
    service.post("/v1/servers", linear()).await;
    let member = service.get("/v1/workspaces/core/members").await.body["members"][0]["id"].clone();
    let (_, key) = service.service_key("core").await;
    let member = format!("member:{}", member.as_str().expect("an id"));
    for target in ["organization", "workspace:core", &member, &format!("key:{key}")] {
        let path = format!("/v1/policies/{target}/linear");
        let rules = json!({
            "tools": {"allow": ["list_*"]}, "read_only": true, "new_tools": "hold", "sensitive": ["x"],
            "arguments": [{"tool": "list_*", "argument": "/team", "is": {"one_of": ["core", null, 7]}}],
        });
        let set = service.put(&path, rules.clone()).await;
        assert_eq!((set.status, &set.body["rules"]), (StatusCode::OK, &rules), "{target}");
        let listed = service.get(&format!("/v1/policies/{target}")).await.body;
        assert!(listed["policies"].as_array().expect("policies").contains(&set.body), "{target}");
        assert_eq!(service.delete(&path).await.status, StatusCode::NO_CONTENT);
        assert_eq!(service.delete(&path).await.status, StatusCode::NOT_FOUND);
    }
    for target in ["everybody", "workspace:nowhere", "member:nobody", "key:none", "organization:x"] {
        let reply = service.get(&format!("/v1/policies/{target}")).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{target}");
    }
    let faults = json!({
        "tools": {"deny": [""]}, "resources": {"allow": ["ok", "\u{7}"]},
        "arguments": [{"tool": "x", "argument": "team", "is": {"range": {"min": 2, "max": 1}}}],
    });
    assert_snapshot!(service.put("/v1/policies/organization/linear", faults).await.shown(), @r#"
    422 Unprocessable Entity
    {
      "detail": "4 faults; see `problems`",
      "problems": [
        {
          "field": "tools.deny[0]",
          "problem": "is empty, longer than 1024 bytes, or has a control character",
          "remedy": "give a name, or a glob such as `create_*`"
        },
        {
          "field": "resources.allow[1]",
          "problem": "is empty, longer than 1024 bytes, or has a control character",
          "remedy": "give a name, or a glob such as `create_*`"
        },
        {
          "field": "arguments[0].argument",
          "problem": "does not begin with `/`, as a JSON pointer does",
          "remedy": "write a JSON pointer into the call's arguments, such as /repo or /filter/0/name"
        },
        {
          "field": "arguments[0].is.range",
          "problem": "has a min above its max",
          "remedy": "swap them"
        }
      ],
      "status": 422,
      "title": "The request has faults",
      "type": "urn:portcullis:problem:invalid-request"
    }
    "#);
}

#[tokio::test]
async fn long_lists_of_names_fit() {
    let service = Service::start(DECLARED).await;
    service.post("/v1/servers", linear()).await;
    let names = |count: usize| -> Vec<String> { (0..count).map(|number| format!("{number:0100}")).collect() };
    let rules = json!({"tools": {"allow": names(10_000)}});
    assert_eq!(service.put("/v1/policies/organization/linear", rules).await.status, StatusCode::OK);
    let rules = json!({"tools": {"allow": names(10_001)}});
    let refused = service.put("/v1/policies/organization/linear", rules).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn what_the_file_declares_cannot_be_changed_here() {
    let service = Service::start(DECLARED).await;
    let file = service.directory().path("portcullis.yaml").display().to_string();
    let member = service.get("/v1/workspaces/core/members").await.body["members"][0]["id"].clone();
    let member = format!("/v1/members/{}", member.as_str().expect("an id"));
    let revision = service.revision().await;
    let name = || Some(json!({"name": "Mine"}));
    for (method, path, body) in [
        (Method::PATCH, "/v1/servers/docs", name()),
        (Method::DELETE, "/v1/servers/docs", None),
        (Method::DELETE, "/v1/servers/docs/workspaces/core", None),
        (Method::PATCH, "/v1/workspaces/core", name()),
        (Method::DELETE, "/v1/workspaces/core", None),
        (Method::PATCH, member.as_str(), name()),
        (Method::DELETE, member.as_str(), None),
        (Method::PUT, "/v1/policies/organization/docs", Some(json!({}))),
        (Method::DELETE, "/v1/policies/organization/docs", None),
    ] {
        let reply = service.admin(method.clone(), path, body).await;
        assert_eq!(reply.status, StatusCode::CONFLICT, "{method} {path} {}", reply.text);
        assert_eq!(reply.body["type"], "urn:portcullis:problem:owned-by-configuration");
        assert_eq!(reply.body["file"], file);
    }
    assert_eq!(service.revision().await, revision);
}

#[tokio::test]
async fn a_change_based_on_an_old_revision_is_refused() {
    let service = Service::start(DECLARED).await;
    let made = service.post("/v1/servers", linear()).await;
    let changed = service.patch("/v1/servers/linear", json!({"name": "One"})).await;
    let patch = async |tag: &str| {
        let url = format!("{}/v1/servers/linear", service.addresses.admin);
        let request = service.admin.patch(url).bearer_auth(service.token()).header("if-match", tag);
        Reply::read(request.json(&json!({"name": "Two"})).send().await.expect("a reply")).await
    };
    let stale = patch(made.header("etag").expect("a tag")).await;
    assert_snapshot!(stale.shown(), @r#"
    412 Precondition Failed
    {
      "detail": "read it again, look at what changed, and repeat the change",
      "status": 412,
      "title": "It has changed in the meantime",
      "type": "urn:portcullis:problem:stale"
    }
    "#);
    assert_eq!(patch("not quoted").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(patch(changed.header("etag").expect("a tag")).await.body["name"], "Two");
}

#[tokio::test]
async fn issuers_are_shown() {
    let service = Service::start(
        "
workspaces: [{slug: core}]
issuers:
  - issuer: https://idp.example
    audiences: [gateway]
    workspace: core
    jwks: {keys: [{kty: OKP, crv: Ed25519, kid: one, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}
",
    )
    .await;
    assert_snapshot!(service.get("/v1/issuers").await.shown(), @r#"
    200 OK
    {
      "issuers": [
        {
          "audiences": [
            "gateway"
          ],
          "auto_provision_members": false,
          "claims": [],
          "issuer": "https://idp.example",
          "keys": [
            {
              "algorithm": "EdDSA",
              "key_id": "one"
            }
          ],
          "require_at_jwt": false,
          "source": "given",
          "workspaces": {
            "fixed": "core"
          }
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn a_person_who_opens_the_listener_is_told_what_it_is() {
    let service = Service::start("").await;
    let page = reqwest::get(&service.addresses.admin).await.expect("a reply");
    let page = Reply::read(page).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text.contains("/openapi.json"));
    assert!(page.header("content-security-policy").is_some());
}
