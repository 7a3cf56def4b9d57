//! Why something is denied, what is switched off in an emergency, and which members a server is for.

use reqwest::Method;
use serde_json::{Value, json};

use crate::admin_side::world::{Role, World};
use crate::harness::{Directory, Service, key_of, key_proof};

const REGISTRY: &str = "
workspaces:
  - slug: core
    members:
      - {issuer: 'https://idp.example', subject: ada, name: Ada}
      - {issuer: 'https://idp.example', subject: grace, name: Grace}
servers:
  - {slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, workspaces: all}
";

/// With a server of the admin API, which the file does not own.
async fn start() -> (Service, String) {
    let service = Service::start(REGISTRY).await;
    let body = json!({"slug": "notes", "url": "https://notes.example/mcp", "auth": {"type": "none"}, "workspaces": ["core"]});
    assert_eq!(service.post("/v1/servers", body).await.status, 201);
    let key = key_of(&service, "ada").await;
    (service, key)
}

fn id_of(key: &str) -> String {
    key_proof(key)["id"].as_str().expect("an id").to_owned()
}

async fn explain(service: &Service, caller: Value, server: &str, tool: Option<&str>) -> Value {
    let mut question = json!({"caller": caller, "server": server});
    if let Some(tool) = tool {
        question["tool"] = tool.into();
    }
    let reply = service.post("/v1/explain", question).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.body
}

/// A lease and an explanation say the same of a key, and this.
async fn agree(service: &Service, key: &str, server: &str, expected: Option<&str>) {
    let lease = service.lease_with_key(server, key).await.body;
    let answer = explain(service, json!({"key": id_of(key)}), server, None).await;
    match expected {
        None => {
            assert_eq!(lease["result"], "granted", "{lease}");
            assert_eq!((&answer["decision"], &answer["rule"]), (&json!("allowed"), &Value::Null), "{answer}");
        }
        Some(rule) => {
            assert_eq!((&lease["result"], &lease["because"]), (&json!("denied"), &json!(rule)), "{lease}");
            assert_eq!((&answer["decision"], &answer["rule"]), (&json!("denied"), &json!(rule)), "{answer}");
            assert_eq!(answer["steps"].as_array().expect("steps").last().expect("one")["verdict"], "denied");
            assert!(answer["says"].as_str().is_some_and(|says| !says.contains("refused the request itself")));
        }
    }
}

#[tokio::test]
async fn an_explanation_says_what_a_lease_says() {
    let (service, key) = start().await;
    let (id, member) = (id_of(&key), service.member_id("core", "ada").await);
    agree(&service, &key, "notes", None).await;
    agree(&service, &key, "nothing", Some("server/unknown")).await;
    let off = json!({"enabled": false});
    for (target, rule) in [
        ("organization".to_owned(), "organization/enabled"),
        ("workspace:core".to_owned(), "workspace/enabled"),
        (format!("member:{member}"), "member/enabled"),
        (format!("key:{id}"), "key/enabled"),
    ] {
        let path = format!("/v1/policies/{target}/notes");
        let set = service.put(&path, off.clone()).await;
        agree(&service, &key, "notes", Some(rule)).await;
        let answer = explain(&service, json!({"key": id}), "notes", None).await;
        assert_eq!((&answer["rule_revision"], &answer["level"]), (&set.body["revision"], &set.body["level"]));
        service.delete(&path).await;
    }
    service.delete("/v1/servers/notes/workspaces/core").await;
    agree(&service, &key, "notes", Some("provision/workspace")).await;
    service.put("/v1/servers/notes/workspaces/core", Value::Null).await;
    let path = format!("/v1/keys/{id}");
    for (change, rule) in [
        (json!({"disabled": true}), Some("key/disabled")),
        (json!({"disabled": false, "expires_at": "2026-11-23T10:00:45Z"}), Some("key/expired")),
        (json!({"expires_at": null, "limits": {"servers": ["docs"]}}), Some("key/scope.servers")),
        (json!({"limits": {"servers": null}}), None),
    ] {
        assert_eq!(service.patch(&path, change).await.status, 200);
        service.clock.advance(30_000);
        agree(&service, &key, "notes", rule).await;
    }
}

