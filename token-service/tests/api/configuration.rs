//! `portcullis.yaml` at start and when it changes.

use insta::assert_snapshot;
use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{CANARY, LOG, Service};

const BEFORE: &str = "
workspaces: [{slug: core}, {slug: old}]
servers:
  - slug: linear
    url: https://mcp.linear.example/mcp
    auth: {type: headers, headers: {Authorization: {env: CANARY}}}
    workspaces: all
";

#[tokio::test]
async fn a_second_start_changes_nothing() {
    let service = Service::start(BEFORE).await;
    let (revision, servers) = (service.revision().await, service.get("/v1/servers").await.body);
    let token = service.token().to_owned();
    let directory = service.stop().await;
    let service = Service::start_in(directory, BEFORE).await.expect("starts again");
    assert_eq!(service.revision().await, revision);
    assert_eq!(service.get("/v1/servers").await.body, servers);
    assert_eq!(service.token(), token);
}

#[tokio::test]
async fn a_changed_file_is_applied_while_the_service_runs() {
    let service = Service::start(BEFORE).await;
    let (key, _) = service.service_key("core").await;
    let revision = service.revision().await;
    let after = BEFORE.replace(", {slug: old}", ", {slug: new}").replace("linear.example", "linear.app");
    service.directory().configure(&after);
    let news = service.watch("vm-1", revision).await.body;
    assert_eq!(news["cursor"], revision + 1, "one commit for the whole file");
    assert_eq!(news["registry"]["servers"][0]["upstream"]["authority"], "mcp.linear.app");

    let workspaces = service.get("/v1/workspaces").await.body;
    let slugs: Vec<_> =
        workspaces["workspaces"].as_array().expect("workspaces").iter().map(|it| &it["slug"]).collect();
    assert_eq!(slugs, ["core", "new"]);
    let lease = service.lease_with_key("linear", &key).await.body;
    assert_eq!(lease["credential_headers"][0]["value"], CANARY, "sealed anew for the new origin");
}

/// Exactly those of the file have it; with `all`, also a workspace that the file gets later.
#[tokio::test]
async fn the_file_says_which_workspaces_have_a_server() {
    let file = |workspaces: &str, have: &str| {
        format!(
            "workspaces: [{workspaces}]\nservers:\n  - {{slug: docs, url: 'https://docs.example/mcp', \
             auth: {{type: none}}, workspaces: {have}}}\n"
        )
    };
    let (two, three) = ("{slug: core}, {slug: sales}", "{slug: core}, {slug: sales}, {slug: support}");
    let service = Service::start(&file(two, "[core]")).await;
    let mut keys = vec![service.service_key("core").await.0, service.service_key("sales").await.0];
    let mut expected = vec![true, false];
    for (workspaces, have, who) in [
        (two, "[sales]", vec![false, true]),
        (two, "[core, sales]", vec![true, true]),
        (three, "[core]", vec![true, false, false]),
        (three, "all", vec![true, true, true]),
    ] {
        assert_eq!(who_has(&service, &keys).await, expected);
        let revision = service.revision().await;
        service.directory().configure(&file(workspaces, have));
        service.watch("vm-1", revision).await;
        if keys.len() < who.len() {
            keys.push(service.service_key("support").await.0);
        }
        expected = who;
    }
    assert_eq!(who_has(&service, &keys).await, expected);
    let revision = service.revision().await;
    service.directory().configure(&file(&format!("{three}, {{slug: legal}}"), "all"));
    service.watch("vm-1", revision).await;
    keys.push(service.service_key("legal").await.0);
    assert_eq!(who_has(&service, &keys).await, [true; 4], "a new workspace has it without being named");
}

async fn who_has(service: &Service, keys: &[String]) -> Vec<bool> {
    let mut who = Vec::new();
    for key in keys {
        who.push(service.lease_with_key("docs", key).await.body["result"] == "granted");
    }
    who
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_complained_about() {
    let service = Service::start(BEFORE).await;
    let revision = service.revision().await;
    service.directory().configure("workspaces: [{slug: Not-a-slug}]\nservres: []\n");
    let file = service.directory().path("portcullis.yaml").display().to_string();
    LOG.wait_for(|line| line.contains(&file) && line.contains("servres") && line.contains("Not-a-slug"))
        .await;
    assert_eq!(service.revision().await, revision);
    service.directory().configure(&BEFORE.replace("slug: old", "slug: good"));
    assert_eq!(service.watch("vm-1", revision).await.body["cursor"], revision + 1);
}

#[tokio::test]
async fn what_the_admin_api_made_is_not_taken_over() {
    let service = Service::start("workspaces: [{slug: core}]\n").await;
    service.post("/v1/workspaces", json!({"slug": "design"})).await;
    let server = json!({"slug": "docs", "url": "https://docs.example/mcp", "auth": {"type": "none"}, "workspaces": "all"});
    service.post("/v1/servers", server).await;
    let directory = service.stop().await;
    let declared = "
workspaces: [{slug: core}, {slug: design}]
servers: [{slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, workspaces: all}]
";
    let Err(error) = Service::start_in(directory.clone(), declared).await else { panic!("it starts") };
    let error = portcullis_token_service::http::error::error_chain(&error);
    let place = directory.path("").display().to_string();
    assert_snapshot!(error.replace(&place, "DIRECTORY/"), @r#"
    the configuration cannot be applied: DIRECTORY/portcullis.yaml: workspaces: the admin API has made one with the slug "design"
        delete it with `DELETE /v1/workspaces/design`, or declare another slug
    DIRECTORY/portcullis.yaml: servers: the admin API has made one with the slug "docs"
        delete it with `DELETE /v1/servers/docs`, or declare another slug
    2 problems
    "#);
}

#[tokio::test]
async fn a_policy_of_the_admin_api_is_not_replaced_in_silence() {
    let declared = "
workspaces: [{slug: core}]
servers: [{slug: docs, url: 'https://docs.example/mcp', auth: {type: none}, workspaces: all}]
";
    let service = Service::start(declared).await;
    let set = service.put("/v1/policies/workspace:core/docs", json!({"tools": {"allow": []}})).await;
    assert_eq!(set.status, StatusCode::OK);
    let directory = service.stop().await;
    let declared =
        format!("{declared}policies: {{workspaces: {{core: {{servers: {{docs: {{enabled: true}}}}}}}}}}\n");
    let error = Service::start_in(directory, &declared).await.err().expect("it does not start");
    assert!(portcullis_token_service::http::error::error_chain(&error).contains("workspace policy"));
}

#[tokio::test]
async fn a_member_who_signed_in_may_be_declared_later() {
    let service = Service::start("workspaces: [{slug: core}]\n").await;
    let ada = json!({"issuer": "https://idp.example", "subject": "ada"});
    let made = service.post("/v1/workspaces/core/members", ada).await;
    let directory = service.stop().await;
    let declared =
        "workspaces: [{slug: core, members: [{issuer: 'https://idp.example', subject: ada, name: Ada}]}]\n";
    let service = Service::start_in(directory, declared).await.expect("starts");
    let member = service.get(&format!("/v1/members/{}", made.id())).await.body;
    assert_eq!((&member["name"], &member["origin"]), (&json!("Ada"), &json!("config")));
}

#[tokio::test]
async fn a_wrong_root_key_does_not_start() {
    let directory = Service::start(BEFORE).await.stop().await;
    directory.write("root.key", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n");
    let error = Service::start_in(directory, BEFORE).await.err().expect("it does not start");
    assert!(portcullis_token_service::http::error::error_chain(&error).contains("root key"));
}
