//! Credentials that all members share: fetched by the gateway itself, and the log still names the human.

use std::time::Duration;

use portcullis_tests::mcp::Era;
use portcullis_tests::provider::clients::{Authentication, Client};
use portcullis_tests::provider::faults::{Endpoint, Fault};
use portcullis_tests::provider::shape::Shape;
use serde_json::json;

use super::{LINEAR, Setting, account_of, whoami};

#[tokio::test]
async fn members_share_the_token_of_client_credentials() {
    let client = Client::machine("gateway", Authentication::SecretBasic("machine-secret-71".into()));
    let auth = json!({
        "type": "client_credentials",
        "client": {"id": "gateway", "secret": "machine-secret-71", "method": "client_secret_basic"},
    });
    let setting = Setting::with(Shape::machines(client), auth).await;
    let (ada, grace) = (setting.agent(Era::Modern), setting.graces_agent(Era::Modern));
    let one = whoami(&ada).await;
    let other = whoami(&grace).await;
    assert_eq!(account_of(&one), account_of(&other));
    assert_eq!(setting.provider.ledger.requests_of("client_credentials").len(), 1);
    let log = &setting.stack.envoy.access_log;
    assert_eq!(log.record_of(one.request_id()).await["caller_name"], "Ada Lovelace");
    assert_eq!(log.record_of(other.request_id()).await["caller_name"], "Grace Hopper");

    // A token that the server no longer takes is fetched again, once, and the call succeeds.
    setting.provider.expire_access_tokens();
    assert_eq!(account_of(&whoami(&ada).await), account_of(&one));
    assert_eq!(setting.provider.ledger.requests_of("client_credentials").len(), 2);
}

#[tokio::test]
async fn a_slow_provider_is_waited_for() {
    let client = Client::machine("gateway", Authentication::SecretBasic("machine-secret-71".into()));
    let auth = json!({
        "type": "client_credentials",
        "client": {"id": "gateway", "secret": "machine-secret-71", "method": "client_secret_basic"},
    });
    let setting = Setting::with(Shape::machines(client), auth).await;
    // Longer than a filter listens for an ordinary lease.
    setting.provider.fail(Endpoint::Token, [Fault::Slow(Duration::from_millis(1_500))]);
    let (ada, grace) = (setting.agent(Era::Modern), setting.graces_agent(Era::Modern));
    let (one, other) = tokio::join!(whoami(&ada), whoami(&grace));
    assert_eq!(account_of(&one), account_of(&other));
    assert_eq!(setting.provider.ledger.requests_of("client_credentials").len(), 1);
}

#[tokio::test]
async fn nobody_stands_behind_a_service_key() {
    let setting = Setting::start().await;
    let admin = setting.stack.admin();
    let path = format!("/v1/workspaces/{}/keys", setting.stack.seeded.workspace);
    let made = admin.post(&path, json!({"name": "ci"})).await.expect("a key");
    let key = made["api_key"].as_str().expect("its text");
    let agent = setting.agent(Era::Modern).with_credential(Some(key));
    let refused = whoami(&agent).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(refused.answer()["error"]["message"].as_str().is_some_and(|text| text.contains("member")));
    assert!(setting.protected.calls().is_empty(), "{LINEAR} was asked");
}
