//! The keys that sign, and who learns of them when.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike as _, ES256PublicKey, Ed25519PublicKey, EdDSAPublicKeyLike as _, NoCustomClaims,
    UnixTimeStamp, VerificationOptions,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::stand::{CONFIGURATION, Stand, Tokens, part};
use crate::browser::GATEWAY;
use crate::harness::{Directory, START, Service, contents};
use crate::provider::Provider;

const MINUTE: u64 = 60 * 1_000;

/// The gateway's own entry in what filters are told.
async fn entry(service: &Service) -> Value {
    let registry = service.watch("vm-1", 0).await.body["registry"].take();
    let issuers = registry["issuers"].as_array().expect("issuers").clone();
    issuers.into_iter().find(|issuer| issuer["issuer"] == GATEWAY).expect("the gateway")
}

fn ids(keys: &Value) -> Vec<String> {
    let id = |key: &Value| {
        key["kid"].as_str().or(key["key_id"].as_str()).or(key["id"].as_str()).expect("an id").to_owned()
    };
    keys.as_array().expect("keys").iter().map(id).collect()
}

fn states(reply: &Value) -> Vec<&str> {
    let keys = reply["signing_keys"].as_array().expect("keys");
    keys.iter().map(|key| key["state"].as_str().expect("a state")).collect()
}

