//! The administrators' commands: the program itself, against a running service.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};

use portcullis_token_service::clock::Clock as _;
use portcullis_token_service::store::connections::Catalogue;
use serde_json::{Value, json};

use crate::harness::{Service, key_of, key_proof};

const REGISTRY: &str = "
workspaces:
  - slug: core
    members: [{issuer: 'https://idp.example', subject: ada, name: Ada}]
";

async fn start() -> (Service, String, String) {
    let service = Service::start(REGISTRY).await;
    let body = json!({"slug": "notes", "url": "https://notes.example/mcp", "auth": {"type": "none"}, "workspaces": ["core"]});
    assert_eq!(service.post("/v1/servers", body).await.status, 201);
    let (key, member) = (key_of(&service, "ada").await, service.member_id("core", "ada").await);
    (service, key, member)
}

pub(crate) async fn run(service: &Service, arguments: &str) -> (Option<i32>, String, String) {
    let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    let (url, token) = (service.addresses.admin.clone(), service.token().to_owned());
    let ask = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(arguments).env_clear();
        command.env("PORTCULLIS_ADMIN_URL", url).env("PORTCULLIS_ADMIN_TOKEN", token);
        command.output().expect("it runs")
    };
    read(tokio::task::spawn_blocking(ask).await.expect("it ends"))
}

