//! One credential, one URL: an agent lists and calls tools, and the upstream sees the gateway's credential only.

use portcullis_tests::mcp::{Agent, Era, Reply};
use portcullis_tests::stack::{OPEN, SAMPLE, SAMPLE_KEY, SCRIPTED, SCRIPTED_KEY, Stack};
use portcullis_tests::upstream::sample::tracker::credential_digest;
use serde_json::json;

fn text(reply: &Reply) -> String {
    let answer = reply.answer();
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {reply:?}")).to_owned()
}

async fn both_eras(stack: &Stack, slug: &str) -> [Agent; 2] {
    [stack.legacy_agent(slug).await, stack.agent(slug, Era::Modern)]
}

#[tokio::test]
async fn tools_are_listed_and_called_in_both_eras() {
    let stack = Stack::start().await;
    for slug in [SAMPLE, OPEN] {
        for agent in both_eras(&stack, slug).await {
            let listed = agent.call("tools/list", json!({})).await;
            assert_eq!(listed.status, 200, "{listed:?}");
            assert!(listed.listed("tools").contains(&"search_issues".to_owned()), "{listed:?}");
            let called = agent.call_tool("search_issues", json!({"query": "gate"})).await;
            assert_eq!(called.status, 200, "{called:?}");
            assert!(text(&called).contains("PC-1"), "{called:?}");
        }
    }
}

#[tokio::test]
async fn prompts_and_resources_work_too() {
    let stack = Stack::start().await;
    for agent in both_eras(&stack, SAMPLE).await {
        let prompt = json!({"name": "summarize_issues", "arguments": {"topic": "gates"}});
        let prompt = agent.call("prompts/get", prompt).await;
        assert!(prompt.answer()["result"]["messages"].to_string().contains("gates"), "{prompt:?}");
        let resource = agent.call("resources/read", json!({"uri": "issue://PC-1"})).await;
        assert!(resource.answer()["result"]["contents"].to_string().contains("issue://PC-1"), "{resource:?}");
    }
}

#[tokio::test]
async fn the_upstream_sees_our_credential_and_never_the_clients() {
    let stack = Stack::start().await;
    for agent in both_eras(&stack, SAMPLE).await {
        let message = agent.message("tools/call", json!({"name": "whoami", "arguments": {}}));
        let request = agent
            .post(&message)
            .header("cookie", "session=of-the-client")
            .header("x-api-key", "of-the-client")
            .header("proxy-authorization", "Basic b2YtdGhlLWNsaWVudA==");
        let seen = text(&agent.send(request).await);
        let expected = json!({"authorization": credential_digest(format!("Bearer {SAMPLE_KEY}").as_bytes())});
        assert_eq!(seen, expected.to_string());
    }
    for agent in both_eras(&stack, OPEN).await {
        let seen = text(&agent.call_tool("whoami", json!({})).await);
        assert_eq!(seen, "{}", "no credential of anybody on a server that wants none");
    }
    for entry in stack.sample.journal.entries() {
        assert!(!entry.contains(&stack.seeded.key.text), "{entry:?}");
        assert!(!entry.contains("of-the-client"), "{entry:?}");
    }
}

#[tokio::test]
async fn either_header_carries_an_api_key() {
    let stack = Stack::start().await;
    let agent = stack.agent(OPEN, Era::Modern).with_credential(None);
    let message = agent.message("tools/list", json!({}));
    let request = agent.post(&message).header("x-portcullis-api-key", &stack.seeded.key.text);
    assert_eq!(agent.send(request).await.status, 200);
    for entry in stack.sample.journal.entries() {
        assert!(!entry.contains(&stack.seeded.key.text), "{entry:?}");
    }
}

#[tokio::test]
async fn the_body_and_the_address_reach_the_upstream_as_they_are() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    // Spaces, a number that no double holds, an unusual order of keys.
    let meta = agent.message("tools/call", json!({}))["params"]["_meta"].to_string();
    let body = format!(
        r#"{{ "params" : {{"arguments":{{"n":9007199254740993,"é":"\u00e9"}},"name":"allowed","_meta":{meta}}}, "method":"tools/call","id":"a/b","jsonrpc":"2.0" }}"#
    );
    let request = agent.post(&agent.message("tools/call", json!({"name": "allowed"})));
    let request = request.header("mcp-param-region", "eu").body(body.clone());
    let (reply, ()) = tokio::join!(agent.send(request), async {
        let conversation = stack.scripted.next_request().await;
        assert_eq!(conversation.request.body, body);
        assert_eq!(conversation.request.target, "/scripted/mcp?tenant=7");
        assert_eq!(conversation.request.header("x-api-key"), [SCRIPTED_KEY]);
        assert_eq!(conversation.request.header("mcp-param-region"), ["eu"]);
        assert_eq!(conversation.request.header("mcp-name"), ["allowed"]);
        assert!(conversation.request.header("authorization").is_empty());
        let host = conversation.request.header("host");
        assert!(stack.scripted.url().contains(host[0]), "{host:?}");
        let result = json!({"resultType": "complete", "content": []});
        conversation.json(&json!({"jsonrpc": "2.0", "id": "a/b", "result": result})).await;
    });
    assert_eq!(reply.answer()["id"], "a/b");
}

#[tokio::test]
async fn what_the_upstream_says_to_the_gateway_only_stays_there() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let (reply, ()) = tokio::join!(agent.call_tool("allowed", json!({})), async {
        let headers = [
            ("content-type", "application/json"),
            ("set-cookie", "sid=upstream"),
            ("www-authenticate", "Bearer resource_metadata=\"https://upstream.example/meta\""),
            ("server", "upstream/1.0"),
            ("x-internal", "build 7"),
            ("content-language", "pl"),
        ];
        let body = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}});
        stack.scripted.next_request().await.answer(200, &headers, &body.to_string()).await;
    });
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-language"), Some("pl"));
    for held_back in ["set-cookie", "www-authenticate", "x-internal"] {
        assert_eq!(reply.header(held_back), None);
    }
    assert_ne!(reply.header("server"), Some("upstream/1.0"));
}

#[tokio::test]
async fn an_upstream_cannot_send_the_client_elsewhere() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let (reply, ()) = tokio::join!(agent.call_tool("allowed", json!({})), async {
        let headers = [("location", "https://evil.example/mcp")];
        stack.scripted.next_request().await.answer(307, &headers, "").await;
    });
    assert_eq!(reply.header("location"), None, "{reply:?}");
    assert!(reply.status >= 400, "{reply:?}");
}
