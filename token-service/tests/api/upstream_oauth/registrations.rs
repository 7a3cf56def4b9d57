//! O22, O23: what a provider answers when the gateway wants to become its client.

use serde_json::{Value, json};

use super::site::{Place, Spoilt};
use super::stand::{Input, Outcome, Stand};

/// O22
#[tokio::test]
async fn a_registration_is_what_was_asked_for() {
    let ours = "http://127.0.0.1:10000/callback/srv_0";
    let mut bad = vec![
        ("no client_id", Spoilt::Without("client_id")),
        ("no secret", Spoilt::Without("client_secret")),
        ("twice", Spoilt::json(201, r#"{"client_id":"a","client_id":"b","client_secret":"canary-s"}"#)),
        (
            "an error",
            Spoilt::json(400, r#"{"error":"invalid_client_metadata","error_description":"canary-x"}"#),
        ),
        ("busy", Spoilt::json(503, "{}")),
        ("a page", Spoilt::json(201, "<html>canary-page</html>")),
    ];
    for (member, values) in [
        (
            "redirect_uris",
            json!([[ours], ["https://evil.example/cb"], [], ours, null, [ours, "https://evil.example/cb"]]),
        ),
        ("client_id", json!(["", 7, null, "a\nb", "ä", "x".repeat(3000)])),
        ("client_secret", json!(["", 7, null, "canary-a\nb", "canary-ä", "x".repeat(3000)])),
        ("client_secret_expires_at", json!([1, 1_795_427_999_u64, "soon", -1])),
        (
            "token_endpoint_auth_method",
            json!(["client_secret_jwt", "private_key_jwt", "tls_client_auth", 7, ""]),
        ),
    ] {
        let values = values.as_array().expect("values").clone();
        bad.extend(values.into_iter().map(|value| (member, Spoilt::Member(member, value))));
    }
    let inputs = bad.into_iter().map(|(name, spoilt)| {
        let name = format!("{name} {spoilt:.60?}");
        Input::new("O22", name, Place::Register, spoilt, Outcome::NobodyLeaves)
    });
    Stand::start().await.hold(inputs.collect()).await;
}

/// O22
#[tokio::test]
async fn a_registration_is_believed_where_it_may_decide() {
    let good = [
        ("client_id", json!("client-of-another")),
        ("token_endpoint_auth_method", json!("none")),
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("token_endpoint_auth_method", Value::Null),
        ("client_secret_expires_at", json!(0)),
        ("client_secret_expires_at", json!(4_000_000_000_u64)),
        ("registration_client_uri", json!("https://127.0.0.1:{canary}/manage")),
        ("registration_access_token", json!("canary-registration-token")),
        ("logo_uri", json!("https://127.0.0.1:{canary}/logo")),
        ("redirect_uris", json!("left out")),
    ];
    let inputs = good.map(|(member, value)| {
        let name = format!("{member} {value}");
        let spoilt =
            if member == "redirect_uris" { Spoilt::Without(member) } else { Spoilt::Member(member, value) };
        Input::new("O22", name, Place::Register, spoilt, Outcome::Connected)
    });
    Stand::start().await.hold(inputs.into()).await;
}

/// O23: whoever refuses to register us is left alone for a minute, and whoever does is asked once.
#[tokio::test]
async fn nobody_makes_the_gateway_register_again_and_again() {
    let mut stand = Stand::start().await;
    let server = stand.register(json!({"type": "oauth"})).await;
    let no = Spoilt::json(400, r#"{"error":"invalid_client_metadata"}"#);
    stand.site.spoil(&server, Place::Register, no);
    for _ in 0..20 {
        assert_eq!(stand.connect(&server).await, Outcome::NobodyLeaves);
    }
    assert_eq!(stand.site.asked(&server, Place::Register).len(), 1, "within a minute");
    stand.site.behave(&server);
    stand.service.clock.advance(61_000);
    for _ in 0..5 {
        assert_eq!(stand.connect(&server).await, Outcome::Connected);
        // What was discovered is found out anew.
        stand.service.clock.advance(11 * 60_000);
    }
    assert_eq!(stand.site.asked(&server, Place::Register).len(), 2, "once it was let");
    assert!(stand.site.asked(&server, Place::Metadata).len() > 2);
}
