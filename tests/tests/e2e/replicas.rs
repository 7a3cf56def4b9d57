//! Several token-services on one PostgreSQL, and a database that was begun on SQLite.

use std::time::Duration;

use portcullis_tests::admin::Admin;
use portcullis_tests::artifacts::Artifacts;
use portcullis_tests::mcp::{Agent, Era, Reply};
use portcullis_tests::patience::poll;
use portcullis_tests::postgres::{self, Database};
use portcullis_tests::seed::member_key;
use portcullis_tests::stack::{Asked, Builder, OPEN, SAMPLE, Stack};
use serde_json::{Map, Value, json};
use tokio::process::Command;

/// Replicas on this database. The stories are about which of them knows what, not about how soon they answer.
fn shared(database: &Database) -> Builder {
    let sections = Map::from_iter([("store".to_owned(), postgres::store(database))]);
    Builder { replicas: 1, sections, longest_lease: Some(Duration::from_secs(10)), ..Builder::default() }
}

async fn stack(database: &Database, asked: Asked) -> Stack {
    let builder = Builder { asked, ..shared(database) };
    Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"))
}

/// Ends the story where there is no PostgreSQL, which is reported.
macro_rules! database {
    () => {
        match Database::make().await {
            Some(database) => database,
            None => return,
        }
    };
}

async fn call(agent: &Agent) -> Reply {
    agent.call_tool("whoami", json!({})).await
}

async fn answers(agent: &Agent, status: u16) {
    let answered = poll(async || (call(agent).await.status == status).then_some(()));
    assert!(answered.await.is_some(), "{:?}", call(agent).await);
}

async fn another_key(stack: &Stack, admin: &Admin, name: &str) -> (String, String) {
    let seeded = &stack.seeded;
    let key = member_key(admin, &seeded.workspace, &seeded.member, name).await.expect("another key");
    (key.id, key.text)
}

#[tokio::test]
async fn what_is_revoked_at_one_is_refused_by_an_envoy_that_watches_the_other() {
    let database = database!();
    let stack = stack(&database, Asked::First).await;
    let other = &stack.replicas[0].admin;
    let (id, text) = another_key(&stack, other, "phone").await;
    let agent = stack.agent(SAMPLE, Era::Modern).with_credential(Some(&text));
    assert_eq!(call(&agent).await.status, 200, "what one has made, the other knows");

    other.patch(&format!("/v1/keys/{id}"), json!({"disabled": true})).await.expect("disables");
    answers(&agent, 401).await;
    assert_eq!(call(&agent).await.status, 401);
    other.patch(&format!("/v1/keys/{id}"), json!({"disabled": false})).await.expect("enables");
    answers(&agent, 200).await;
    drop(stack);
    database.remove().await;
}

/// Filters watch now this one, now that one; whichever of them a change is made at waits for all filters.
#[tokio::test]
async fn applied_means_everywhere_whichever_of_them_is_asked() {
    let database = database!();
    let builder = Builder { replicas: 2, asked: Asked::All, concurrency: 3, envoys: 1, ..shared(&database) };
    let mut stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    let agents: Vec<Agent> = [stack.gateway, stack.envoys[0].0]
        .map(|gateway| {
            let url = format!("http://{gateway}/{SAMPLE}/mcp");
            Agent::new(url, Some(&stack.seeded.key.text), Era::Modern)
        })
        .into();
    let path = format!("/v1/members/{}?wait=applied", stack.seeded.member);
    let admins: Vec<Admin> =
        std::iter::once(&stack.service).chain(&stack.replicas).map(|service| service.admin.clone()).collect();
    for (number, admin) in admins.iter().cycle().take(12).enumerate() {
        let disabled = number % 2 == 0;
        admin.patch(&path, json!({"disabled": disabled})).await.expect("applied in time");
        let expected = if disabled { 401 } else { 200 };
        for agent in agents.iter().cycle().take(16) {
            assert_eq!(call(agent).await.status, expected, "at once, at every worker");
        }
    }
    // One that stops says good-bye, and nobody waits for it.
    stack.replicas.pop().expect("a replica").process.stop().expect("stops");
    admins[0].patch(&path, json!({"name": "Ada"})).await.expect("applied in time");
    drop(stack);
    database.remove().await;
}

