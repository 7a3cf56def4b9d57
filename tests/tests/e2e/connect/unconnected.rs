//! Before an account is connected the token-service answers, and afterwards nothing of that reaches the upstream.

use portcullis_tests::mcp::{Era, LATEST_LEGACY};
use serde_json::json;

use super::stand::{HANDLE, Stand, TICKET, connect_required, granted};

#[tokio::test]
async fn the_token_service_answers_in_the_upstreams_place() {
    let stand = Stand::start([connect_required()]).await;
    let agent = stand.agent(Era::Modern);
    let message = agent.message("tools/call", json!({"name": "allowed"}));
    let request = agent.post(&message).header("x-portcullis-handle", "of-the-client").header("cookie", "a=b");
    let reply = agent.send(request).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body.contains(TICKET));
    assert_eq!(reply.header("mcp-session-id"), Some("pcl-session.abc"));
    assert_eq!(reply.header("x-portcullis-service"), None);
    let [asked] = &stand.service.asked("/v1/unconnected")[..] else { panic!("asked once") };
    assert_eq!(asked.header("x-portcullis-handle"), [HANDLE]);
    for ours in ["authorization", "x-portcullis-upstream", "cookie", "x-forwarded-for"] {
        assert!(asked.header(ours).is_empty(), "{ours}: {asked:?}");
    }
    assert_eq!(asked.header("mcp-name"), ["allowed"]);
    assert_eq!(asked.body, message.to_string());
    let record = stand.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!(record["decision"], "connect_required");
    assert!(record["response"].as_str().is_some_and(|text| text.contains("/connect/[ticket]")), "{record}");
    assert!(!record.to_string().contains(TICKET) && !record.to_string().contains(HANDLE), "{record}");

    let list = agent.call("tools/list", json!({})).await;
    assert_eq!(list.listed("tools"), ["allowed"]);
    let denied = agent.call_tool("denied", json!({})).await;
    assert_eq!(denied.answer()["error"]["code"], -32602, "{denied:?}");
    assert_eq!(stand.service.asked("/v1/unconnected").len(), 2);
    assert!(stand.upstream.journal.entries().is_empty());
    assert_eq!(stand.service.asked("/v1/leases").len(), 1, "the answer is kept");
}

#[tokio::test]
async fn our_request_state_is_taken_back_before_the_upstream_sees_it() {
    let stand = Stand::start([granted(1)]).await;
    let agent = stand.agent(Era::Modern);
    let params = json!({
        "name": "allowed", "arguments": {"q": [1, 2]}, "requestState": "pcl-state.xyz",
        "inputResponses": {"portcullis_connect": {"action": "accept"}},
    });
    let message = agent.message("tools/call", params);
    let (reply, ()) = tokio::join!(agent.send(agent.post(&message)), async {
        let conversation = stand.upstream.next_request().await;
        let body = &conversation.request.body;
        let mut expected = message.clone();
        expected["params"].as_object_mut().expect("an object").remove("inputResponses");
        expected["params"]["requestState"] = json!("theirs");
        assert_eq!(serde_json::from_str::<serde_json::Value>(body).expect("JSON"), expected);
        assert_eq!(conversation.request.header("content-length"), [body.len().to_string()]);
        let result = json!({"resultType": "complete", "content": []});
        conversation.json(&json!({"jsonrpc": "2.0", "id": 1, "result": result})).await;
    });
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(stand.service.asked("/v1/states").len(), 1);
}

#[tokio::test]
async fn our_session_is_the_upstreams_behind_the_gateway() {
    let stand = Stand::start([granted(1)]).await;
    let agent = stand.agent(Era::Legacy(LATEST_LEGACY));
    for number in 0..2 {
        let message = agent.message("tools/call", json!({"name": "allowed"}));
        let request = agent.post(&message).header("mcp-session-id", "pcl-session.abc");
        let request = request.header("mcp-protocol-version", LATEST_LEGACY);
        let (reply, ()) = tokio::join!(agent.send(request), async {
            let conversation = stand.upstream.next_request().await;
            assert_eq!(conversation.request.header("mcp-session-id"), ["their-session"]);
            assert_eq!(conversation.request.header("mcp-protocol-version"), ["2025-06-18"]);
            let headers = [("content-type", "application/json"), ("mcp-session-id", "their-session")];
            let body = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": []}});
            conversation.answer(200, &headers, &body.to_string()).await;
        });
        assert_eq!((reply.status, reply.header("mcp-session-id")), (200, None), "{reply:?}");
        assert_eq!(stand.service.asked("/v1/sessions").len(), 1, "the {number}th");
    }
}

#[tokio::test]
async fn what_envoy_says_for_the_token_service_is_no_answer_of_it() {
    let mut stand = Stand::start([connect_required()]).await;
    let agent = stand.agent(Era::Modern);
    assert_eq!(agent.call_tool("allowed", json!({})).await.status, 200);
    stand.service.stop();
    let reply = agent.call_tool("allowed", json!({})).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(
        (reply.answer()["id"].clone(), reply.answer()["error"]["code"].clone()),
        (json!(1), json!(-31003))
    );
}
