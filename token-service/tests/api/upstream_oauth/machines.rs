//! O31: the gateway's own client, whose secret is for one issuer.

use serde_json::json;

use super::site::{Place, Spoilt};
use super::stand::Stand;

const TWO_HOURS: u64 = 2 * 3_600_000;

/// O31
#[tokio::test]
async fn a_clients_secret_is_shown_to_one_issuer() {
    let mut stand = Stand::start().await;
    let client = json!({"id": "gateway", "secret": "canary-machine-secret", "method": "client_secret_post"});
    let server = stand.register(json!({"type": "client_credentials", "client": client})).await;
    let lease = stand.service.lease_with_key(&server, &stand.key).await;
    assert_eq!(lease.body["result"], "granted", "{}", lease.text);
    let asked = stand.site.asked(&server, Place::Token);
    let resource: String =
        url::form_urlencoded::byte_serialize(format!("{}/{server}/mcp", stand.site.origin).as_bytes())
            .collect();
    assert!(asked[0].body.contains(&format!("resource={resource}")), "for this server alone: {asked:?}");

    // The server names another issuer, which would be given the secret.
    let usurper = Spoilt::Member("authorization_servers", json!(["{origin}/usurper"]));
    stand.site.spoil(&server, Place::Resource, usurper);
    stand.service.clock.advance(TWO_HOURS);
    let lease = stand.service.lease_with_key(&server, &stand.key).await;
    let refused = (&lease.body["result"], &lease.body["reason"]);
    assert_eq!(refused, (&json!("denied"), &json!("credential_unavailable")), "{}", lease.text);
    assert!(stand.site.asked("usurper", Place::Token).is_empty());
    assert!(stand.site.asked("usurper", Place::Register).is_empty());

    // Another server's client is not affected.
    let other = json!({"id": "gateway", "secret": "canary-other-secret", "method": "client_secret_post"});
    let server = stand.register(json!({"type": "client_credentials", "client": other})).await;
    let lease = stand.service.lease_with_key(&server, &stand.key).await;
    assert_eq!(lease.body["result"], "granted", "{}", lease.text);
    stand.no_secret_was_logged();
}
