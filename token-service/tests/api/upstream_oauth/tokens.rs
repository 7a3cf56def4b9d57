//! O19, O26, O30: what a token endpoint answers to a code. Renewals are in the tests of the broker.

use serde_json::{Value, json};

use super::site::{Place, Spoilt};
use super::stand::{Input, Outcome, Stand};
use crate::harness::LOG;

/// O19
#[tokio::test]
async fn tokens_are_read_strictly() {
    let raw = |text: &str| Spoilt::json(200, text);
    let long = format!("canary-{}", "x".repeat(16 * 1024));
    let huge = format!("canary-{}", "x".repeat(1024 * 1024));
    let mut bad = vec![
        ("no access_token", Spoilt::Without("access_token")),
        ("no token_type", Spoilt::Without("token_type")),
        (
            "access_token twice",
            raw(r#"{"access_token":"canary-a","access_token":"canary-b","token_type":"Bearer"}"#),
        ),
        ("scope twice", raw(r#"{"access_token":"canary-a","token_type":"Bearer","scope":"a","scope":"b"}"#)),
        ("created", Spoilt::json(201, r#"{"access_token":"canary-a","token_type":"Bearer"}"#)),
    ];
    for (member, values) in [
        (
            "access_token",
            json!(["", 7, null, [], "canary- a", "canary-a\r\nx: y", "canary-\u{0}", "canary-ä", long, huge]),
        ),
        ("refresh_token", json!([7, [], "canary-a\nb", "canary- a", "canary-ä", long])),
        ("token_type", json!(["mac", "DPoP", "", 7, null, ["Bearer"], "Bearer "])),
        ("expires_in", json!(["soon", true, [], {}, ""])),
        ("scope", json!([7, {}, [7]])),
    ] {
        let values = values.as_array().expect("values").clone();
        bad.extend(values.into_iter().map(|value| (member, Spoilt::Member(member, value))));
    }
    let inputs = bad.into_iter().map(|(name, spoilt)| {
        let name = format!("{name} {spoilt:.60?}");
        Input::new("O19", name, Place::Token, spoilt, Outcome::NothingConnected)
    });
    Stand::start().await.hold(inputs.collect()).await;
}

/// O19: what is odd and harmless.
#[tokio::test]
async fn odd_answers_with_good_tokens_are_taken() {
    let mut good = vec![("expires_in", Spoilt::Without("expires_in"))];
    for (member, values) in [
        ("expires_in", json!([0, -1, "3600", 3600.5, 1e18, null])),
        ("refresh_token", json!(["", null])),
        ("token_type", json!(["bearer", "BEARER"])),
        ("scope", json!(["read", "", null, ["read"], "read,write"])),
        ("id_token", json!([{}, "canary-id-token"])),
    ] {
        let values = values.as_array().expect("values").clone();
        good.extend(values.into_iter().map(|value| (member, Spoilt::Member(member, value))));
    }
    let inputs = good.into_iter().map(|(name, spoilt)| {
        Input::new("O19", format!("{name} {spoilt:?}"), Place::Token, spoilt, Outcome::Connected)
    });
    let mut stand = Stand::start().await;
    stand.hold(inputs.collect()).await;

    // More than was asked for is kept, because it is true, and an administrator hears of it.
    let server = stand.register(json!({"type": "oauth"})).await;
    stand.site.spoil(&server, Place::Token, Spoilt::Member("scope", "read admin".into()));
    assert_eq!(stand.connect(&server).await, Outcome::Connected);
    LOG.wait_for(|line| line.contains("more scopes than were asked for")).await;
}

/// O26, O30: whatever the provider says in place of tokens, the code is sent once, and none of its words are repeated.
#[tokio::test]
async fn errors_are_told_apart_and_not_repeated() {
    let told = |status, code: Value| {
        let body = json!({
            "error": code,
            "error_description": "canary-refresh-{name} and canary-code-55e1",
            "error_uri": "https://evil.example/canary-uri",
            "access_token": "canary-access-{name}",
            "token_type": "Bearer",
        });
        Spoilt::json(status, body.to_string())
    };
    let mut inputs = Vec::new();
    for status in [200, 400, 401, 403, 404, 429, 500, 503] {
        for code in [
            json!("invalid_grant"),
            json!("invalid_client"),
            json!("server_error"),
            json!("canary-x"),
            json!(7),
        ] {
            let name = format!("{status} {code}");
            inputs.push(Input::new("O26", name, Place::Token, told(status, code), Outcome::NothingConnected));
        }
        let page =
            Spoilt::Answer { status, headers: vec![("retry-after", "5".into())], body: "canary-page".into() };
        inputs.push(Input::new(
            "O30",
            format!("{status} page"),
            Place::Token,
            page,
            Outcome::NothingConnected,
        ));
    }
    Stand::start().await.hold(inputs).await;
}
