//! What is counted, through a real Envoy: as much as happened, under names that nobody can make up.

mod expressions;
mod names;
mod rules;
mod silence;

use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::scrape::{Scrape, envoy_shows};
use portcullis_tests::stack::{Builder, OPEN, SAMPLE, SCRIPTED, SCRIPTED_KEY, Stack};
use serde_json::json;

const REQUESTS: &str = "portcullis_requests_total";

/// Whether a counter is what it should be; counters are small whole numbers.
fn is(found: f64, expected: u32) -> bool {
    (found - f64::from(expected)).abs() < 0.5
}

#[tokio::test]
async fn counts_are_what_was_sent() {
    let stack = Stack::build(Builder { concurrency: 2, ..Builder::default() }).await.expect("a stack");
    let before = envoy_shows(&stack, "the first request", |scrape| scrape.sum(REQUESTS, &[]) > 0.0).await;
    let agent = stack.agent(SAMPLE, Era::Modern);
    for _ in 0..5 {
        assert_eq!(agent.call_tool("search_issues", json!({"query": "gate"})).await.status, 200);
    }
    for _ in 0..3 {
        agent.call_tool("delete_issue", json!({"id": "PC-1"})).await;
    }
    agent.with_credential(None).call_tool("search_issues", json!({})).await;
    agent.call("tools/list", json!({})).await;
    let secret = format!("{SCRIPTED_KEY} and {SCRIPTED_KEY}");
    let scripted = stack.agent(SCRIPTED, Era::Modern);
    let (_, ()) = tokio::join!(scripted.call_tool("allowed", json!({})), async {
        let result =
            json!({"resultType": "complete", "content": [{"type": "text", "text": secret}], "isError": true});
        stack.scripted.next_request().await.json(&json!({"jsonrpc": "2.0", "id": 1, "result": result})).await;
    });
    let (_, ()) = tokio::join!(scripted.call_tool("allowed", json!({})), async {
        stack.scripted.next_request().await.answer(500, &[], "no").await;
    });
    let sent = 5 + 3 + 1 + 1 + 2;
    let grown = |scrape: &Scrape| scrape.sum(REQUESTS, &[]) - before.sum(REQUESTS, &[]);
    // Envoy shows histograms a few seconds later.
    let scripted = [("mcp_server", SCRIPTED)];
    let timed = |scrape: &Scrape| scrape.sum("portcullis_request_milliseconds_count", &scripted);
    let all = |scrape: &Scrape| is(grown(scrape), sent) && is(timed(scrape), 2);
    let after = envoy_shows(&stack, "all requests", all).await;

    let sample = ("mcp_server", SAMPLE);
    for (name, labels, expected) in [
        (
            REQUESTS,
            vec![sample, ("mcp_method", "tools/call"), ("mcp_decision", "allow"), ("mcp_outcome", "ok")],
            5,
        ),
        (REQUESTS, vec![sample, ("mcp_method", "tools/call"), ("mcp_outcome", "rpc_error")], 3),
        (REQUESTS, vec![sample, ("mcp_method", "none"), ("mcp_outcome", "4xx")], 1),
        (REQUESTS, vec![("mcp_server", SCRIPTED), ("mcp_outcome", "tool_error")], 1),
        (REQUESTS, vec![("mcp_server", SCRIPTED), ("mcp_outcome", "5xx")], 1),
        ("portcullis_denials_total", vec![sample, ("mcp_rule", "workspace/tools.deny")], 3),
        ("portcullis_denials_total", vec![sample, ("mcp_rule", "no_credential")], 1),
        (
            "portcullis_tool_calls_total",
            vec![sample, ("mcp_tool", "delete_issue"), ("mcp_decision", "deny")],
            3,
        ),
        ("portcullis_tool_calls_total", vec![("mcp_server", SCRIPTED)], 2),
        ("portcullis_workspace_requests_total", vec![("mcp_workspace", "none"), ("mcp_decision", "deny")], 1),
        ("portcullis_workspace_requests_total", vec![("mcp_workspace", "core"), ("mcp_decision", "deny")], 3),
        (
            "portcullis_masked_bytes_total",
            vec![("mcp_server", SCRIPTED)],
            2 * u32::try_from(SCRIPTED_KEY.len()).expect("short"),
        ),
        ("portcullis_decision_microseconds_count", vec![("mcp_server", SCRIPTED)], 2),
        ("portcullis_request_milliseconds_count", vec![("mcp_server", SCRIPTED)], 2),
        // Two workers and the main thread.
        ("portcullis_vms", vec![], 3),
        ("portcullis_unverified_vms", vec![], 0),
    ] {
        let found =
            after.sum(name, &labels) - if name.ends_with("_vms") { 0.0 } else { before.sum(name, &labels) };
        assert!(is(found, expected), "{found} instead of {expected} of {name} {labels:?} in {after:#?}");
    }
    let lookups =
        after.sum("portcullis_lease_lookups_total", &[]) - before.sum("portcullis_lease_lookups_total", &[]);
    assert!(is(lookups, sent - 1), "{lookups}");
    assert!(after.sum("portcullis_calls_total", &[("mcp_call", "lease"), ("mcp_result", "granted")]) >= 2.0);
    assert!(after.sum("portcullis_calls_total", &[("mcp_call", "watch"), ("mcp_result", "ok")]) >= 3.0);

    let service = Scrape::of_service(&stack).await;
    let granted = service.sum("portcullis_token_service_leases_total", &[("result", "granted")]);
    assert!(is(
        granted - after.sum("portcullis_calls_total", &[("mcp_call", "lease"), ("mcp_result", "granted")]),
        0
    ));
    assert!(
        is(service.sum("portcullis_token_service_filters", &[("state", "connected")]), 3),
        "{service:#?}"
    );
    assert!(stack.filter_never_trapped().await);
}

