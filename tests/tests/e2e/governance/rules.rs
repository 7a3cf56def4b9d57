//! Rules of every level, in lists and in calls.

use portcullis_tests::mcp::{Agent, Era, Reply};
use portcullis_tests::patience::poll;
use portcullis_tests::sdk::{CLIENTS, Job, Outcome, ToolCall};
use portcullis_tests::stack::{Builder, OPEN, SAMPLE, SCRIPTED, Stack};
use serde_json::{Map, Value, json};

/// Sets what a level takes away, and waits until every filter knows.
async fn set(stack: &Stack, target: &str, server: &str, rules: Value) {
    let path = format!("/v1/policies/{target}/{server}?wait=applied");
    stack.admin().put(&path, rules).await.expect("sets the rules");
}

async fn tools(agent: &Agent) -> Vec<String> {
    let mut tools = agent.call("tools/list", json!({})).await.listed("tools");
    tools.sort();
    tools
}

fn code(reply: &Reply) -> Option<i64> {
    reply.answer()["error"]["code"].as_i64()
}

/// Whether a call of the tool, with arguments that any tool takes, gets through.
async fn may_call(agent: &Agent, tool: &str) -> bool {
    let reply = agent.call_tool(tool, json!({"id": "PC-1", "title": "x", "query": "x"})).await;
    assert!(reply.status == 200 && (code(&reply).is_none() || code(&reply) == Some(-32602)), "{reply:?}");
    code(&reply).is_none()
}

