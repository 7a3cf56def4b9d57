//! What a caller may put into a record breaks no line, costs no other record, and is shown for what it is.

use portcullis_tests::mcp::Era;
use portcullis_tests::stack::{SCRIPTED, Stack};
use serde_json::json;

use super::{assert_same, record_of};

#[tokio::test]
async fn odd_names_and_user_agents() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Legacy("2025-11-25"));
    let names = ["a\r\nb", "\u{1b}[2J\u{7}", "x\u{2028}y\u{2029}z", "\"},{\"forged\":\"", "=cmd|'x'", "-"];
    for name in names {
        let message = agent.message("tools/call", json!({"name": name, "arguments": {}}));
        let (reply, ()) = tokio::join!(agent.send(agent.post(&message)), async {
            let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}});
            stack.scripted.next_request().await.json(&answer).await;
        });
        let line = stack.envoy.access_log.record_of(reply.request_id()).await;
        let record = record_of(&stack, reply.request_id()).await;
        assert_same(&line, &record);
        // Envoy writes `-` for what is not there, so that a name of it cannot be told from none.
        let shown = name.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
        assert_eq!(record["name"].as_str().unwrap_or("-"), shown);
    }
    // A header that is not UTF-8, in the same batch as others.
    let denied = agent.message("tools/call", json!({"name": "denied", "arguments": {}}));
    let mut odd = agent.post(&denied);
    odd =
        odd.header("user-agent", reqwest::header::HeaderValue::from_bytes(b"a\xff\"b\x80").expect("a value"));
    let stranger = agent.with_credential(None);
    let (odd, plain) = tokio::join!(agent.send(odd), stranger.send(stranger.post(&denied)));
    let record = record_of(&stack, odd.request_id()).await;
    assert_eq!(record["user_agent"], "a\u{fffd}\"b\u{fffd}");
    record_of(&stack, plain.request_id()).await;
    let lines = stack.envoy.access_log.text();
    assert_eq!(lines.lines().count(), stack.envoy.access_log.records().len(), "each line is one record");
}
