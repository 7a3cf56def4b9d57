//! How often and how much at once: counted by all workers together, answered in a way that clients understand.

use portcullis_tests::mcp::{Agent, Era, EventStream, Reply};
use portcullis_tests::patience::poll;
use portcullis_tests::sdk::{CLIENTS, Job, ToolCall};
use portcullis_tests::seed::GRACE;
use portcullis_tests::stack::{Builder, OPEN, SAMPLE, SCRIPTED, Stack};
use portcullis_tests::upstream::scripted::Answer;
use portcullis_wire::api_key::ApiKey;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Each agent has a connection of its own, so that all workers get some.
const WORKERS: u32 = 2;

const RATE_LIMITED: i32 = -31_006;

async fn stack() -> Stack {
    let builder = Builder { concurrency: WORKERS, members: vec![GRACE], ..Builder::default() };
    Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"))
}

async fn limit(stack: &Stack, target: &str, name: &str, rule: Value) {
    let path = format!("/v1/limits/{target}/{name}?wait=applied");
    stack.admin().put(&path, rule).await.expect("limits");
}

fn grace(stack: &Stack, slug: &str) -> Agent {
    stack.agent_of(&stack.seeded.others[0].key, slug, Era::Modern)
}

async fn calls(agent: &Agent, tool: &str) -> Reply {
    agent.call_tool(tool, json!({"query": "gate"})).await
}

fn assert_limited(reply: &Reply) {
    assert_eq!(reply.status, 429, "{reply:?}");
    let seconds: u64 = reply.header("retry-after").and_then(|text| text.parse().ok()).expect("whole seconds");
    let error = &reply.answer()["error"];
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(RATE_LIMITED), &json!("rate_limited")));
    let exactly = error["data"]["retryAfterMs"].as_u64().expect("milliseconds");
    assert!(
        seconds >= 1 && (exactly..exactly + 1_000).contains(&(seconds * 1_000)),
        "{seconds} s, {exactly} ms"
    );
}

#[tokio::test]
async fn of_many_at_once_exactly_as_many_pass_as_the_limit_says() {
    let stack = stack().await;
    limit(&stack, "workspace:core", "all", json!({"requests": 7, "per": "day"})).await;
    stack.sample.journal.clear();
    // By everybody and at two servers: one count.
    let mut calling = JoinSet::new();
    for number in 0..30 {
        let agent = match number % 3 {
            0 => stack.agent(SAMPLE, Era::Modern),
            1 => grace(&stack, SAMPLE),
            _ => stack.agent(OPEN, Era::Modern),
        };
        calling.spawn(async move { calls(&agent, "search_issues").await });
    }
    let replies = calling.join_all().await;
    let (passed, refused): (Vec<&Reply>, Vec<&Reply>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!(passed.len(), 7, "{replies:?}");
    for reply in &refused {
        assert_limited(reply);
    }
    assert_eq!(stack.sample.journal.entries().len(), 7, "nothing else has reached the server");
    let record = stack.envoy.access_log.record_of(refused[0].request_id()).await;
    let logged =
        ["decision", "rule", "details", "name"].map(|field| record[field].as_str().unwrap_or_default());
    assert_eq!(logged, ["deny", "workspace/limits:all", "portcullis_rate_limited", "search_issues"]);
    assert_eq!(record["error_code"], RATE_LIMITED.to_string());
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn tools_and_members_are_counted_apart_where_the_limit_says_so() {
    let stack = stack().await;
    let each = json!({"server": SAMPLE, "tools": ["search_*", "whoami"], "each": ["tool", "member"], "requests": 1, "per": "day"});
    limit(&stack, "organization", "apart", each).await;
    for agent in [stack.agent(SAMPLE, Era::Modern), grace(&stack, SAMPLE)] {
        for tool in ["search_issues", "whoami"] {
            assert_eq!(calls(&agent, tool).await.status, 200, "{tool}");
            assert_limited(&calls(&agent, tool).await);
        }
        // Neither other tools nor lists, and no other server.
        assert_eq!(agent.call("tools/list", json!({})).await.status, 200);
        assert_eq!(agent.call_tool("get_issue", json!({"id": "PC-1"})).await.status, 200);
    }
    assert_eq!(calls(&stack.agent(OPEN, Era::Modern), "search_issues").await.status, 200);
}

#[tokio::test]
async fn one_members_limit_is_nobody_elses() {
    let stack = stack().await;
    let target = format!("member:{}", stack.seeded.member);
    limit(&stack, &target, "slow", json!({"requests": 1, "per": "day"})).await;
    let ada = stack.agent(SAMPLE, Era::Modern);
    assert_eq!(calls(&ada, "whoami").await.status, 200);
    let refused = calls(&ada, "whoami").await;
    assert_limited(&refused);
    let record = stack.envoy.access_log.record_of(refused.request_id()).await;
    assert_eq!(record["rule"], "member/limits:slow");
    for _ in 0..5 {
        assert_eq!(calls(&grace(&stack, SAMPLE), "whoami").await.status, 200);
    }
}

#[tokio::test]
async fn a_changed_limit_counts_at_once_and_one_taken_away_no_more() {
    let stack = stack().await;
    let ada = stack.agent(SAMPLE, Era::Modern);
    assert_eq!(calls(&ada, "whoami").await.status, 200);
    limit(&stack, "workspace:core", "all", json!({"requests": 1, "per": "day"})).await;
    assert_eq!(calls(&ada, "whoami").await.status, 200);
    assert_limited(&calls(&ada, "whoami").await);
    limit(&stack, "workspace:core", "all", json!({"requests": 3, "per": "day"})).await;
    // With other numbers it begins to count anew.
    for _ in 0..3 {
        assert_eq!(calls(&ada, "whoami").await.status, 200);
    }
    assert_limited(&calls(&ada, "whoami").await);
    stack.admin().delete("/v1/limits/workspace:core/all?wait=applied").await.expect("takes it away");
    for _ in 0..5 {
        assert_eq!(calls(&ada, "whoami").await.status, 200);
    }
}

/// A call that the server has begun to answer, and goes on answering.
async fn open(stack: &Stack, agent: &Agent) -> (EventStream, Answer) {
    let request = agent.post(&agent.message("tools/call", json!({"name": "allowed", "arguments": {}})));
    tokio::join!(agent.stream(request), async { stack.scripted.next_request().await.events() })
}

/// Calls until there is room, while the server answers at once.
async fn until_there_is_room(stack: &Stack) {
    let answering = async {
        loop {
            let result =
                json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}});
            stack.scripted.next_request().await.json(&result).await;
        }
    };
    let calling = poll(async || {
        let reply = calls(&stack.agent(SCRIPTED, Era::Modern), "allowed").await;
        (reply.status == 200).then_some(())
    });
    tokio::select! {
        () = answering => {}
        room = calling => room.expect("there is room again"),
    }
}

