//! The credential of a connection is refused: it is renewed, and the request sent once more.

use portcullis_tests::mcp::{Era, LATEST_LEGACY};
use portcullis_tests::upstream::scripted::Conversation;
use serde_json::{Value, json};

use super::stand::{HANDLE, Stand, TICKET, connect_required, granted, granted_by_administrator};

const CHALLENGE: &str = r#"Bearer error="invalid_token", resource_metadata="https://upstream.example/meta""#;

async fn refuse(conversation: Conversation) {
    let headers = [("www-authenticate", CHALLENGE), ("content-type", "application/json")];
    conversation.answer(401, &headers, r#"{"error":"invalid_token"}"#).await;
}

fn result() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}})
}

#[tokio::test]
async fn a_refused_credential_is_renewed_and_the_client_notices_nothing() {
    notices_nothing(Stand::start([granted(1), granted(2)]).await).await;
}

#[tokio::test]
async fn it_is_sent_again_by_routes_that_were_rendered_too() {
    let stand = Stand::rendered([granted(1), granted(2)]).await;
    notices_nothing(stand).await;
}

async fn notices_nothing(stand: Stand) {
    let agent = stand.agent(Era::Modern);
    let (reply, (first, second)) = tokio::join!(agent.call_tool("allowed", json!({"q": 1})), async {
        let first = stand.upstream.next_request().await;
        let seen = first.request.clone();
        refuse(first).await;
        let second = stand.upstream.next_request().await;
        let again = second.request.clone();
        let headers = [("content-type", "application/json"), ("set-cookie", "a=b"), ("mcp-later", "1")];
        second.answer(200, &headers, &result().to_string()).await;
        (seen, again)
    });
    assert_eq!((reply.status, reply.answer()), (200, result()), "{reply:?}");
    assert_eq!(reply.header("mcp-later"), Some("1"));
    for held_back in ["www-authenticate", "set-cookie"] {
        assert_eq!(reply.header(held_back), None);
    }

    assert_eq!(first.header("authorization"), ["Bearer of-generation-1"]);
    assert_eq!(second.header("authorization"), ["Bearer of-generation-2"]);
    assert_eq!((&first.body, &first.target, &first.method), (&second.body, &second.target, &second.method));
    let mut names: Vec<_> = first.headers.iter().map(|(name, _)| name).collect();
    let mut names_again: Vec<_> = second.headers.iter().map(|(name, _)| name).collect();
    names.sort();
    names_again.sort();
    assert_eq!(names, names_again, "sent again by the same way");
    assert_eq!(first.header("host"), second.header("host"));

    let asked = stand.service.asked("/v1/leases");
    let request: Value = serde_json::from_str(&asked[1].body).expect("JSON");
    let rejected = json!({"connection_id": "c1", "generation": 1, "status": 401, "challenge": CHALLENGE});
    assert_eq!((asked.len(), &request["rejected"]), (2, &rejected));

    let record = stand.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!((&record["decision"], &record["rule"]), (&json!("allow"), &json!("credential_renewed")));
    assert_eq!(record["details"], "portcullis_credential_renewed");
    assert_eq!(record["status"], 200);

    // The renewed lease is the one in use.
    let (reply, ()) = tokio::join!(agent.call_tool("allowed", json!({})), async {
        let next = stand.upstream.next_request().await;
        assert_eq!(next.request.header("authorization"), ["Bearer of-generation-2"]);
        next.json(&result()).await;
    });
    assert_eq!(reply.status, 200);
    assert_eq!(stand.service.asked("/v1/leases").len(), 2);
}

#[tokio::test]
async fn an_answer_in_events_comes_whole() {
    let stand = Stand::start([granted(1), granted(2)]).await;
    let agent = stand.agent(Era::Modern);
    let (reply, ()) = tokio::join!(agent.call("tools/list", json!({})), async {
        refuse(stand.upstream.next_request().await).await;
        let answer = stand.upstream.next_request().await.events();
        let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}});
        answer.event(&progress).await;
        let tools = json!([{"name": "allowed", "inputSchema": {}}, {"name": "denied", "inputSchema": {}}]);
        let list = json!({"resultType": "complete", "tools": tools});
        answer.event(&json!({"jsonrpc": "2.0", "id": 1, "result": list})).await;
    });
    assert_eq!((reply.status, reply.messages().len()), (200, 2), "{reply:?}");
    assert_eq!(reply.listed("tools"), ["allowed"], "policy holds for what comes second too");
}

