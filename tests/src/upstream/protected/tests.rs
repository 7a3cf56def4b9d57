use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::mcp::{Agent, Era, LATEST_LEGACY};
use crate::provider::clients::{Authentication, Client};
use crate::provider::faults::Endpoint;
use crate::provider::shape::{Resource, Shape};

/// A token for a subject, got by a machine of that name.
async fn token(provider: &Provider, subject: &str, resource: &str, scope: &str) -> String {
    provider.add_client(Client::machine(subject, Authentication::SecretPost("secret".into())));
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("grant_type", "client_credentials"),
        ("client_id", subject),
        ("client_secret", "secret"),
        ("resource", resource),
        ("scope", scope),
    ]);
    let http = crate::http::client().build().expect("a client");
    let reply = http
        .post(provider.url(Endpoint::Token))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.finish())
        .send()
        .await
        .expect("an answer");
    let tokens: Value = reply.json().await.expect("JSON");
    tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned()
}

#[tokio::test]
async fn everything_wants_a_token_and_the_challenge_leads_to_the_provider() {
    let provider = Provider::start(Shape::linear()).await.expect("starts");
    let protected = Protected::behind(&provider).await.expect("starts");
    for credential in [None, Some("nonsense")] {
        for method in ["server/discover", "tools/list", "tools/call"] {
            let agent = Agent::new(protected.url(), credential, Era::Modern);
            let reply = agent.call(method, json!({"name": "whoami"})).await;
            assert_eq!(reply.status, 401, "{method}");
            let challenge = reply.header("www-authenticate").expect("a challenge").to_owned();
            let (_, rest) = challenge.split_once("resource_metadata=\"").expect("names the metadata");
            let metadata = reqwest::get(rest.trim_end_matches('"')).await.expect("an answer");
            let metadata: Value = metadata.json().await.expect("JSON");
            assert_eq!(metadata["resource"], protected.url());
            assert_eq!(metadata["authorization_servers"], json!([provider.issuer()]));
        }
    }
    assert!(protected.calls().iter().all(|call| call.verdict == Verdict::Unauthorized));
    assert_eq!(protected.calls().len(), 6);
}

#[tokio::test]
async fn whoami_is_the_subject_of_the_token_in_both_eras() {
    let provider = Provider::start(Shape::linear()).await.expect("starts");
    let protected = Protected::behind(&provider).await.expect("starts");
    for subject in ["ada", "grace"] {
        let token = token(&provider, subject, &protected.url(), "read").await;
        let modern = Agent::new(protected.url(), Some(&token), Era::Modern);
        let mut legacy = Agent::new(protected.url(), Some(&token), Era::Legacy(LATEST_LEGACY));
        legacy.initialize().await;
        assert!(legacy.session().is_some());
        for agent in [modern, legacy] {
            let answer = agent.call_tool("whoami", json!({})).await.answer();
            assert_eq!(answer["result"]["content"][0]["text"], subject, "{answer}");
        }
    }
    assert_eq!(protected.subjects_of("tools/call"), ["ada", "ada", "grace", "grace"]);
}

#[tokio::test]
async fn a_session_of_somebody_else_is_noticed() {
    let provider = Provider::start(Shape::linear()).await.expect("starts");
    let protected = Protected::behind(&provider).await.expect("starts");
    let ada = token(&provider, "ada", &protected.url(), "read").await;
    let grace = token(&provider, "grace", &protected.url(), "read").await;
    let mut agent = Agent::new(protected.url(), Some(&ada), Era::Legacy(LATEST_LEGACY));
    agent.initialize().await;
    let thief = agent.with_credential(Some(&grace));
    assert_eq!(thief.call_tool("whoami", json!({})).await.status, 404);
    assert_eq!(protected.calls().pop().expect("a call").verdict, Verdict::ForeignSession);
}

#[tokio::test]
async fn more_scope_another_audience_and_closed_doors() {
    let provider = Provider::start(Shape::linear()).await.expect("starts");
    let protected = Protected::behind(&provider).await.expect("starts");
    let narrow = token(&provider, "ada", &protected.url(), "read").await;
    let wide = token(&provider, "ada", &protected.url(), "read export").await;
    let agent = Agent::new(protected.url(), Some(&narrow), Era::Modern);
    let refused = agent.call_tool(desk::EXPORT, json!({})).await;
    assert_eq!(refused.status, 403);
    let challenge = refused.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains(r#"error="insufficient_scope", scope="export""#), "{challenge}");
    let allowed = agent.with_credential(Some(&wide));
    assert_eq!(allowed.call_tool(desk::EXPORT, json!({})).await.status, 200);

    provider.allow_resource("https://other.example/mcp");
    let elsewhere = token(&provider, "ada", "https://other.example/mcp", "read").await;
    let stranger = agent.with_credential(Some(&elsewhere));
    assert_eq!(stranger.call_tool("whoami", json!({})).await.status, 401);

    protected.refuse_everything(true);
    assert_eq!(allowed.call_tool("whoami", json!({})).await.status, 401);
    protected.refuse_everything(false);
    assert_eq!(allowed.call_tool("whoami", json!({})).await.status, 200);
}

#[tokio::test]
async fn it_has_a_question_of_its_own() {
    let provider = Provider::start(Shape::linear()).await.expect("starts");
    let protected = Protected::behind(&provider).await.expect("starts");
    let token = token(&provider, "ada", &protected.url(), "read").await;
    let agent = Agent::new(protected.url(), Some(&token), Era::Modern);
    let mut params = json!({"name": desk::RENAME, "arguments": {"id": "PC-1"},
        "_meta": {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}});
    let asked = agent.call("tools/call", params.clone()).await.answer();
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    assert_eq!(asked["result"]["requestState"], desk::RENAME_STATE);
    params["requestState"] = asked["result"]["requestState"].clone();
    params["inputResponses"] = json!({"title": {"action": "accept", "content": {"title": "Free again"}}});
    let done = agent.call("tools/call", params.clone()).await.answer();
    assert!(done["result"]["content"][0]["text"].to_string().contains("Free again"), "{done}");
    params["requestState"] = "forged".into();
    assert_eq!(agent.call("tools/call", params).await.answer()["error"]["code"], -32602);
}

#[tokio::test]
async fn metadata_can_be_unnamed_at_the_root_or_absent() {
    let shape = Shape { resource: Resource::Ignored, ..Shape::linear() };
    let provider = Provider::start(shape).await.expect("starts");
    for (metadata, path, root) in [
        (ResourceMetadata::Named, 200, 404),
        (ResourceMetadata::Unnamed, 200, 404),
        (ResourceMetadata::Root, 404, 200),
        (ResourceMetadata::Absent, 404, 404),
    ] {
        let protection = Protection {
            verifier: Verifier::Provider(provider.clone()),
            authorization_servers: vec![provider.issuer().to_owned()],
            metadata,
            scope: "read",
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let protected = Protected::start(listener, protection).expect("starts");
        let well_known = protected.url().replace("/mcp", "/.well-known/oauth-protected-resource");
        let status = async |url: String| reqwest::get(url).await.expect("an answer").status();
        assert_eq!(status(format!("{well_known}/mcp")).await, path, "{metadata:?}");
        assert_eq!(status(well_known).await, root, "{metadata:?}");
        let reply = Agent::new(protected.url(), None, Era::Modern).call("tools/list", json!({})).await;
        let challenge = reply.header("www-authenticate").expect("a challenge");
        let named = metadata == ResourceMetadata::Named;
        assert_eq!(challenge.contains("resource_metadata"), named, "{challenge}");
        assert!(challenge.contains(r#"scope="read""#), "{challenge}");
    }
}