#[tokio::test]
async fn tools_are_judged_level_by_level() {
    let (service, key) = start().await;
    let member = service.member_id("core", "ada").await;
    service.put("/v1/policies/organization/notes", json!({"tools": {"deny": ["delete_*"]}})).await;
    let path = format!("/v1/policies/member:{member}/notes");
    let set = service.put(&path, json!({"tools": {"allow": ["search"]}})).await;
    for caller in [json!({"member": member}), json!({"key": id_of(&key)})] {
        let answer = explain(&service, caller.clone(), "notes", Some("search")).await;
        assert_eq!(answer["decision"], "allowed", "{answer}");
        assert_eq!(answer["account"], "not_needed");
        let answer = explain(&service, caller.clone(), "notes", Some("delete_all")).await;
        let told = (&answer["reason"], &answer["rule"], &answer["level"]);
        let expected = ("policy_denied", "organization/tools.deny:delete_*", "organization");
        assert_eq!(told, (&json!(expected.0), &json!(expected.1), &json!(expected.2)), "{answer}");
        let answer = explain(&service, caller, "notes", Some("create")).await;
        assert_eq!(
            (&answer["rule"], &answer["rule_revision"]),
            (&json!("member/tools.allow"), &set.body["revision"])
        );
    }
}

#[tokio::test]
async fn tokens_and_newcomers_are_explained() {
    let service = Service::start(
        "
workspaces: [{slug: core}]
servers: [{slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, workspaces: all}]
issuers:
  - issuer: https://idp.example
    audiences: [gateway]
    jwks: {keys: [{kty: OKP, crv: Ed25519, kid: a, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}
    workspace: core
    auto_provision_members: true
policies: {organization: {servers: {docs: {tools: {deny: [x]}}}}}
",
    )
    .await;
    let caller = |issuer: &str| json!({"issuer": issuer, "subject": "nina", "workspace": "core"});
    let answer = explain(&service, caller("https://idp.example"), "docs", Some("y")).await;
    assert_eq!(answer["decision"], "allowed", "a newcomer: {answer}");
    let answer = explain(&service, caller("https://idp.example"), "docs", Some("x")).await;
    assert_eq!(answer["rule"], "organization/tools.deny:x");
    let answer = explain(&service, caller("https://other.example"), "docs", None).await;
    assert_eq!(answer["rule"], "issuer/unknown");
    let members = service.get("/v1/workspaces/core/members").await.body;
    assert_eq!(members["members"], json!([]), "asking makes nobody a member");
}

#[tokio::test]
async fn questions_that_say_too_much_or_too_little_are_refused() {
    let (service, _) = start().await;
    let key = json!({"key": "0123456789"});
    for (question, field) in [
        (json!({}), "caller"),
        (json!({"caller": key}), "server"),
        (json!({"caller": {}, "server": "notes"}), "caller"),
        (json!({"caller": {"key": "a", "member": "b"}, "server": "notes"}), "caller"),
        (json!({"caller": {"issuer": "a"}, "server": "notes"}), "caller"),
        (json!({"caller": key, "server": "notes", "tool": "a", "prompt": "b"}), "tool"),
        (json!({"decision": "dec_x"}), "decision"),
        (json!({"decision": "dec_AAAA", "server": "notes"}), "decision"),
    ] {
        let reply = service.post("/v1/explain", question.clone()).await;
        assert_eq!(reply.status, 422, "{question}: {}", reply.text);
        assert_eq!(reply.body["problems"][0]["field"], field, "{question}: {}", reply.text);
    }
    assert_eq!(service.post("/v1/explain", json!({"caller": key, "server": "notes"})).await.status, 404);
}

#[tokio::test]
async fn quarantine_looks_like_disabled_or_missing_and_survives_a_restart() {
    let (service, key) = start().await;
    let member = service.member_id("core", "ada").await;
    let targets = [
        (format!("member:{member}"), "docs", "quarantine/member"),
        (format!("key:{}", id_of(&key)), "docs", "quarantine/key"),
        ("server:docs".to_owned(), "docs", "quarantine/server"),
    ];
    for (target, server, rule) in &targets {
        let path = format!("/v1/quarantines/{target}");
        assert_eq!(service.get(&path).await.body["quarantined"], false);
        let set = service.put(&path, json!({"reason": "stolen laptop"})).await;
        assert_eq!((set.status.as_u16(), &set.body["quarantined"]), (200, &json!(true)), "{}", set.text);
        agree(&service, &key, server, Some(rule)).await;
        let reason = service.lease_with_key(server, &key).await.body["reason"].clone();
        let like = if target.starts_with("server") { "unknown_server" } else { "disabled_credential" };
        assert_eq!(reason, like);
        let again = service.put(&path, json!({"reason": "stolen laptop"})).await;
        assert_eq!(again.body["revision"], set.body["revision"], "twice changes nothing");
        assert_eq!(service.get("/v1/quarantines").await.body["quarantines"][0]["reason"], "stolen laptop");
        assert_eq!(service.delete(&path).await.status, 204);
        assert_eq!(service.delete(&path).await.status, 204);
        agree(&service, &key, server, None).await;
    }
    service.put("/v1/quarantines/server:docs", json!({"reason": "stolen"})).await;
    let directory: Directory = service.stop().await;
    let service = Service::start_in(directory, REGISTRY).await.expect("starts");
    agree(&service, &key, "docs", Some("quarantine/server")).await;
    for bad in ["", "  ", "two\nlines", &"x".repeat(501)] {
        let reply = service.put("/v1/quarantines/server:docs", json!({"reason": bad})).await;
        assert_eq!(reply.status, 422, "{bad:?}");
    }
}

#[tokio::test]
async fn managers_see_their_own_and_do_not_lift_what_the_organization_has_set() {
    let world = World::start().await;
    let member = format!("/v1/quarantines/member:{}", world.ids["member"]);
    let key = format!("/v1/quarantines/key:{}", world.ids["service_key"]);
    let reason = json!({"reason": "stolen"});
    world.service.put("/v1/quarantines/server:linear", reason.clone()).await;
    world.service.put(&key, reason.clone()).await;
    let set = world.ask(Role::ManagerHere, Method::PUT, &member, Some(&reason)).await;
    assert_eq!((set.status.as_u16(), &set.body["by_administrator"]), (200, &json!(false)), "{}", set.text);
    for (role, count) in
        [(Role::Admin, 3), (Role::ManagerHere, 2), (Role::ManagerElsewhere, 0), (Role::Fellow, 0)]
    {
        let listed = world.ask(role, Method::GET, "/v1/quarantines", None).await.body;
        assert_eq!(listed["quarantines"].as_array().map(Vec::len), Some(count), "{role:?}: {listed}");
    }
    for method in [Method::DELETE, Method::PUT] {
        let body = (method == Method::PUT).then_some(&reason);
        let refused = world.ask(Role::ManagerHere, method, &key, body).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
    }
    assert_eq!(world.ask(Role::ManagerHere, Method::DELETE, &member, None).await.status, 204);
    assert_eq!(world.ask(Role::Admin, Method::DELETE, &key, None).await.status, 204);
}

#[tokio::test]
async fn a_manager_is_told_of_a_hidden_server_as_of_one_that_does_not_exist() {
    let world = World::start().await;
    let body = json!({"slug": "secret", "url": "https://secret.example/mcp", "auth": {"type": "none"}, "workspaces": ["sales"]});
    assert_eq!(world.service.post("/v1/servers", body).await.status, 201);
    let ask = async |role: Role, server: &str| {
        let question = json!({"caller": {"member": world.ids["member"]}, "server": server});
        world.ask(role, Method::POST, "/v1/explain", Some(&question)).await.body
    };
    assert_eq!(ask(Role::Admin, "secret").await["rule"], "provision/workspace");
    assert_eq!(ask(Role::ManagerHere, "secret").await, ask(Role::ManagerHere, "nothing").await);
}

#[tokio::test]
async fn members_are_chosen_allowed_and_denied() {
    let (service, ada) = start().await;
    let grace = key_of(&service, "grace").await;
    let (member, other) = (service.member_id("core", "ada").await, service.member_id("core", "grace").await);
    let (service_key, _) = service.service_key("core").await;
    let place = "/v1/servers/notes/workspaces/core";
    let of = |member: &str| format!("/v1/servers/notes/members/{member}");

    assert_eq!(service.put(&of(&member), json!({"access": "deny"})).await.status, 204);
    agree(&service, &ada, "notes", Some("provision/member")).await;
    agree(&service, &grace, "notes", None).await;
    assert_eq!(service.patch(place, json!({"members": "chosen"})).await.status, 204);
    agree(&service, &grace, "notes", Some("provision/member")).await;
    // An administrator has made it, who could choose anybody.
    agree(&service, &service_key, "notes", None).await;
    assert_eq!(service.put(&of(&other), json!({"access": "allow"})).await.status, 204);
    agree(&service, &grace, "notes", None).await;
    let shown = service.get("/v1/servers/notes/members").await.body;
    assert_eq!(shown["chosen"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(shown["members"].as_array().map(Vec::len), Some(2), "{shown}");

    assert_eq!(service.delete(&of(&member)).await.status, 204);
    agree(&service, &ada, "notes", Some("provision/member")).await;
    assert_eq!(service.patch(place, json!({"members": "all"})).await.status, 204);
    agree(&service, &ada, "notes", None).await;
    let declared =
        service.put(&format!("/v1/servers/docs/members/{member}"), json!({"access": "deny"})).await;
    assert_eq!(declared.status, 409, "{}", declared.text);
}

#[tokio::test]
async fn a_service_key_gets_no_more_than_its_maker() {
    let world = World::start().await;
    let made = world
        .person(Role::ManagerHere)
        .ask(Method::POST, "/v1/workspaces/core/keys", Some(&json!({"name": "ci"})))
        .await;
    let key = made.body["api_key"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned();
    agree(&world.service, &key, "linear", None).await;
    let maker = world.service.member_id("core", "mia").await;
    let change =
        world.service.patch("/v1/servers/linear/workspaces/core", json!({"members": "chosen"})).await;
    assert_eq!(change.status, 204);
    agree(&world.service, &key, "linear", Some("provision/member")).await;
    world.service.put(&format!("/v1/servers/linear/members/{maker}"), json!({"access": "allow"})).await;
    agree(&world.service, &key, "linear", None).await;
    world.service.put(&format!("/v1/quarantines/member:{maker}"), json!({"reason": "left"})).await;
    agree(&world.service, &key, "linear", Some("key/maker")).await;
}

#[tokio::test]
async fn the_file_chooses_members() {
    let service = Service::start(
        "
workspaces:
  - slug: core
    members:
      - {issuer: 'https://idp.example', subject: ada}
      - {issuer: 'https://idp.example', subject: grace}
servers:
  - slug: docs
    url: https://docs.example/mcp
    auth: {type: none}
    workspaces:
      - workspace: core
        members: chosen
        allow: [{issuer: 'https://idp.example', subject: ada}]
",
    )
    .await;
    let (ada, grace) = (key_of(&service, "ada").await, key_of(&service, "grace").await);
    agree(&service, &ada, "docs", None).await;
    agree(&service, &grace, "docs", Some("provision/member")).await;
}
