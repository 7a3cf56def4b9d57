//! Who has which server: exactly those, at once, and to all others it looks as if it did not exist.

use portcullis_tests::mcp::{Agent, Era, Reply};
use portcullis_tests::seed::{self, GRACE, IssuedKey, Member};
use portcullis_tests::stack::{Builder, OPEN, SAMPLE, Stack};
use serde_json::{Value, json};

const ALAN: Member = Member { subject: "alan", name: "Alan Turing" };

async fn start() -> Stack {
    let builder = Builder { members: vec![GRACE], scripted: false, ..Builder::default() };
    Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"))
}

/// A workspace, and the key of a member of it.
async fn workspace(stack: &Stack, slug: &str) -> (String, IssuedKey) {
    let made = stack.admin().post("/v1/workspaces", json!({"slug": slug})).await.expect("a workspace");
    let id = made["id"].as_str().expect("an id").to_owned();
    let member = seed::member(stack.admin(), &id, ALAN).await.expect("a member");
    (id, member.key)
}

async fn whoami(agent: &Agent) -> Reply {
    agent.call_tool("whoami", json!({})).await
}

/// What a caller learns, apart from what names the request itself.
fn told(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let headers = reply.headers.iter().filter(|(name, _)| *name != "x-request-id" && *name != "date");
    let headers = headers.map(|(name, value)| (name.to_string(), format!("{value:?}")));
    (reply.status, headers.collect(), reply.body.clone())
}

/// Every way of asking is answered as at a path that leads nowhere, byte for byte, and nothing reaches the upstream.
async fn assert_missing(stack: &Stack, key: &IssuedKey, slug: &str) {
    stack.sample.journal.clear();
    for era in [Era::Modern, Era::Legacy(portcullis_tests::mcp::LATEST_LEGACY)] {
        let here = stack.agent_of(key, slug, era);
        let nowhere = stack.agent_of(key, "unheard-of", era);
        for (method, params) in [
            ("tools/call", json!({"name": "whoami", "arguments": {}})),
            ("tools/list", json!({})),
            ("prompts/list", json!({})),
            (
                "initialize",
                json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "0"}}),
            ),
        ] {
            let (one, other) = (here.call(method, params.clone()).await, nowhere.call(method, params).await);
            assert_eq!(told(&one), told(&other), "{slug} {method}");
            assert_eq!(one.status, 404, "{one:?}");
        }
        for method in [reqwest::Method::GET, reqwest::Method::DELETE] {
            let one = here.send(here.builder(method.clone())).await;
            assert_eq!(told(&one), told(&nowhere.send(nowhere.builder(method)).await), "{slug}");
        }
    }
    assert!(stack.sample.journal.entries().is_empty(), "nothing reaches the upstream");
}

async fn assert_there(stack: &Stack, key: &IssuedKey, slug: &str) {
    let tool = if slug == OPEN { "get_issue" } else { "whoami" };
    let reply = stack.agent_of(key, slug, Era::Modern).call_tool(tool, json!({"id": "PC-1"})).await;
    assert_eq!(reply.status, 200, "{slug}: {reply:?}");
}

async fn put(stack: &Stack, path: &str) {
    stack.admin().put_nothing(&format!("{path}?wait=applied")).await.expect("gives");
}

async fn delete(stack: &Stack, path: &str) {
    stack.admin().delete(&format!("{path}?wait=applied")).await.expect("takes");
}

async fn revision(stack: &Stack) -> Value {
    stack.admin().get("/v1/status").await.expect("a status")["revision"].clone()
}

