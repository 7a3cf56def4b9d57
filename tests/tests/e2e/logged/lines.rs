//! Whatever is put into a request, its record is one line, and nothing in it acts on who reads the log.

use portcullis_tests::mcp::{Era, LATEST_LEGACY};
use portcullis_tests::raw::RawConnection;
use portcullis_tests::stack::{SCRIPTED, Stack};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

/// Ends lines, in one way or another; colours a terminal; turns the writing round; breaks out of JSON.
const ODD: &str = "a\r\nb\u{85}c\u{2028}d\u{2029}e\u{B}\u{C}\u{1B}[31mf\u{9B}32mg\u{202E}h\",\"decision\":\"deny\"}\n{\\u000a\\";

/// What ends a line for somebody, or is a control.
fn is_sound(log: &str) -> bool {
    log.chars().all(|character| {
        character == '\n'
            || !(character.is_control()
                || matches!(character, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'))
    })
}

#[tokio::test]
async fn what_a_message_says_stays_on_its_line() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Legacy(LATEST_LEGACY));
    let text = json!({"content": [{"type": "text", "text": ODD}]});
    let answer = json!({"jsonrpc": "2.0", "id": ODD, "result": text});
    let messages = [
        // In full and redacted: the policy decides what is shown, not how.
        json!({"jsonrpc": "2.0", "id": ODD, "method": "tools/call", "params": {"name": ODD, "arguments": {ODD: ODD}}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": LATEST_LEGACY,
            "capabilities": {}, "clientInfo": {"name": ODD, "version": ODD}}}),
    ];
    for payload in ["full", "redacted"] {
        let path = format!("/v1/servers/{SCRIPTED}?wait=applied");
        stack.admin().patch(&path, json!({"payload": payload})).await.expect("changes");
        for message in &messages {
            let (reply, ()) = tokio::join!(agent.send(agent.post(message)), async {
                stack.scripted.next_request().await.json(&answer).await;
            });
            let record = stack.envoy.access_log.record_of(reply.request_id()).await;
            assert_eq!(record["decision"], "allow", "{record}");
            let said = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
            let odd = if message["method"] == "initialize" {
                [said("client_name"), said("client_version")]
            } else {
                [said("name"), said("rpc_id")]
            };
            for text in odd {
                assert!(text.starts_with("a\r\nb\\u0085c\\u2028d\\u2029e"), "{text:?}");
                assert!(text.contains("\\u009b32mg\\u202eh\",\"decision\""), "{text:?}");
            }
            let parameters: Value = serde_json::from_str(&said("parameters")).expect("JSON");
            assert_eq!(parameters, message["params"], "the same, otherwise spelt");
        }
    }
    let unknown = json!({"jsonrpc": "2.0", "id": ODD, "method": ODD, "params": {}});
    let reply = agent.send(agent.post(&unknown)).await;
    let record = stack.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!(record["decision"], "deny", "{record}");
    assert!(record["method"].as_str().is_some_and(|text| text.starts_with("a\r\nb\\u0085")), "{record}");
    let log = stack.envoy.access_log.text();
    assert!(is_sound(&log), "{log:?}");
    assert_eq!(log.lines().count(), stack.envoy.access_log.records().len());
}

#[tokio::test]
async fn what_headers_say_stays_on_its_line() {
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern).with_credential(None);
    let odd: &[&[u8]] = &[
        br#"quotes " and \ and ","decision":"allow"}"#,
        b"tab\there",
        "\u{2028}\u{85}\u{9B}31m\u{202E}".as_bytes(),
        b"\xFF\xFE\x80",
    ];
    for value in odd {
        let value = HeaderValue::from_bytes(value).expect("a header");
        let request = agent.post(&json!({}));
        let request = ["user-agent", "mcp-session-id", "traceparent"]
            .iter()
            .fold(request, |request, name| request.header(*name, value.clone()));
        let reply = agent.send(request).await;
        let record = stack.envoy.access_log.record_of(reply.request_id()).await;
        assert_eq!((&record["decision"], &record["status"]), (&json!("deny"), &json!(401)), "{record}");
    }
    // What no HTTP library sends: Envoy's parser has the first word.
    for value in ["\u{1B}[31mred", "nul\0", "two\r lines", "two\n lines"] {
        let mut connection = RawConnection::open(stack.gateway).await;
        let request = format!(
            "POST /{SCRIPTED}/mcp HTTP/1.1\r\nhost: x\r\nuser-agent: {value}\r\ncontent-length: 0\r\n\r\n"
        );
        connection.send(request.as_bytes()).await;
        let response = connection.response().await.expect("an answer");
        assert!(response.status >= 400, "{value:?}: {response:?}");
    }
    let log = stack.envoy.access_log.text();
    assert!(log.chars().all(|character| character == '\n' || !character.is_ascii_control()), "{log:?}");
    assert_eq!(log.lines().count(), stack.envoy.access_log.records().len(), "each line is a record");
}
