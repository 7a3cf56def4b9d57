//! Credentials that all members share: fetched by the gateway itself or entered by an administrator, and the log still
//! names the human.

use std::time::Duration;

use jwt_simple::prelude::ES256KeyPair;
use portcullis_tests::mcp::Era;
use portcullis_tests::provider::clients::{Authentication, Client};
use portcullis_tests::provider::faults::{Endpoint, Fault};
use portcullis_tests::provider::shape::Shape;
use portcullis_tests::seed;
use portcullis_tests::stack::{SCRIPTED, SCRIPTED_KEY, Stack};
use serde_json::{Value, json};

use super::{LINEAR, Setting, account_of, whoami};

const SECRET: &str = "machine-secret-71";

/// How the gateway shows that it is its own client: what the provider knows, and what the administrator enters.
fn ways() -> [(Authentication, Value); 3] {
    let pair = ES256KeyPair::generate();
    let public = pair.public_key().to_pem().expect("PEM");
    let private = pair.to_pem().expect("PEM");
    [
        (
            Authentication::SecretBasic(SECRET.into()),
            json!({"secret": SECRET, "method": "client_secret_basic"}),
        ),
        (
            Authentication::SecretPost(SECRET.into()),
            json!({"secret": SECRET, "method": "client_secret_post"}),
        ),
        (Authentication::PrivateKeyJwt(public), json!({"private_key": private, "method": "private_key_jwt"})),
    ]
}

#[tokio::test]
async fn members_share_the_token_of_client_credentials() {
    for (authentication, mut client) in ways() {
        let method = authentication.as_str();
        client["id"] = "gateway".into();
        let auth = json!({"type": "client_credentials", "client": client});
        let shape = Shape::machines(Client::machine("gateway", authentication));
        let setting = Setting::with(shape, auth).await;
        let (ada, grace) = (setting.agent(Era::Modern), setting.graces_agent(Era::Modern));
        let (one, other) = tokio::join!(whoami(&ada), whoami(&grace));
        assert_eq!((account_of(&one), account_of(&other)), ("gateway".into(), "gateway".into()), "{method}");
        for _ in 0..3 {
            assert_eq!(account_of(&whoami(&ada).await), "gateway");
        }
        let requests = setting.provider.ledger.token_requests();
        assert_eq!((requests.len(), requests[0].authentication), (1, method), "one for everybody");
        assert_eq!(requests[0].parameters.get("resource"), Some(&*setting.protected.url()));
        let log = &setting.stack.envoy.access_log;
        assert_eq!(log.record_of(one.request_id()).await["caller_name"], "Ada Lovelace");
        assert_eq!(log.record_of(other.request_id()).await["caller_name"], "Grace Hopper");

        // A token that the server no longer takes is fetched again, once, and the call succeeds.
        setting.provider.expire_access_tokens();
        assert_eq!(account_of(&whoami(&ada).await), "gateway", "{method}");
        assert_eq!(account_of(&whoami(&grace).await), "gateway", "{method}");
        assert_eq!(setting.provider.ledger.requests_of("client_credentials").len(), 2, "{method}");
    }
}

#[tokio::test]
async fn a_changed_header_is_sent_with_the_next_call_of_the_same_client() {
    const CHANGED: &str = "scripted-upstream-key-changed-2f";
    let stack = Stack::start().await;
    let agent = stack.agent(SCRIPTED, Era::Modern);
    let sent = async || {
        let (reply, value) = tokio::join!(agent.call_tool("allowed", json!({})), async {
            let asked = stack.scripted.next_request().await;
            let value = asked.request.header("x-api-key").join(", ");
            asked
                .json(
                    &json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}}),
                )
                .await;
            value
        });
        assert_eq!(reply.status, 200, "{reply:?}");
        value
    };
    assert_eq!(sent().await, SCRIPTED_KEY);
    let change = json!({"auth": seed::headers(&[("x-api-key", CHANGED)])});
    stack.admin().patch("/v1/servers/scripted?wait=applied", change).await.expect("a change");
    assert_eq!(sent().await, CHANGED);

    // Another header takes its place, and nothing is left of the first.
    let change = json!({"auth": seed::headers(&[("authorization", &format!("Bearer {CHANGED}"))])});
    stack.admin().patch("/v1/servers/scripted?wait=applied", change).await.expect("a change");
    assert_eq!(sent().await, "");
    let last = stack.scripted.journal.entries().pop().expect("a request");
    assert_eq!(last.header("authorization"), [format!("Bearer {CHANGED}")]);
    let shown = stack.admin().get("/v1/servers/scripted").await.expect("a server").to_string();
    assert!(!shown.contains(CHANGED) && !shown.contains(SCRIPTED_KEY), "{shown}");
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