/// With `stats_tags` names are labels; without, as in Envoy's own format, they are in the name, as Istio expects them.
#[tokio::test]
async fn labels_are_in_the_name_as_istio_writes_them() {
    let stack = Stack::start().await;
    envoy_shows(&stack, "the first request", |scrape| scrape.sum(REQUESTS, &[("mcp_server", SAMPLE)]) > 0.0)
        .await;
    let url = format!("{}/stats?filter=portcullis_requests_total", stack.envoy.admin_url);
    let client = portcullis_tests::http::client().build().expect("a client");
    let text = client.get(url).send().await.expect("a reply").text().await.expect("a text");
    let expected = "wasmcustom.mcp_server=.=sample;.;mcp_method=.=tools/list;.;mcp_decision=.=allow;.;mcp_outcome=.=ok;.;\
                    portcullis_requests_total: ";
    assert!(text.contains(expected), "{text}");
}

/// Series are never freed, so nothing that a client sends may be in one.
#[tokio::test]
async fn nothing_that_a_client_makes_up_becomes_a_series() {
    let stack = Stack::start().await;
    let agent = stack.agent(OPEN, Era::Modern);
    // Everything that is to be there, is.
    agent.call_tool("made-up", json!({})).await;
    agent.call("made/up", json!({})).await;
    agent.at(stack.url("made-up"), Era::Modern).call("tools/list", json!({})).await;
    strangers(&stack, "first").await;
    let sent = 1.0 + 4.0;
    let before = envoy_shows(&stack, "the requests", |scrape| scrape.sum(REQUESTS, &[]) >= sent).await;
    let series = ours(&before);
    let (counted, mut more) = (before.sum(REQUESTS, &[]), 0_u32);
    for number in 0..100 {
        for tool in [
            format!("made_up_{number}"),
            format!("x;.;mcp_tool=.=y{number};.;portcullis_requests_total"),
            format!("a\n# TYPE evil{number} counter\nevil{number} 1"),
            "é\u{202e}\"}{\\".to_owned() + &number.to_string(),
        ] {
            // Header values cannot hold all of these; the body is where they count.
            let message = agent.message("tools/call", json!({"name": tool, "arguments": {}}));
            let legacy = stack.agent(OPEN, Era::Legacy(portcullis_tests::mcp::LATEST_LEGACY));
            legacy.send(legacy.post(&message)).await;
            more += 1;
        }
        agent.call(&format!("made/up{number}"), json!({})).await;
        more += 1;
    }
    for number in 0..1_000 {
        let elsewhere = agent.at(stack.url(&format!("made-up-{number}")), Era::Modern);
        elsewhere.call("tools/list", json!({})).await;
        more += 1;
    }
    strangers(&stack, "second").await;
    more += 1;
    let all = |scrape: &Scrape| is(scrape.sum(REQUESTS, &[]) - counted, more);
    let after = envoy_shows(&stack, "all requests", all).await;
    let new: Vec<String> = ours(&after).into_iter().filter(|one| !series.contains(one)).collect();
    assert!(new.len() <= 12, "there are as many outcomes as there are: {new:#?}");
    for label in ["mcp_server", "mcp_tool", "mcp_method", "mcp_workspace", "mcp_rule"] {
        let values = after.values("portcullis", label);
        assert!(values.iter().all(|value| !value.contains("made") && !value.contains("evil")), "{values:?}");
    }
    assert!(stack.filter_never_trapped().await);
}

async fn strangers(stack: &Stack, name: &str) {
    let stranger: Agent = stack.agent(OPEN, Era::Modern).with_credential(Some(name));
    stranger.call("tools/list", json!({})).await;
}

/// Our series by name and labels, those of buckets apart.
fn ours(scrape: &Scrape) -> Vec<String> {
    let ours = scrape
        .0
        .iter()
        .filter(|sample| sample.name.starts_with("portcullis") && !sample.labels.contains_key("le"));
    ours.map(|sample| format!("{} {:?}", sample.name, sample.labels)).collect()
}