#[tokio::test]
async fn each_level_only_takes_away_what_those_above_have_left() {
    let stack = Stack::start().await;
    let (member, key) = (&stack.seeded.member, &stack.seeded.key.id);
    let levels = [
        ("organization".to_owned(), json!({"tools": {"deny": ["slow", "large_*"]}})),
        ("workspace:core".to_owned(), json!({"tools": {"allow": ["*_issue", "*_issues", "whoami", "slow"]}})),
        // Gives nothing back, whatever it says.
        (
            format!("member:{member}"),
            json!({"enabled": true, "tools": {"allow": ["*"], "deny": ["create_*"]}}),
        ),
        (
            format!("key:{key}"),
            json!({"enabled": true, "tools": {"allow": ["slow", "create_issue", "get_issue", "whoami"]}}),
        ),
    ];
    let expected: [&[&str]; 4] = [
        &["count_slowly", "create_issue", "delete_issue", "get_issue", "search_issues", "whoami"],
        &["create_issue", "delete_issue", "get_issue", "search_issues", "whoami"],
        &["delete_issue", "get_issue", "search_issues", "whoami"],
        &["get_issue", "whoami"],
    ];
    let agents = [stack.agent(OPEN, Era::Modern), stack.legacy_agent(OPEN).await];
    set(&stack, "workspace:core", OPEN, json!({})).await;
    for ((target, rules), expected) in levels.into_iter().zip(expected) {
        set(&stack, &target, OPEN, rules).await;
        for agent in &agents {
            assert_eq!(tools(agent).await, expected, "{target}");
            for tool in ["create_issue", "delete_issue", "get_issue", "whoami"] {
                assert_eq!(may_call(agent, tool).await, expected.contains(&tool), "{target}: {tool}");
            }
        }
    }
    // What is enabled below does not come back, and nobody else is concerned.
    set(&stack, "organization", OPEN, json!({"enabled": false})).await;
    assert_eq!(agents[0].call("tools/list", json!({})).await.status, 404);
    assert_eq!(stack.agent(SAMPLE, Era::Modern).call("tools/list", json!({})).await.status, 200);
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn a_disabled_tool_is_gone_for_cold_caches_too_and_without_the_token_service() {
    let mut stack = Stack::build(Builder { concurrency: 2, ..Builder::default() }).await.expect("a stack");
    set(&stack, "workspace:core", SAMPLE, json!({"tools": {"deny": ["create_issue"]}})).await;
    stack.restart_envoy().await.expect("starts again");
    let agent = stack.agent(SAMPLE, Era::Modern);
    let refused = agent.call_tool("create_issue", json!({"title": "x"})).await;
    assert_eq!(code(&refused), Some(-32602), "the first that the filter hears of the caller: {refused:?}");
    // With connections of its own each, so that every worker comes to know the caller.
    let known = poll(async || {
        let fresh = stack.agent(SAMPLE, Era::Modern);
        assert!(!tools(&fresh).await.contains(&"create_issue".to_owned()));
        (fresh.call_tool("whoami", json!({})).await.status == 200).then_some(())
    });
    known.await.expect("the caller is served");
    stack.sample.journal.clear();

    stack.service.kill().expect("ends");
    for _ in 0..8 {
        let fresh = stack.agent(SAMPLE, Era::Modern);
        let refused = fresh.call_tool("create_issue", json!({"title": "x"})).await;
        // A worker that does not know the caller lets nobody do anything.
        assert!(refused.status == 503 || code(&refused) == Some(-32602), "{refused:?}");
        let listed = fresh.call("tools/list", json!({})).await;
        assert!(!listed.body.contains("create_issue"), "{listed:?}");
    }
    let reached = stack.sample.journal.entries();
    assert!(reached.iter().all(|entry| !entry.contains("create_issue")), "{reached:?}");
    assert!(stack.filter_never_trapped().await);
}

#[tokio::test]
async fn one_switch_leaves_only_what_is_known_to_read() {
    let stack = Stack::start().await;
    set(&stack, "workspace:core", OPEN, json!({"read_only": true})).await;
    let agents = [stack.agent(OPEN, Era::Modern), stack.legacy_agent(OPEN).await];
    // The service asks the server which of its tools only read; until then none does.
    let learnt = poll(async || tools(&agents[0]).await.contains(&"whoami".to_owned()).then_some(()));
    learnt.await.expect("the catalogue is learnt");
    let reading = ["count_slowly", "get_issue", "large_result", "search_issues", "slow", "whoami"];
    for agent in &agents {
        assert_eq!(tools(agent).await, reading);
        stack.sample.journal.clear();
        for tool in ["create_issue", "delete_issue", "nothing_of_that_name"] {
            let refused = agent.call_tool(tool, json!({"title": "x", "id": "PC-1"})).await;
            assert_eq!(code(&refused), Some(-32602), "{refused:?}");
            let record = stack.envoy.access_log.record_of(refused.request_id()).await;
            assert_eq!(record["rule"], "workspace/read_only", "{record}");
        }
        assert!(stack.sample.journal.entries().is_empty());
        assert!(may_call(agent, "get_issue").await);
    }
    // Names on top of the switch, and the switch back.
    set(&stack, "workspace:core", OPEN, json!({"read_only": true, "tools": {"deny": ["get_issue"]}})).await;
    assert!(!may_call(&agents[0], "get_issue").await);
    set(&stack, "workspace:core", OPEN, json!({})).await;
    assert!(may_call(&agents[0], "create_issue").await);
}

#[tokio::test]
async fn a_tool_that_does_not_say_whether_it_reads_counts_as_one_that_writes() {
    let stack = Stack::start().await;
    set(&stack, "workspace:core", SCRIPTED, json!({"read_only": true})).await;
    // One answer to all that the service asks: what the server is, and its tools.
    let list = json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "resultType": "complete", "tools": [
        {"name": "says_nothing", "inputSchema": {"type": "object"}},
        {"name": "says_something_else", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": "true"}},
        {"name": "reads", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}},
    ]});
    let answering = async {
        loop {
            let conversation = stack.scripted.next_request().await;
            let asked: Value = serde_json::from_str(&conversation.request.body).unwrap_or_default();
            conversation.json(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": list})).await;
        }
    };
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let asking = poll(async || {
        let shown = tools(&agent).await;
        (!shown.is_empty()).then_some(shown)
    });
    tokio::select! {
        shown = asking => assert_eq!(shown.expect("the catalogue is learnt"), ["reads"]),
        () = answering => {}
    }
}

fn only_titles_of_ours() -> Value {
    json!({"arguments": [
        {"tool": "create_*", "argument": "/title", "is": {"prefix": "ours: "}},
        {"tool": "count_slowly", "argument": "/steps", "is": {"range": {"min": 1, "max": 3}}},
        {"tool": "count_slowly", "argument": "/pause_ms", "optional": true, "is": {"equals": 0}},
    ]})
}

