//! `POST /v1/leases` of a server that members connect accounts to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{Service, key_of, key_proof};
use crate::provider::{ACCESS_TOKEN, Answer, Provider};

const MINUTE: u64 = 60_000;

async fn connect(service: &Service, provider: &Provider) {
    let link = service.connect_link("core", "ada", "linear", None).await;
    let mut browser = Browser::signed_in(service, "Ada Lovelace").await;
    let departure = browser.agree(&link).await;
    let server = service.server_id("linear").await;
    browser.come_back(&server, &departure, &provider.url).await;
}

fn refused(key: &str, lease: &Value, status: u16) -> Value {
    let rejected = json!({
        "connection_id": lease["connection_id"],
        "generation": lease["credential_generation"],
        "status": status,
        "challenge": r#"Bearer error="insufficient_scope", scope="admin""#,
    });
    json!({"server": "linear", "proof": key_proof(key), "rejected": rejected})
}

#[tokio::test]
async fn a_member_connects_once_and_has_leases_from_then_on() {
    let provider = Provider::start().await;
    let service = Service::start(&provider.configuration()).await;
    let key = key_of(&service, "ada").await;
    let before = service.lease_with_key("linear", &key).await;
    assert_eq!(before.body["result"], "connect_required", "{}", before.text);
    assert_eq!(before.body["ttl_ms"], MINUTE);
    assert!(before.body["handle"].as_str().is_some_and(|handle| handle.len() > 100));
    assert!(before.body.get("credential_headers").is_none());

    connect(&service, &provider).await;
    let lease = service.lease_with_key("linear", &key).await.body;
    assert_eq!(lease["result"], "granted", "{lease}");
    let bearer = format!("Bearer {ACCESS_TOKEN}");
    assert_eq!(lease["credential_headers"], json!([{"name": "authorization", "value": bearer}]));
    assert_eq!(lease["connection_id"], before.body["connection_id"], "it was named before it was there");
    assert_eq!((&lease["credential_generation"], &lease["ttl_ms"]), (&json!(1), &json!(MINUTE)));

    // In the last minute of the token's hour the lease ends half a minute before it, and the next one renews it.
    provider.answer(Answer::Other(503, Value::Null));
    service.clock.advance(59 * MINUTE + 10_000);
    let last = service.lease_with_key("linear", &key).await.body;
    assert_eq!((&last["result"], &last["ttl_ms"]), (&json!("granted"), &json!(20_000)), "{last}");
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_an_ended_grant_asks_for_a_new_one() {
    let provider = Provider::start().await;
    let service = Service::start(&provider.configuration()).await;
    let key = key_of(&service, "ada").await;
    connect(&service, &provider).await;
    let lease = service.lease_with_key("linear", &key).await.body;
    let renewed = service.lease(&refused(&key, &lease, 401)).await.body;
    assert_eq!((&renewed["result"], &renewed["credential_generation"]), (&json!("granted"), &json!(2)));
    let grants: Vec<_> = provider.token_requests().iter().map(|form| form["grant_type"].clone()).collect();
    assert_eq!(grants, ["authorization_code", "refresh_token"]);

    // More scopes are asked for without giving up what there is.
    let more = service.lease(&refused(&key, &renewed, 403)).await.body;
    assert_eq!((&more["result"], &more["ttl_ms"]), (&json!("connect_required"), &json!(0)), "{more}");
    assert_eq!(service.lease_with_key("linear", &key).await.body["result"], "granted");

    service.clock.advance(MINUTE);
    provider.answer(Answer::Other(400, json!({"error": "invalid_grant"})));
    let ended = service.lease(&refused(&key, &renewed, 401)).await.body;
    assert_eq!(ended["result"], "connect_required", "{ended}");
    let connections = service.get("/v1/connections").await.body;
    let connection = &connections["connections"][0];
    assert_eq!((&connection["state"], &connection["reason"]), (&json!("needs_reauth"), &json!("revoked")));

    provider.answer(Answer::Tokens);
    connect(&service, &provider).await;
    let again = service.lease_with_key("linear", &key).await.body;
    assert_eq!((&again["result"], &again["credential_generation"]), (&json!("granted"), &json!(3)));
}

#[tokio::test]
async fn a_shared_token_serves_members_and_service_keys() {
    let provider = Provider::start().await;
    let url = &provider.url;
    let crm = format!(
        "  - {{slug: crm, url: '{url}/crm', allow_http: true, workspaces: all, auth: {{type: client_credentials, client: {{id: gateway, secret: {{env: CANARY}}, method: client_secret_post}}, authorization_server: {{issuer: '{url}'}}}}}}\n"
    );
    let service = Service::start(&format!("{}{crm}", provider.configuration())).await;
    let (member_key, (service_key, _)) = (key_of(&service, "ada").await, service.service_key("core").await);
    let leases = [
        service.lease_with_key("crm", &member_key).await.body,
        service.lease_with_key("crm", &service_key).await.body,
    ];
    for lease in &leases {
        assert_eq!(lease["result"], "granted", "{lease}");
        let bearer = format!("Bearer {ACCESS_TOKEN}");
        assert_eq!(lease["credential_headers"], json!([{"name": "authorization", "value": bearer}]));
        assert_eq!(lease["connection_id"], leases[0]["connection_id"]);
    }
    assert_ne!(leases[0]["caller"]["id"], leases[1]["caller"]["id"], "who it is stays known");
    let requests: Vec<BTreeMap<String, String>> = provider.token_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0]["grant_type"], "client_credentials");
}
