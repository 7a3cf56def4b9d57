//! The legacy session, its event stream and its end pass through the gateway, with a credential each time.

use portcullis_tests::mcp::{Era, LATEST_LEGACY};
use portcullis_tests::stack::{SAMPLE, SCRIPTED, SCRIPTED_KEY, Stack};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_session_ends_when_the_client_says_so() {
    let stack = Stack::start().await;
    let agent = stack.legacy_agent(SAMPLE).await;
    assert!(agent.session().is_some());
    assert_eq!(agent.call_tool("whoami", json!({})).await.status, 200);
    let ended = agent.send(agent.builder(Method::DELETE)).await;
    assert!((200..300).contains(&ended.status), "{ended:?}");
    let after = agent.call_tool("whoami", json!({})).await;
    assert_eq!(after.status, 404, "the upstream's answer, on which a client starts a new session: {after:?}");
}

#[tokio::test]
async fn every_legacy_version_works() {
    let stack = Stack::start().await;
    for version in ["2025-03-26", "2025-06-18", LATEST_LEGACY] {
        let mut agent = stack.agent(SAMPLE, Era::Legacy(version));
        let reply = agent.initialize().await;
        assert_eq!(reply.answer()["result"]["protocolVersion"], version, "{reply:?}");
        assert_eq!(agent.call_tool("get_issue", json!({"id": "PC-1"})).await.status, 200);
    }
}

#[tokio::test]
async fn the_clients_event_stream_is_open_both_ways() {
    let stack = Stack::start().await;
    let mut agent = stack.agent(SCRIPTED, Era::Legacy(LATEST_LEGACY));
    let (_, ()) = tokio::join!(agent.initialize(), async {
        let result = json!({"protocolVersion": LATEST_LEGACY, "capabilities": {},
            "serverInfo": {"name": "s", "version": "0"}});
        let body = json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string();
        let headers = [("content-type", "application/json"), ("mcp-session-id", "session-1")];
        stack.scripted.next_request().await.answer(200, &headers, &body).await;
        stack.scripted.next_request().await.answer(202, &[], "").await;
    });
    let request =
        agent.builder(Method::GET).header("accept", "text/event-stream").header("last-event-id", "41");
    let (mut stream, answer) = tokio::join!(agent.stream(request), async {
        let conversation = stack.scripted.next_request().await;
        assert_eq!(conversation.request.method, "GET");
        assert_eq!(conversation.request.header("mcp-session-id"), ["session-1"]);
        assert_eq!(conversation.request.header("last-event-id"), ["41"]);
        assert_eq!(conversation.request.header("x-api-key"), [SCRIPTED_KEY]);
        conversation.events()
    });
    // The upstream asks the client something, and the client's answer, which has no method, gets through.
    let question = json!({"jsonrpc": "2.0", "id": "q1", "method": "roots/list"});
    answer.event(&question).await;
    assert_eq!(stream.next_message().await, question);
    let response = json!({"jsonrpc": "2.0", "id": "q1", "result": {"roots": []}});
    let (accepted, ()) = tokio::join!(agent.send(agent.post(&response)), async {
        let conversation = stack.scripted.next_request().await;
        assert_eq!(conversation.request.body, response.to_string());
        conversation.answer(202, &[], "").await;
    });
    assert_eq!(accepted.status, 202);
}

#[tokio::test]
async fn nothing_goes_without_a_credential() {
    let stack = Stack::start().await;
    let agent = stack.legacy_agent(SAMPLE).await;
    stack.sample.journal.clear();
    let stranger = agent.with_credential(None);
    for method in [Method::GET, Method::DELETE] {
        let reply = stranger.send(stranger.builder(method)).await;
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(reply.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
    }
    assert!(stack.sample.journal.entries().is_empty());
    assert_eq!(agent.call_tool("whoami", json!({})).await.status, 200, "the session is still there");
}