fn read(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What a command that is carried out prints.
pub(crate) async fn done(service: &Service, arguments: &str) -> String {
    let (code, output, error) = run(service, arguments).await;
    assert_eq!((code, error.as_str()), (Some(0), ""), "{arguments}: {output}");
    output
}

pub(crate) async fn refused(service: &Service, arguments: &str) -> String {
    let (code, output, error) = run(service, arguments).await;
    assert_eq!((code, output.as_str()), (Some(1), ""), "{arguments}: {error}");
    error
}

async fn because(service: &Service, key: &str) -> Value {
    service.lease_with_key("notes", key).await.body["because"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_provisioned_and_members_admitted() {
    let (service, key, member) = start().await;
    done(&service, "unprovision notes core --wait").await;
    assert_eq!(because(&service, &key).await, "provision/workspace");
    done(&service, "provision notes core --members chosen").await;
    assert_eq!(because(&service, &key).await, "provision/member");
    done(&service, &format!("admit notes {member} allow")).await;
    assert_eq!(because(&service, &key).await, Value::Null);
    done(&service, &format!("admit notes {member} default")).await;
    assert_eq!(because(&service, &key).await, "provision/member");
    done(&service, "provision notes core --members all").await;
    done(&service, &format!("admit notes {member} deny")).await;
    assert_eq!(because(&service, &key).await, "provision/member");
    let error = refused(&service, "provision nothing core").await;
    assert_eq!(error, "portcullis: There is no such thing: no server under this path\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_is_given_a_server_once_and_others_do_not_notice() {
    let (service, key, _) = start().await;
    service.post("/v1/workspaces", json!({"slug": "sales"})).await;
    let (sales, _) = service.service_key("sales").await;
    assert_eq!(because(&service, &sales).await, "provision/workspace");
    for _ in 0..2 {
        assert_eq!(done(&service, "provision notes sales").await, "sales has notes\n");
        let revision = service.revision().await;
        done(&service, "provision notes sales").await;
        assert_eq!(service.revision().await, revision, "twice is once");
        assert_eq!(because(&service, &sales).await, Value::Null);
        let text = done(&service, "unprovision notes sales --json").await;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(answer, json!({"server": "notes", "workspace": "sales", "provisioned": false}));
        assert_eq!(because(&service, &sales).await, "provision/workspace");
        assert_eq!(because(&service, &key).await, Value::Null);
    }
    let text = done(&service, "provision notes --new-workspaces on").await;
    assert_eq!(text, "workspaces to come get notes\n");
    assert_eq!(because(&service, &sales).await, "provision/workspace", "it is about those to come");
    service.post("/v1/workspaces", json!({"slug": "support"})).await;
    done(&service, "provision notes --new-workspaces off").await;
    service.post("/v1/workspaces", json!({"slug": "legal"})).await;
    let (support, _) = service.service_key("support").await;
    let (legal, _) = service.service_key("legal").await;
    assert_eq!(because(&service, &support).await, Value::Null);
    assert_eq!(because(&service, &legal).await, "provision/workspace");
}

async fn learn(service: &Service, description: &str) {
    let tools = json!({"tools": [
        {"name": "search", "description": description},
        {"name": "mail@home", "description": "An odd name."},
    ]});
    let results = BTreeMap::from([("tools/list".to_owned(), tools.to_string())]);
    service.clock.advance(1_000);
    let catalogue = Catalogue { learnt_at: service.clock.now(), results, cut: BTreeSet::new() };
    let id = service.server_id("notes").await;
    service.store().save_catalogue(&id.as_str().into(), &catalogue).await.expect("saves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_are_looked_at_and_approved() {
    let (service, ..) = start().await;
    learn(&service, "Searches.").await;
    let listed = done(&service, "tools list notes").await;
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["mail@home", "search"], "{listed}");
    assert_eq!(done(&service, "tools list notes --state approved").await, "");
    let shown = done(&service, "tools show notes search").await;
    assert!(shown.starts_with("search  new  ") && shown.contains("Searches."), "{shown}");
    let digest = shown.split_whitespace().nth(2).expect("a digest").to_owned();

    // What was looked at is another by now, so it is not approved.
    learn(&service, "Searches, and sends mail.").await;
    let error = refused(&service, &format!("tools approve notes search@{digest}")).await;
    assert!(error.contains("search"), "{error}");
    let text = done(&service, "tools approve notes search mail@home --wait").await;
    assert_eq!(text, "search of notes is approved\nmail@home of notes is approved\n");
    assert_eq!(done(&service, "tools approve notes --all").await, "nothing is new or changed\n");
    learn(&service, "Searches, and deletes.").await;
    let shown = done(&service, "tools show notes search").await;
    assert!(shown.starts_with("search  changed  "), "{shown}");
    assert!(shown.contains('-') && shown.contains('+') && shown.contains("and deletes."), "{shown}");
    let text = done(&service, "tools approve notes --all --json").await;
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["approved"].as_array().map(Vec::len), Some(1), "{answer}");
    done(&service, "tools withdraw notes search").await;
    assert!(done(&service, "tools list notes --state new").await.starts_with("search "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_has_is_switched_off() {
    let (service, key, member) = start().await;
    let id = key_proof(&key)["id"].as_str().expect("an id").to_owned();
    done(&service, &format!("quarantine on member:{member} --reason stolen")).await;
    assert_eq!(because(&service, &key).await, "quarantine/member");
    let listed = done(&service, "quarantine list").await;
    assert!(listed.starts_with(&format!("member:{member}  2026-11-23T10:00:00Z  stolen\n")), "{listed}");
    done(&service, &format!("quarantine off member:{member}")).await;
    assert_eq!(done(&service, "quarantine list").await, "");
    done(&service, &format!("revoke key:{id} --wait")).await;
    assert_eq!(because(&service, &key).await, "key/disabled");
    let error = refused(&service, &format!("revoke member:{member}")).await;
    assert!(error.contains("portcullis.yaml"), "what the file declares is the file's: {error}");
    let error = refused(&service, "revoke everything").await;
    assert!(error.contains("member:<id>"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_is_printed_for_people_and_for_programs() {
    let (service, key, member) = start().await;
    let id = key_proof(&key)["id"].as_str().expect("an id").to_owned();
    service.put("/v1/policies/workspace:core/notes", json!({"tools": {"deny": ["delete_*"]}})).await;
    let text = done(&service, &format!("explain --caller key:{id} --server notes --tool delete_all")).await;
    assert!(
        text.starts_with(
            "now       denied\nreason    policy_denied\nrule      workspace/tools.deny:delete_*\n"
        ),
        "{text}"
    );
    let text =
        done(&service, &format!("explain --caller member:{member} --server notes --tool search --json"))
            .await;
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["decision"], "allowed");
    let text =
        done(&service, "explain --issuer https://idp.example --subject ada --workspace core --server notes")
            .await;
    assert!(text.contains("issuer/unknown"), "{text}");
    let error = refused(&service, "explain dec_nothing").await;
    assert!(error.contains("is no decision id") && error.contains("access log"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_who_may_ask() {
    let (service, _, member) = start().await;
    let servers = done(&service, "server list").await;
    assert!(servers.starts_with("notes  srv_"), "{servers}");
    let members = done(&service, "member list core").await;
    assert!(members.starts_with(&member) && members.contains("Ada"), "{members}");
    assert!(done(&service, "key list core --json").await.contains("\"keys\""));
    let error = refused(&service, "server list --admin-url http://gateway.example").await;
    assert!(error.contains("in the clear"), "{error}");
    let wrong = service.directory().write("wrong-token", "x");
    let error = refused(&service, &format!("server list --admin-token-file {}", wrong.display())).await;
    assert!(error.contains("admin token is missing or wrong"), "{error}");
}
