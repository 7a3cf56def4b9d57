//! Envoy's own rate limit service, asked behind the filter: it is told who asks for what, and its word counts.

use portcullis_tests::envoy::streams_bodies;
use portcullis_tests::mcp::Era;
use portcullis_tests::rate_limit_service::{Descriptor, RateLimitService};
use portcullis_tests::seed::GRACE;
use portcullis_tests::stack::{Builder, SAMPLE, Stack};
use serde_json::json;

fn of(entries: &[(&str, &str)]) -> Descriptor {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn envoys_own_service_counts_what_the_filter_says() {
    if streams_bodies() {
        // Only headers that wait for their body say for sure what is asked for, and that it is allowed.
        return;
    }
    // The stack itself asks for a list when it starts.
    let service = RateLimitService::start(&[("member", 3)]).await.expect("starts");
    let builder =
        Builder { members: vec![GRACE], rate_limit_service: Some(service.address), ..Builder::default() };
    let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    let before = service.seen().len();
    let ada = stack.agent(SAMPLE, Era::Modern);
    assert_eq!(ada.call_tool("whoami", json!({})).await.status, 200);
    let member = stack.seeded.member.as_str();
    let expected = [
        of(&[("workspace", "core")]),
        of(&[("member", member)]),
        of(&[("key", &stack.seeded.key.id)]),
        of(&[("server", SAMPLE)]),
        of(&[("workspace", "core"), ("server", SAMPLE), ("tool", "whoami")]),
    ];
    assert_eq!(service.seen()[before..], expected);

    // A list has no tool, and what the filter denies is not counted.
    assert_eq!(ada.call("tools/list", json!({})).await.status, 200);
    assert_eq!(service.seen()[before + 5..], expected[..4]);
    ada.call_tool("delete_issue", json!({"id": "PC-1"})).await;
    assert_eq!(service.seen().len(), before + 9);

    stack.sample.journal.clear();
    let refused = ada.call_tool("whoami", json!({})).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    assert_eq!(refused.answer()["error"]["code"], -31006);
    assert!(stack.sample.journal.entries().is_empty());
    let grace = stack.agent_of(&stack.seeded.others[0].key, SAMPLE, Era::Modern);
    assert_eq!(grace.call_tool("whoami", json!({})).await.status, 200);
    assert!(stack.filter_never_trapped().await);
}
