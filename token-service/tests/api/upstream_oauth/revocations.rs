//! O37: telling the provider that a connection has ended, which is its own affair.

use reqwest::StatusCode;
use serde_json::json;

use super::site::{Place, SECRET, Spoilt};
use super::stand::{Outcome, Stand};
use crate::harness::LOG;

/// O37
#[tokio::test]
async fn a_provider_cannot_keep_a_connection_alive() {
    let endpoint = |url: &str| (Place::Metadata, Spoilt::Member("revocation_endpoint", json!(url)));
    let answer = |status| (Place::Revoke, Spoilt::json(status, r#"{"error":"canary-x"}"#));
    let mut stand = Stand::start().await;
    for (name, (place, spoilt), asked) in [
        ("a name of what is inside", endpoint("https://localhost.:{canary}/x"), false),
        ("nobody there", endpoint("https://nowhere.invalid/x"), false),
        ("none", (Place::Metadata, Spoilt::Without("revocation_endpoint")), false),
        ("an error", answer(400), true),
        ("broken", answer(503), true),
        ("led elsewhere", (Place::Revoke, Spoilt::redirect(307, "https://127.0.0.1:{canary}/x")), true),
        ("led to another place", (Place::Revoke, Spoilt::redirect(307, "{origin}/other/token")), true),
    ] {
        let server = stand.register(json!({"type": "oauth"})).await;
        stand.site.spoil(&server, place, spoilt);
        let id = connected(&mut stand, &server).await;
        assert_eq!(ended(&stand, &server, &id).await, StatusCode::NO_CONTENT, "{name}");
        LOG.wait_for(|line| line.contains(&id) && line.contains("has not confirmed")).await;
        assert_eq!(!stand.site.asked(&server, Place::Revoke).is_empty(), asked, "{name}");
        stand.nothing_was_reached(name);
        assert_eq!(stand.connect(&server).await, Outcome::Connected, "{name}: and again");
    }
    stand.no_secret_was_logged();
}

/// O37: the answer to who disconnects does not wait for the provider.
#[tokio::test]
async fn a_provider_that_does_not_answer_holds_nobody_up() {
    let mut stand = Stand::start().await;
    let server = stand.register(json!({"type": "oauth"})).await;
    let id = connected(&mut stand, &server).await;
    stand.site.spoil(&server, Place::Revoke, Spoilt::Silence);
    assert_eq!(ended(&stand, &server, &id).await, StatusCode::NO_CONTENT);
    let given_up = LOG.text().lines().any(|line| line.contains(&id) && line.contains("has not confirmed"));
    assert!(!given_up, "the provider was waited for");
    assert_eq!(stand.connect(&server).await, Outcome::Connected);
    stand.no_secret_was_logged();
}

/// O37: a good one is told both tokens, the one that renews first.
#[tokio::test]
async fn a_provider_is_told_both_tokens() {
    let mut stand = Stand::start().await;
    let server = stand.register(json!({"type": "oauth"})).await;
    let id = connected(&mut stand, &server).await;
    assert_eq!(ended(&stand, &server, &id).await, StatusCode::NO_CONTENT);
    LOG.wait_for(|line| line.contains(&id) && line.contains("has revoked the tokens")).await;
    let told: Vec<String> =
        stand.site.asked(&server, Place::Revoke).into_iter().map(|asked| asked.body).collect();
    let expected = ["refresh", "access"].map(|kind| format!("token={SECRET}{kind}-{server}"));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().zip(&expected).all(|(body, token)| body.starts_with(token)), "{told:?}");
    stand.no_secret_was_logged();
}

/// Connects, and is the id of the connection.
async fn connected(stand: &mut Stand, server: &str) -> String {
    assert_eq!(stand.connect(server).await, Outcome::Connected);
    let connections = stand.service.get(&format!("/v1/connections?server={server}")).await;
    connections.body["connections"][0]["id"].as_str().expect("an id").to_owned()
}

/// Ends a connection; it is gone here when that is answered.
async fn ended(stand: &Stand, server: &str, id: &str) -> StatusCode {
    let reply = stand.service.delete(&format!("/v1/connections/{id}")).await;
    let lease = stand.service.lease_with_key(server, &stand.key).await;
    assert_eq!(lease.body["result"], "connect_required", "{}", lease.text);
    reply.status
}