#[tokio::test]
async fn a_second_refusal_ends_in_a_link_and_not_in_a_loop() {
    let stand = Stand::start([granted(1), granted(2), connect_required()]).await;
    let agent = stand.agent(Era::Modern);
    let (reply, ()) = tokio::join!(agent.call_tool("allowed", json!({})), async {
        refuse(stand.upstream.next_request().await).await;
        refuse(stand.upstream.next_request().await).await;
    });
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains(TICKET), "{reply:?}");
    assert_eq!(reply.header("www-authenticate"), None);
    assert_eq!(reply.header("x-portcullis-service"), None);
    assert_eq!(stand.service.asked("/v1/leases").len(), 3);
    let asked = stand.service.asked("/v1/unconnected");
    assert_eq!(asked[0].header("x-portcullis-handle"), [HANDLE]);
    assert!(asked[0].header("authorization").is_empty());
    assert_eq!(asked[0].rpc_method().as_deref(), Some("tools/call"));
    let record = stand.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!(record["decision"], "connect_required");
    assert!(!record.to_string().contains(TICKET), "{record}");
}

#[tokio::test]
async fn what_cannot_be_sent_again_is_to_be_tried_again() {
    let stand = Stand::start([granted(1), granted(2)]).await;
    let agent = stand.agent(Era::Modern);
    let large = json!({"text": "x".repeat(1_100_000)});
    let (reply, ()) = tokio::join!(agent.call_tool("allowed", large), async {
        refuse(stand.upstream.next_request().await).await;
    });
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{reply:?}");
    assert_eq!(reply.answer()["id"], 1);
    let (reply, ()) = tokio::join!(agent.call_tool("allowed", json!({})), async {
        let next = stand.upstream.next_request().await;
        assert_eq!(next.request.header("authorization"), ["Bearer of-generation-2"]);
        next.json(&result()).await;
    });
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn an_event_stream_of_a_session_is_to_be_opened_again() {
    let stand = Stand::start([granted(1), granted(2)]).await;
    let agent = stand.agent(Era::Legacy(LATEST_LEGACY));
    let get = agent.builder(reqwest::Method::GET).header("accept", "text/event-stream");
    let get = get.header("mcp-protocol-version", LATEST_LEGACY).header("mcp-session-id", "s");
    let (reply, ()) = tokio::join!(agent.send(get), async {
        refuse(stand.upstream.next_request().await).await;
    });
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{reply:?}");
}

#[tokio::test]
async fn a_client_that_leaves_during_the_second_try_does_no_harm() {
    let stand = Stand::start([granted(1), granted(2)]).await;
    let agent = stand.agent(Era::Modern);
    let request = agent.post(&agent.message("tools/call", json!({"name": "allowed"})));
    let waiting = tokio::spawn(request.send());
    refuse(stand.upstream.next_request().await).await;
    let second = stand.upstream.next_request().await;
    waiting.abort();
    let gone = stand.envoy.access_log.wait_for(|record| record["flags"] == "DC").await;
    assert_eq!(gone.expect("its record")["rule"], "credential_renewed");
    second.json(&result()).await;
    let (reply, ()) = tokio::join!(agent.call_tool("allowed", json!({})), async {
        stand.upstream.next_request().await.json(&result()).await;
    });
    assert_eq!(reply.status, 200);
    assert_eq!(stand.envoy.stat("vm_reload").await.expect("statistics"), 0);
}

#[tokio::test]
async fn a_credential_that_only_an_administrator_can_renew() {
    let stand = Stand::start([granted_by_administrator()]).await;
    let agent = stand.agent(Era::Modern);
    for (status, challenge) in [(401, CHALLENGE), (403, r#"Bearer error="insufficient_scope", scope="x""#)] {
        let (reply, ()) = tokio::join!(agent.call_tool("allowed", json!({})), async {
            let refused = stand.upstream.next_request().await;
            refused.answer(status, &[("www-authenticate", challenge)], "").await;
        });
        assert_eq!((reply.status, reply.header("www-authenticate")), (502, None), "{reply:?}");
        assert!(
            reply.answer()["error"]["message"].as_str().is_some_and(|text| text.contains("administrator"))
        );
        let record = stand.envoy.access_log.record_of(reply.request_id()).await;
        assert_eq!(record["details"], "portcullis_upstream_unauthorized");
    }
    assert_eq!(stand.service.asked("/v1/leases").len(), 1);
}
