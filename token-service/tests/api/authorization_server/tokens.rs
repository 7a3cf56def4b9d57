//! A20: revoking tokens and asking about them.

use reqwest::StatusCode;
use serde_json::json;

use super::stand::{Ask, DESKTOP, OPEN, SECRET, Stand, Tokens, VERIFIER, WEB_URI, basic, send};
use crate::browser::GATEWAY;
use crate::reply::Reply;

/// Ada signs in the client that has a secret.
async fn assistant(stand: &mut Stand) -> Tokens {
    let code = stand.code(&Ask::of("assistant", WEB_URI, OPEN)).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", WEB_URI),
        ("code_verifier", VERIFIER),
    ];
    Tokens::read(&as_assistant(stand, "/oauth/token", &form).await)
}

async fn as_assistant(stand: &Stand, path: &str, form: &[(&str, &str)]) -> Reply {
    send(stand.form(path, form).header("authorization", basic("assistant", SECRET))).await
}

#[tokio::test]
async fn a_client_learns_of_its_own_tokens_only() {
    let mut stand = Stand::start().await;
    let (own, other) = (assistant(&mut stand).await, stand.sign_in().await);
    let reply = as_assistant(&stand, "/oauth/introspect", &[("token", &own.access)]).await;
    let member = stand.service.member_id("core", "ada").await;
    let now = crate::harness::START.0 / 1000;
    assert_eq!(
        reply.body,
        json!({
            "active": true, "iss": GATEWAY, "aud": OPEN, "sub": member, "sid": own.session(), "client_id": "assistant",
            "scope": "mcp:read mcp:write", "token_type": "Bearer", "iat": now, "exp": now + 300,
        })
    );
    let reply = as_assistant(&stand, "/oauth/introspect", &[("token", &own.refresh)]).await;
    assert_eq!((&reply.body["active"], &reply.body["token_type"]), (&json!(true), &json!(null)));
    let (signed, signature) = own.access.rsplit_once('.').expect("three parts");
    let altered = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    let unsigned = format!("{signed}.");
    for (name, token) in [
        ("another client's access token", other.access.as_str()),
        ("another client's refresh token", &other.refresh),
        ("an altered one", &altered),
        ("one without a signature", &unsigned),
        ("nothing of ours", "x"),
        ("a code's shape", &"a".repeat(43)),
    ] {
        for hint in ["access_token", "refresh_token", "nonsense"] {
            let form = [("token", token), ("token_type_hint", hint)];
            let reply = as_assistant(&stand, "/oauth/introspect", &form).await;
            assert_eq!(
                (reply.status, reply.text.as_str()),
                (StatusCode::OK, r#"{"active":false}"#),
                "{name}"
            );
        }
    }
    stand.service.clock.advance(300_000);
    let reply = as_assistant(&stand, "/oauth/introspect", &[("token", &own.access)]).await;
    assert_eq!(reply.text, r#"{"active":false}"#, "it has expired");
    // A public client could be anybody.
    let form = [("token", other.access.as_str()), ("client_id", DESKTOP)];
    let reply = stand.post("/oauth/introspect", &form).await;
    assert_eq!((reply.status, &reply.body["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
}

#[tokio::test]
async fn revoking_either_token_ends_the_sign_in_of_the_client_itself_only() {
    let mut stand = Stand::start().await;
    let tokens = stand.sign_in().await;
    // Somebody else's is answered alike, and stays.
    for token in [tokens.access.as_str(), &tokens.refresh, "x"] {
        let reply = as_assistant(&stand, "/oauth/revoke", &[("token", token)]).await;
        assert_eq!((reply.status, reply.text.as_str()), (StatusCode::OK, ""));
    }
    assert_eq!(stand.lease(&tokens).await, "granted");
    let reply = stand.post("/oauth/revoke", &[("client_id", DESKTOP)]).await;
    assert_eq!(reply.body["error"], "invalid_request");
    let reply = stand.post("/oauth/revoke", &[("token", "x"), ("client_id", "nobody")]).await;
    assert_eq!(reply.body["error"], "invalid_client");
    for access in [true, false] {
        let tokens = stand.sign_in().await;
        let revision = stand.service.revision().await;
        let token = if access { &tokens.access } else { &tokens.refresh };
        let form = [("token", token.as_str()), ("client_id", DESKTOP), ("token_type_hint", "refresh_token")];
        let reply = stand.post("/oauth/revoke", &form).await;
        assert_eq!((reply.status, reply.text.as_str()), (StatusCode::OK, ""));
        assert_eq!(stand.lease(&tokens).await, "unknown_credential");
        assert_eq!(stand.refresh(&tokens.refresh).await.body["error"], "invalid_grant");
        let news = stand.service.watch("vm-1", revision).await.body;
        assert_eq!(news["invalidations"], json!([{"kind": "session", "id": tokens.session()}]));
        let reply = stand.post("/oauth/revoke", &form).await;
        assert_eq!(reply.status, StatusCode::OK, "once more");
    }
}