#[tokio::test]
async fn arguments_are_judged_on_their_exact_value_and_a_refused_call_reaches_nobody() {
    let stack = Stack::start().await;
    set(&stack, "workspace:core", OPEN, only_titles_of_ours()).await;
    let agents = [stack.agent(OPEN, Era::Modern), stack.legacy_agent(OPEN).await];
    for agent in &agents {
        for (tool, arguments, rule) in [
            ("create_issue", json!({"title": "ours: fix the gate"}), None),
            ("create_issue", json!({"title": "theirs"}), Some("/title")),
            ("create_issue", json!({"title": ["ours: "]}), Some("/title")),
            ("create_issue", json!({"title": "ours: x", "Title": "theirs"}), Some("/title")),
            ("create_issue", json!({}), Some("/title")),
            ("count_slowly", json!({"steps": 3}), None),
            ("count_slowly", json!({"steps": 1, "pause_ms": 0}), None),
            ("count_slowly", json!({"steps": 4}), Some("/steps")),
            ("count_slowly", json!({"steps": 2.5}), None),
            ("count_slowly", json!({"steps": "2"}), Some("/steps")),
            ("count_slowly", json!({"steps": 2, "pause_ms": 1}), Some("/pause_ms")),
            ("get_issue", json!({"id": "PC-1"}), None),
        ] {
            stack.sample.journal.clear();
            let reply = agent.call_tool(tool, arguments.clone()).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let record = stack.envoy.access_log.record_of(reply.request_id()).await;
            let Some(argument) = rule else {
                assert_eq!((&record["decision"], stack.sample.journal.entries().len()), (&json!("allow"), 1));
                continue;
            };
            let answer = reply.answer();
            assert_eq!(answer["result"]["isError"], true, "{answer}");
            let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
            assert!(text.contains(argument) && !text.contains("ours"), "{text}");
            assert_eq!(record["rule"], json!(format!("workspace/arguments:{argument}")), "{record}");
            assert!(stack.sample.journal.entries().is_empty(), "{tool} {arguments}");
        }
        assert!(tools(agent).await.contains(&"create_issue".to_owned()));
    }
    assert!(stack.filter_never_trapped().await);
}

fn call(tool: &str, arguments: Value) -> ToolCall {
    let arguments: Map<String, Value> = serde_json::from_value(arguments).expect("an object");
    ToolCall { tool: tool.into(), arguments }
}

#[tokio::test]
async fn the_official_clients_show_models_why_an_argument_is_refused() -> anyhow::Result<()> {
    let stack = Stack::start().await;
    set(&stack, "workspace:core", OPEN, only_titles_of_ours()).await;
    for (sdk, era) in CLIENTS {
        let job = Job {
            url: stack.url(OPEN),
            key: Some(stack.seeded.key.text.clone()),
            era,
            calls: vec![
                call("create_issue", json!({"title": "theirs"})),
                call("create_issue", json!({"title": "ours: fix the gate"})),
            ],
            prompts: Vec::new(),
            resources: Vec::new(),
            elicit: false,
            attended: false,
            sign_in: false,
        };
        let Some(report) = sdk.drive(&job).await? else { continue };
        let results: Vec<_> = report.calls.iter().map(|call| &call.outcome).collect();
        let [Outcome::Result(refused), Outcome::Result(made)] = results[..] else {
            panic!("{sdk:?}, {era:?}: {report:?}")
        };
        assert!(
            refused.is_error && refused.text.concat().contains("/title"),
            "{sdk:?}, {era:?}: {refused:?}"
        );
        assert!(!made.is_error, "{sdk:?}, {era:?}: {made:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_sensitive_tool_waits_for_the_token_service() {
    let mut stack = Stack::start().await;
    set(&stack, "workspace:core", SAMPLE, json!({"sensitive": ["create_*"]})).await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    assert!(may_call(&agent, "create_issue").await);
    assert!(tools(&agent).await.contains(&"create_issue".to_owned()));

    stack.service.kill().expect("ends");
    let refused = poll(async || {
        let reply = agent.call_tool("create_issue", json!({"title": "x"})).await;
        (reply.status == 503).then_some(reply)
    });
    let refused = refused.await.expect("as soon as the filter knows that it knows nothing");
    assert!(code(&refused) == Some(-31003) && refused.header("retry-after").is_some(), "{refused:?}");
    assert!(may_call(&agent, "whoami").await, "other tools go on");
    let record = stack.envoy.access_log.record_of(refused.request_id()).await;
    assert_eq!(record["rule"], "workspace/sensitive", "{record}");

    stack.service.restart().await.expect("starts again");
    let back = poll(async || {
        let reply = agent.call_tool("create_issue", json!({"title": "x"})).await;
        (reply.status == 200).then_some(())
    });
    back.await.expect("it is called again");
}
