//! A4, A5: refresh tokens, retried, shared, stolen, and asked for more than they are good for.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::stand::{Ask, OPEN, Stand, Tokens, refreshing, send};

const GRACE: u64 = 30_000;

/// Refreshes, and is refused because two have the token: nothing of the sign-in is left.
async fn is_theft(stand: &Stand, token: &str, tokens: &Tokens) {
    let reply = stand.refresh(token).await;
    assert_eq!((reply.status, &reply.body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    assert_eq!(stand.lease(tokens).await, "unknown_credential");
    let entries = stand.service.get("/v1/audit?limit=1").await.body;
    let entry = &entries["entries"][0];
    assert_eq!((&entry["action"], &entry["object"]), (&json!("session.stolen"), &json!(tokens.session())));
}

#[tokio::test]
async fn each_is_good_once_and_the_next_goes_on() {
    let mut stand = Stand::start().await;
    let mut tokens = stand.sign_in().await;
    for _ in 0..5 {
        stand.service.clock.advance(290_000);
        let next = Tokens::read(&stand.refresh(&tokens.refresh).await);
        assert_eq!(next.session(), tokens.session());
        assert!(next.refresh != tokens.refresh && next.access != tokens.access);
        assert_eq!(stand.lease(&next).await, "granted");
        tokens = next;
    }
}

#[tokio::test]
async fn a_lost_answer_is_given_again_for_half_a_minute() {
    let mut stand = Stand::start().await;
    let tokens = stand.sign_in().await;
    let first = Tokens::read(&stand.refresh(&tokens.refresh).await);
    stand.service.clock.advance(GRACE - 1);
    let again = Tokens::read(&stand.refresh(&tokens.refresh).await);
    assert_eq!(again.refresh, first.refresh, "the very same");
    assert_ne!(again.access, first.access);
    Tokens::read(&stand.refresh(&first.refresh).await);
}

#[tokio::test]
async fn parallel_refreshes_are_not_punished() {
    let mut stand = Stand::start().await;
    let mut token = stand.sign_in().await.refresh;
    for count in [2, 10, 50] {
        let form = refreshing(&token);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..count {
            tasks.spawn(send(stand.form("/oauth/token", &form)));
        }
        let tokens: Vec<Tokens> = tasks.join_all().await.iter().map(Tokens::read).collect();
        let successors: BTreeSet<&str> = tokens.iter().map(|tokens| tokens.refresh.as_str()).collect();
        assert_eq!((tokens.len(), successors.len()), (count, 1), "all get the same");
        assert_eq!(stand.lease(&tokens[count - 1]).await, "granted");
        token = tokens[0].refresh.clone();
    }
}

#[tokio::test]
async fn one_that_is_used_after_the_grace_was_stolen() {
    let mut stand = Stand::start().await;
    let tokens = stand.sign_in().await;
    let next = Tokens::read(&stand.refresh(&tokens.refresh).await);
    stand.service.clock.advance(GRACE);
    is_theft(&stand, &tokens.refresh, &next).await;
    assert_eq!(stand.refresh(&next.refresh).await.body["error"], "invalid_grant");
}

#[tokio::test]
async fn one_whose_successor_is_in_use_was_stolen() {
    let mut stand = Stand::start().await;
    let tokens = stand.sign_in().await;
    let next = Tokens::read(&stand.refresh(&tokens.refresh).await);
    let last = Tokens::read(&stand.refresh(&next.refresh).await);
    is_theft(&stand, &tokens.refresh, &last).await;
    for token in [&next.refresh, &last.refresh] {
        assert_eq!(stand.refresh(token).await.body["error"], "invalid_grant");
    }
}

#[tokio::test]
async fn theft_is_remembered_over_a_restart() {
    let mut stand = Stand::start().await;
    let tokens = stand.sign_in().await;
    let next = Tokens::read(&stand.refresh(&tokens.refresh).await);
    let stand = stand.restarted().await;
    let again = Tokens::read(&stand.refresh(&tokens.refresh).await);
    assert_eq!(again.refresh, next.refresh, "a retry that a restart came between");
    stand.service.clock.advance(GRACE);
    let stand = stand.restarted().await;
    is_theft(&stand, &tokens.refresh, &next).await;
}

#[tokio::test]
async fn nothing_is_lost_when_keys_rotate() {
    let mut stand = Stand::start().await;
    let tokens = stand.sign_in().await;
    let rotated = stand.service.post("/v1/signing-keys/rotate", Value::Null).await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.text);
    stand.service.clock.advance(10 * 60 * 1_000);
    let stand = stand.restarted().await;
    let next = Tokens::read(&stand.refresh(&tokens.refresh).await);
    assert_eq!(stand.lease(&next).await, "granted");
    let again = Tokens::read(&stand.refresh(&tokens.refresh).await);
    assert_eq!(again.refresh, next.refresh);
}

#[tokio::test]
async fn no_more_than_was_allowed() {
    let mut stand = Stand::start().await;
    let everything = stand.sign_in().await;
    let reading = stand.sign_in_for(&Ask::desktop().with("scope", "mcp:read")).await;
    let with = |tokens: &Tokens, name: &'static str, value: &str| {
        let mut form: Vec<(String, String)> = refreshing(&tokens.refresh)
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        form.retain(|(found, _)| found != name);
        form.push((name.to_owned(), value.to_owned()));
        form
    };
    for (name, form, error) in [
        ("a broader scope", with(&reading, "scope", "mcp:read mcp:write"), "invalid_scope"),
        ("an unknown scope", with(&everything, "scope", "mcp:read admin"), "invalid_scope"),
        (
            "another resource",
            with(&everything, "resource", "http://127.0.0.1:10000/linear/mcp"),
            "invalid_target",
        ),
        (
            "another path to it",
            with(&everything, "resource", "http://127.0.0.1:10000/open/mcp"),
            "invalid_target",
        ),
        ("another client", with(&everything, "client_id", "https://client.example/c"), "invalid_grant"),
        ("a code", with(&everything, "refresh_token", "x"), "invalid_grant"),
        ("an access token", with(&everything, "refresh_token", &everything.access), "invalid_grant"),
    ] {
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let reply = stand.post("/oauth/token", &form).await;
        assert_eq!((reply.status, &reply.body["error"]), (StatusCode::BAD_REQUEST, &json!(error)), "{name}");
    }
    // Less can be asked for, and the next token is good for everything again.
    let form = with(&everything, "scope", "mcp:read");
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let reply = stand.post("/oauth/token", &form).await;
    assert_eq!(reply.body["scope"], "mcp:read");
    let narrowed = Tokens::read(&reply);
    assert_eq!(narrowed.claims["scope"], "mcp:read");
    let reply = stand.refresh(&narrowed.refresh).await;
    assert_eq!(reply.body["scope"], "mcp:read mcp:write");
    assert_eq!(Tokens::read(&reply).claims["aud"], OPEN);
}

#[tokio::test]
async fn a_client_that_sleeps_for_a_month_signs_in_again() {
    let mut stand = Stand::start().await;
    let tokens = stand.sign_in().await;
    stand.service.clock.advance(30 * 24 * 3_600 * 1_000 - 1);
    let tokens = Tokens::read(&stand.refresh(&tokens.refresh).await);
    stand.service.clock.advance(30 * 24 * 3_600 * 1_000);
    assert_eq!(stand.refresh(&tokens.refresh).await.body["error"], "invalid_grant");
    assert_eq!(stand.lease(&tokens).await, "expired_credential");
}