/// Whether the key that filters have for a token verifies it.
fn verifies(entry: &Value, token: &str) -> bool {
    let header = part(token, 0);
    let keys = entry["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["key_id"] == header["kid"] && key["algorithm"] == header["alg"]);
    let Some(key) = key else { return false };
    let der = STANDARD.decode(key["spki"].as_str().expect("a key")).expect("Base64");
    let options = VerificationOptions {
        artificial_time: Some(UnixTimeStamp::from_secs(START.0 / 1000)),
        time_tolerance: Some(jwt_simple::prelude::Duration::from_days(1)),
        ..VerificationOptions::default()
    };
    if header["alg"] == "ES256" {
        let key = ES256PublicKey::from_der(&der).expect("a key");
        key.verify_token::<NoCustomClaims>(token, Some(options)).is_ok()
    } else {
        let key = Ed25519PublicKey::from_der(&der).expect("a key");
        key.verify_token::<NoCustomClaims>(token, Some(options)).is_ok()
    }
}

#[tokio::test]
async fn filters_get_the_gateway_as_an_issuer_of_its_own() {
    let mut stand = Stand::start().await;
    let mut found = entry(&stand.service).await;
    let keys = found["keys"].take();
    assert_eq!(
        found,
        json!({
            "issuer": GATEWAY, "audiences": [], "require_at_jwt": true, "accepts_resource": true, "introspected": false,
            "gateway": true, "keys": null,
        })
    );
    assert_eq!(ids(&keys), ids(&stand.get("/oauth/jwks").await.body["keys"]));
    let tokens = stand.sign_in().await;
    assert!(verifies(&entry(&stand.service).await, &tokens.access));
    let altered = tokens.access.replacen('.', ".e30", 1);
    assert!(!verifies(&entry(&stand.service).await, &altered));
}

#[tokio::test]
async fn a_new_key_is_known_before_it_signs_and_an_old_one_after() {
    let mut stand = Stand::start().await;
    let old = stand.sign_in().await;
    let revision = stand.service.revision().await;
    let rotated = stand.service.post("/v1/signing-keys/rotate", Value::Null).await;
    assert_eq!(states(&rotated.body), ["active", "published"]);
    let news = stand.service.watch("vm-1", revision).await.body;
    assert!(news["registry"].is_object(), "filters are told at once: {news}");
    let soon = stand.service.post("/v1/signing-keys/rotate", Value::Null).await;
    assert_eq!(soon.status, StatusCode::CONFLICT, "{}", soon.text);
    assert_eq!(stand.get("/oauth/jwks").await.body["keys"].as_array().map(Vec::len), Some(2));

    stand.service.clock.advance(10 * MINUTE - 1);
    let before = Tokens::read(&stand.refresh(&old.refresh).await);
    assert_eq!(part(&before.access, 0)["kid"], part(&old.access, 0)["kid"]);
    stand.service.clock.advance(1);
    let after = Tokens::read(&stand.refresh(&before.refresh).await);
    assert_ne!(part(&after.access, 0)["kid"], part(&old.access, 0)["kid"]);
    assert_eq!(states(&stand.service.get("/v1/signing-keys").await.body), ["retired", "active"]);
    let known = entry(&stand.service).await;
    assert!(verifies(&known, &before.access) && verifies(&known, &after.access));

    // Over a restart too, until nothing that it signed can be valid.
    stand.service.clock.advance(64 * MINUTE);
    let stand = stand.restarted().await;
    assert!(verifies(&entry(&stand.service).await, &before.access));
    stand.service.clock.advance(MINUTE);
    let shared = stand.service.shared();
    shared.keep_signing_keys().await.expect("keeps");
    assert_eq!(states(&stand.service.get("/v1/signing-keys").await.body), ["active"]);
    assert!(!verifies(&entry(&stand.service).await, &before.access));
}

#[tokio::test]
async fn keys_rotate_by_themselves_after_ninety_days() {
    let stand = Stand::start().await;
    let shared = stand.service.shared();
    stand.service.clock.advance(90 * 24 * 60 * MINUTE - 1);
    shared.keep_signing_keys().await.expect("keeps");
    assert_eq!(states(&stand.service.get("/v1/signing-keys").await.body), ["active"]);
    stand.service.clock.advance(1);
    for _ in 0..3 {
        shared.keep_signing_keys().await.expect("keeps");
        assert_eq!(states(&stand.service.get("/v1/signing-keys").await.body), ["active", "published"]);
    }
}

#[tokio::test]
async fn a_key_in_the_wrong_hands_is_replaced_at_once() {
    let mut stand = Stand::start().await;
    let old = stand.sign_in().await;
    let replaced = stand.service.post("/v1/signing-keys/rotate?replace=true", Value::Null).await;
    assert_eq!(states(&replaced.body), ["active"]);
    let known = entry(&stand.service).await;
    assert!(!verifies(&known, &old.access));
    let new = Tokens::read(&stand.refresh(&old.refresh).await);
    assert!(verifies(&known, &new.access));
    assert_eq!(stand.lease(&new).await, "granted", "the sign-in goes on");
}

#[tokio::test]
async fn another_algorithm_is_a_new_key() {
    let provider = Provider::start().await;
    let directory = Directory::new();
    directory.write("secret", super::stand::SECRET);
    directory.write("post-secret", super::stand::POST_SECRET);
    let declared = format!("{CONFIGURATION}{}", provider.configuration());
    let service = Service::start_in(directory, &declared).await.expect("starts");
    let directory = service.stop().await;
    let eddsa = declared.replacen("oauth:", "oauth:\n  signing_algorithm: EdDSA\n  access_token_ttl: 60s", 1);
    let service = Service::start_in(directory, &eddsa).await.expect("starts again");
    let mut stand = Stand::around(service, provider).await;
    assert_eq!(states(&stand.service.get("/v1/signing-keys").await.body), ["active", "published"]);
    stand.service.clock.advance(10 * MINUTE);
    let tokens = stand.sign_in().await;
    assert_eq!(part(&tokens.access, 0)["alg"], "EdDSA");
    assert_eq!(
        tokens.claims["exp"].as_u64().expect("a time") - tokens.claims["iat"].as_u64().expect("a time"),
        60
    );
    assert!(verifies(&entry(&stand.service).await, &tokens.access));
}

#[tokio::test]
async fn nothing_secret_is_kept_in_clear() {
    let mut stand = Stand::start().await;
    let code = stand.code(&super::stand::Ask::desktop()).await;
    let tokens = stand.sign_in().await;
    let next = Tokens::read(&stand.refresh(&tokens.refresh).await);
    let files = contents(stand.service.directory());
    for secret in [&code, &tokens.refresh, &next.refresh, &tokens.access] {
        for (name, content) in &files {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name} holds a secret");
        }
    }
}