#[tokio::test]
async fn a_server_takes_so_many_at_once_and_more_when_others_are_done() {
    let stack = stack().await;
    let path = format!("/v1/servers/{}?wait=applied", stack.server_id(SCRIPTED));
    stack.admin().patch(&path, json!({"concurrency": 2})).await.expect("bounds the server");
    let (mut first, answer) = open(&stack, &stack.agent(SCRIPTED, Era::Modern)).await;
    let (second, _answering) = open(&stack, &grace(&stack, SCRIPTED)).await;
    for _ in 0..10 {
        let refused = calls(&stack.agent(SCRIPTED, Era::Modern), "allowed").await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{refused:?}");
        assert_eq!(refused.answer()["error"]["data"]["reason"], "too_many_at_once");
        let record = stack.envoy.access_log.record_of(refused.request_id()).await;
        assert_eq!(record["rule"], "server/concurrency");
    }
    assert_eq!(calls(&stack.agent(SAMPLE, Era::Modern), "whoami").await.status, 200, "another server");
    // One is answered to its end; then it is its client that leaves.
    drop(answer);
    assert_eq!(first.next().await, None);
    until_there_is_room(&stack).await;
    let (_third, _open) = open(&stack, &grace(&stack, SCRIPTED)).await;
    let full = calls(&stack.agent(SCRIPTED, Era::Modern), "allowed").await;
    assert_eq!(full.status, 429, "{full:?}");
    drop(second);
    until_there_is_room(&stack).await;
}

#[tokio::test]
async fn strangers_who_guess_are_told_to_wait_and_known_callers_go_on() {
    let builder = Builder::default();
    let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    let ada = stack.agent(SAMPLE, Era::Modern);
    assert_eq!(calls(&ada, "whoami").await.status, 200);
    let mut refused = None;
    // A hundred in a minute, and a few more for the time that this takes.
    for number in 0..1_000_u128 {
        let entropy: Vec<u8> = number.to_be_bytes().repeat(8);
        let (key, _) = ApiKey::spell("test", &entropy).expect("a key");
        let reply = calls(&ada.with_credential(Some(key.expose())), "whoami").await;
        if reply.status == 429 {
            refused = Some((number, reply));
            break;
        }
        assert_eq!(reply.status, 401, "{reply:?}");
    }
    let (number, reply) = refused.expect("an end to guessing");
    assert!(number >= 100, "{number}");
    assert_eq!(reply.answer()["error"]["data"]["reason"], "too_many_unknown_credentials");
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
    assert_eq!(calls(&ada, "whoami").await.status, 200);
}

#[tokio::test]
async fn official_clients_see_an_error_that_says_why() {
    let stack = stack().await;
    let job = |url: String, key: &str, era| Job {
        url,
        key: Some(key.to_owned()),
        era,
        calls: vec![ToolCall { tool: "whoami".into(), arguments: serde_json::Map::new() }],
        prompts: Vec::new(),
        resources: Vec::new(),
        elicit: false,
        attended: false,
        sign_in: false,
    };
    limit(&stack, "organization", "never", json!({"tools": ["whoami"], "requests": 1, "per": "day"})).await;
    assert_eq!(calls(&stack.agent(SAMPLE, Era::Modern), "whoami").await.status, 200);
    stack.sample.journal.clear();
    for (sdk, era) in CLIENTS {
        let outcome = sdk.drive(&job(stack.url(SAMPLE), &stack.seeded.key.text, era)).await;
        let seen = match outcome {
            Ok(None) => continue,
            Ok(Some(report)) => format!("{:?}", report.calls),
            Err(error) => format!("{error:#}"),
        };
        let is_told = ["-31006", "429", "limit"].iter().any(|text| seen.contains(text));
        assert!(is_told, "{sdk:?} {era:?}: {seen}");
    }
    let reached = stack.sample.journal.entries();
    assert!(reached.iter().all(|entry| entry.rpc_method().as_deref() != Some("tools/call")), "{reached:?}");
}
