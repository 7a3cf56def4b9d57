//! What a person has signed in or connected is taken away while it is in use: from under open streams, and on every worker.

use portcullis_tests::mcp::{Agent, Era, EventStream, Reply};
use portcullis_tests::person::Person;
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::shape::{Resource, Shape};
use portcullis_tests::stack::{Builder, SAMPLE, Stack};
use serde_json::{Value, json};

use crate::accounts::{ADA, agree, link_of, sign_in};
use crate::identity::Setting;

const WORKERS: u32 = 4;
/// Probes on connections of their own, so that all workers get some.
const PROBES: usize = 16;
const EVERYTHING: &str = "mcp:read mcp:write";

/// An answer of the sample server that tells of a step every few milliseconds, and would for a while.
async fn counting(agent: &Agent) -> EventStream {
    let count = json!({"steps": 1000, "pause_ms": 20});
    let call = json!({"name": "count_slowly", "arguments": count, "_meta": {"progressToken": "t"}});
    let mut stream = agent.stream(agent.post(&agent.message("tools/call", call))).await;
    let first = stream.next_message().await;
    assert_eq!(first["method"], "notifications/progress", "{first}");
    stream
}

/// Reads on until there is an answer, which has to be that access has ended.
async fn assert_ends(stream: &mut EventStream) {
    let answer = loop {
        let message = stream.next_message().await;
        if message.get("id").is_some() {
            break message;
        }
    };
    assert_eq!(answer["error"]["data"]["reason"], "revoked", "{answer}");
    assert!(stream.is_over().await);
}

/// Asks every worker with calls on connections of their own.
async fn assert_everywhere(agent: impl Fn() -> Agent, judged: impl Fn(&Reply) -> bool) {
    for _ in 0..PROBES {
        let reply = agent().call_tool("whoami", json!({})).await;
        assert!(judged(&reply), "{reply:?}");
    }
}

async fn assert_ended(stack: &Stack, request: &str) {
    let record = stack.envoy.access_log.record_of(request).await;
    assert_eq!((&record["decision"], &record["ended"]), (&json!("allow"), &json!("revoked")), "{record}");
}

#[tokio::test]
async fn the_sign_in_of_a_client() {
    let setting = Setting::with_workers(WORKERS).await;
    let (_, held) = setting.tokens(SAMPLE, EVERYTHING).await;
    let agent = || setting.agent_with(SAMPLE, &held.access, Era::Modern);
    assert_everywhere(agent, |reply| reply.status == 200).await;
    let sessions = format!("/v1/members/{}/sessions", setting.stack.seeded.member);
    let sessions = setting.stack.admin().get(&sessions).await.expect("a list");
    let session = sessions["sessions"][0]["id"].as_str().unwrap_or_else(|| panic!("no session: {sessions}"));

    let mut stream = counting(&agent()).await;
    let request = stream.request_id();
    let path = format!("/v1/sessions/{session}?wait=applied");
    setting.stack.admin().delete(&path).await.expect("ended");
    assert_ends(&mut stream).await;
    assert_ended(&setting.stack, &request).await;
    setting.stack.sample.journal.clear();
    assert_everywhere(agent, |reply| reply.status == 401).await;
    assert!(setting.stack.sample.journal.entries().is_empty());
    assert!(setting.stack.filter_never_trapped().await);
}

/// A server that wants an account of each member, and Ada's connection to it.
async fn connected(stack: &Stack, provider: &Provider) -> String {
    let auth = json!({"type": "oauth", "authorization_server": {"issuer": provider.issuer()}});
    let server = json!({"slug": "ledger", "url": stack.sample.open_url(), "allow_http": true, "auth": auth,
        "workspaces": "all"});
    stack.admin().post("/v1/servers?wait=applied", server).await.expect("a server");
    provider.approve_as(Some("ada@provider"));
    let asked = stack.agent("ledger", Era::Modern).call_tool("whoami", json!({})).await;
    let person = Person::new();
    let consent = sign_in(&person, &link_of(&asked), ADA).await;
    agree(&person, &consent).await;
    let listed = stack.admin().get("/v1/connections").await.expect("a list");
    listed["connections"][0]["id"].as_str().unwrap_or_else(|| panic!("no connection: {listed}")).to_owned()
}

#[tokio::test]
async fn the_connection_to_an_account() {
    let shape = Shape { resource: Resource::Ignored, ..Shape::linear() };
    let provider = Provider::start(shape).await.expect("a provider");
    let builder = Builder { concurrency: WORKERS, scripted: false, ..Builder::default() };
    let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    let connection = connected(&stack, &provider).await;
    let agent = || stack.agent("ledger", Era::Modern);
    assert_everywhere(agent, |reply| reply.status == 200 && !reply.body.contains("/connect/")).await;

    let mut stream = counting(&agent()).await;
    let request = stream.request_id();
    stack.admin().delete(&format!("/v1/connections/{connection}?wait=applied")).await.expect("ended");
    assert_ends(&mut stream).await;
    assert_ended(&stack, &request).await;
    stack.sample.journal.clear();
    // Nobody is refused who may connect again: the link is the answer, and the server is not asked.
    assert_everywhere(agent, |reply| reply.body.contains("/connect/")).await;
    let called = |entry: &portcullis_tests::upstream::journal::Entry| {
        entry.rpc_method().as_deref() == Some("tools/call")
    };
    assert!(!stack.sample.journal.entries().iter().any(called));
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn a_key_that_is_replaced_without_overlap() {
    let builder = Builder { concurrency: WORKERS, scripted: false, ..Builder::default() };
    let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    let agent = || stack.agent(SAMPLE, Era::Modern);
    assert_everywhere(agent, |reply| reply.status == 200).await;
    let mut stream = counting(&agent()).await;
    let request = stream.request_id();
    let rotate = format!("/v1/keys/{}/rotate", stack.seeded.key.id);
    let made = stack.admin().post(&rotate, json!({"overlap_seconds": 0})).await.expect("a new key");
    // Changes are applied in the order of their commits, so a later one that is waited for waits for this one too.
    let renamed = json!({"name": "Ada again"});
    let member = format!("/v1/members/{}?wait=applied", stack.seeded.member);
    stack.admin().patch(&member, renamed).await.expect("a change");
    assert_ends(&mut stream).await;
    assert_ended(&stack, &request).await;
    stack.sample.journal.clear();
    assert_everywhere(agent, |reply| reply.status == 401).await;
    assert!(stack.sample.journal.entries().is_empty());
    let text = made["api_key"].as_str().unwrap_or_else(|| panic!("no key: {}", Value::from("hidden")));
    let new = || Agent::new(stack.url(SAMPLE), Some(text), Era::Modern);
    assert_everywhere(new, |reply| reply.status == 200).await;
}