#[tokio::test]
async fn a_workspace_has_exactly_what_it_was_given() {
    let stack = start().await;
    let (sales, alan) = workspace(&stack, "sales").await;
    let place = |slug: &str, workspace: &str| format!("/v1/servers/{slug}/workspaces/{workspace}");
    for slug in [SAMPLE, OPEN] {
        delete(&stack, &place(slug, &sales)).await;
    }
    put(&stack, &place(OPEN, &sales)).await;
    assert_missing(&stack, &alan, SAMPLE).await;
    assert_there(&stack, &alan, OPEN).await;
    let ada = &stack.seeded.key;
    for slug in [SAMPLE, OPEN] {
        assert_there(&stack, ada, slug).await;
    }
    // Given, taken, given again: twice is once, and nobody else notices.
    for _ in 0..2 {
        put(&stack, &place(SAMPLE, &sales)).await;
        let before = revision(&stack).await;
        put(&stack, &place(SAMPLE, &sales)).await;
        assert_eq!(revision(&stack).await, before);
        assert_there(&stack, &alan, SAMPLE).await;
        delete(&stack, &place(SAMPLE, &sales)).await;
        let before = revision(&stack).await;
        delete(&stack, &place(SAMPLE, &sales)).await;
        assert_eq!(revision(&stack).await, before);
        assert_missing(&stack, &alan, SAMPLE).await;
        assert_there(&stack, &alan, OPEN).await;
        assert_there(&stack, ada, SAMPLE).await;
    }
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn new_workspaces_get_what_provisions_them_and_others_are_left_alone() {
    let stack = start().await;
    let flag = async |slug: &str, on: bool| {
        let change = json!({"provision_new_workspaces": on});
        stack.admin().patch(&format!("/v1/servers/{slug}?wait=applied"), change).await.expect("changes");
    };
    flag(SAMPLE, false).await;
    flag(OPEN, true).await;
    let (_, first) = workspace(&stack, "first").await;
    assert_missing(&stack, &first, SAMPLE).await;
    assert_there(&stack, &first, OPEN).await;
    flag(SAMPLE, true).await;
    flag(OPEN, false).await;
    // The flag is about workspaces to come.
    assert_missing(&stack, &first, SAMPLE).await;
    assert_there(&stack, &first, OPEN).await;
    let (_, second) = workspace(&stack, "second").await;
    assert_there(&stack, &second, SAMPLE).await;
    assert_missing(&stack, &second, OPEN).await;
}

#[tokio::test]
async fn members_who_are_not_admitted_see_no_server() {
    let stack = start().await;
    let (ada, grace) = (&stack.seeded.key, &stack.seeded.others[0]);
    let server = stack.server_id(SAMPLE);
    let of_grace = format!("/v1/servers/{server}/members/{}", grace.id);
    let say = async |access: &str| {
        let path = format!("{of_grace}?wait=applied");
        stack.admin().put(&path, json!({"access": access})).await.expect("says so");
    };
    let members = async |members: &str| {
        let path = format!("/v1/servers/{server}/workspaces/{}?wait=applied", stack.seeded.workspace);
        stack.admin().patch(&path, json!({"members": members})).await.expect("says so");
    };
    say("deny").await;
    assert_missing(&stack, &grace.key, SAMPLE).await;
    assert_there(&stack, ada, SAMPLE).await;
    assert_there(&stack, &grace.key, OPEN).await;
    members("chosen").await;
    assert_missing(&stack, ada, SAMPLE).await;
    say("allow").await;
    assert_there(&stack, &grace.key, SAMPLE).await;
    assert_missing(&stack, ada, SAMPLE).await;
    delete(&stack, &of_grace).await;
    assert_missing(&stack, &grace.key, SAMPLE).await;
    members("all").await;
    assert_there(&stack, ada, SAMPLE).await;
    assert_there(&stack, &grace.key, SAMPLE).await;
}

#[tokio::test]
async fn what_is_in_quarantine_is_gone_at_once() {
    let stack = start().await;
    let (ada, grace) = (&stack.seeded.key, &stack.seeded.others[0]);
    let switch = |target: &str| format!("/v1/quarantines/{target}?wait=applied");
    let on = async |target: &str| {
        stack.admin().put(&switch(target), json!({"reason": "a drill"})).await.expect("switches off");
    };
    on(&format!("server:{SAMPLE}")).await;
    assert_missing(&stack, ada, SAMPLE).await;
    assert_missing(&stack, &grace.key, SAMPLE).await;
    assert_there(&stack, ada, OPEN).await;
    stack.admin().delete(&switch(&format!("server:{SAMPLE}"))).await.expect("switches on");
    assert_there(&stack, ada, SAMPLE).await;

    // Off is off, in the same words, whatever the reason.
    let disabled = json!({"disabled": true});
    let path = format!("/v1/members/{}?wait=applied", grace.id);
    stack.admin().patch(&path, disabled).await.expect("disables");
    let like = whoami(&stack.agent_of(&grace.key, SAMPLE, Era::Modern)).await;
    stack.admin().patch(&path, json!({"disabled": false})).await.expect("enables");
    for target in [format!("member:{}", grace.id), format!("key:{}", grace.key.id)] {
        on(&target).await;
        stack.sample.journal.clear();
        let reply = whoami(&stack.agent_of(&grace.key, SAMPLE, Era::Modern)).await;
        assert_eq!(told(&reply), told(&like), "{target}");
        assert!(stack.sample.journal.entries().is_empty(), "{target}");
        assert_there(&stack, ada, SAMPLE).await;
        stack.admin().delete(&switch(&target)).await.expect("switches on");
        assert_there(&stack, &grace.key, SAMPLE).await;
    }
}