#[tokio::test]
async fn one_that_is_killed_is_not_missed() {
    let database = database!();
    let mut stack = stack(&database, Asked::All).await;
    let known = stack.agent(SAMPLE, Era::Modern);
    assert_eq!(call(&known).await.status, 200);
    stack.replicas[0].kill().expect("ends");

    // Whom the filter knows is served all along, and whom it has to ask about before long.
    for name in ["phone", "tablet", "watch"] {
        let (_, text) = another_key(&stack, stack.admin(), name).await;
        let unknown = known.with_credential(Some(&text));
        assert_eq!(call(&known).await.status, 200);
        answers(&unknown, 200).await;
    }
    answers(&stack.agent(OPEN, Era::Modern), 200).await;
    // Changes come through as before.
    let path = format!("/v1/members/{}", stack.seeded.member);
    stack.admin().patch(&path, json!({"disabled": true})).await.expect("disables");
    answers(&known, 401).await;
    assert!(stack.filter_never_trapped().await);
    drop(stack);
    database.remove().await;
}

/// The record of a request, as the token-service behind `admin` shows it.
async fn shown_by(admin: &Admin, request: &str) -> Option<Value> {
    let path = format!("/v1/records?request_id={request}");
    poll(async || {
        let found = admin.get(&path).await.expect("searches");
        found["records"].as_array().and_then(|records| records.first().cloned())
    })
    .await
}

#[tokio::test]
async fn every_one_shows_the_whole_log() {
    let database = database!();
    let mut stack = stack(&database, Asked::All).await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    let mut requests = Vec::new();
    for _ in 0..8 {
        requests.push(call(&agent).await.request_id().to_owned());
    }
    for request in &requests {
        let one = shown_by(stack.admin(), request).await.expect("one shows it");
        let other = shown_by(&stack.replicas[0].admin, request).await.expect("the other shows it");
        assert_eq!(one, other);
        assert_eq!((&one["name"], &one["outcome"]), (&json!("whoami"), &json!("ok")));
    }
    // Whoever is there takes what is sent.
    stack.replicas[0].kill().expect("ends");
    for _ in 0..4 {
        let reply = call(&agent).await;
        assert!(shown_by(stack.admin(), reply.request_id()).await.is_some(), "{reply:?}");
    }
    drop(stack);
    database.remove().await;
}

async fn portcullis(arguments: &[&str]) -> Value {
    let program = Artifacts::find().expect("is built").portcullis;
    let output = Command::new(program).args(arguments).output().await.expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn a_database_begun_on_sqlite_goes_on_on_postgres() {
    let database = database!();
    let mut stack = Stack::start().await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    assert_eq!(call(&agent).await.status, 200);
    stack.service.kill().expect("ends");

    let from = stack.directory.join("portcullis.db");
    let from = from.to_str().expect("a path");
    let copied =
        portcullis(&["store", "copy", "--from", from, "--to", database.url().as_str(), "--json"]).await;
    let tables = copied["tables"].as_array().expect("a list");
    let rows = |name: &str| tables.iter().find(|table| table["table"] == name).map(|table| &table["rows"]);
    assert_eq!((rows("workspaces"), rows("api_keys")), (Some(&json!(1)), Some(&json!(1))), "{copied}");

    stack.service.set_section("store", postgres::store(&database));
    stack.service.restart().await.expect("starts on the other database");
    let configuration = stack.service.configuration();
    let migrated =
        portcullis(&["migrate", "--config", configuration.to_str().expect("a path"), "--json"]).await;
    assert_eq!(migrated, json!({"applied": []}));
    // The same key, the same sealed credential of the upstream.
    stack.restart_envoy().await.expect("starts again");
    stack.sample.journal.clear();
    assert_eq!(call(&agent).await.status, 200);
    assert_eq!(stack.sample.journal.entries().len(), 1);
    drop(stack);
    database.remove().await;
}
