//! A2, A3, A18, A19, A24: the token endpoint, and who gets what for which code.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::stand::{
    Ask, DESKTOP, DESKTOP_URI, OPEN, POST_SECRET, SECRET, Stand, Tokens, VERIFIER, WEB_URI, basic, send,
};

/// The same form with one field otherwise; an empty value removes it.
fn changed<'a>(form: &[(&'static str, &'a str)], name: &str, value: &'a str) -> Vec<(&'static str, &'a str)> {
    let mut form = form.to_vec();
    for pair in &mut form {
        if pair.0 == name {
            pair.1 = value;
        }
    }
    form.retain(|(_, value)| !value.is_empty());
    form
}

#[tokio::test]
async fn a_code_is_for_one_client_one_address_one_program_and_one_resource() {
    let mut stand = Stand::start().await;
    let short = &VERIFIER[..42];
    let long = "a".repeat(129);
    for (name, field, value, error) in [
        ("A2 no verifier", "code_verifier", "", "invalid_grant"),
        (
            "A2 another verifier",
            "code_verifier",
            "a-verifier-of-somebody-else-which-is-long-enough",
            "invalid_grant",
        ),
        ("A2 a short verifier", "code_verifier", short, "invalid_grant"),
        ("A2 a long verifier", "code_verifier", long.as_str(), "invalid_grant"),
        ("A2 the challenge itself", "code_verifier", super::stand::CHALLENGE, "invalid_grant"),
        ("A3 another client", "client_id", "https://client.example/c", "invalid_grant"),
        ("A3 another redirect URI", "redirect_uri", "http://127.0.0.1:41235/cb", "invalid_grant"),
        ("A6 another resource", "resource", "http://127.0.0.1:10000/linear/mcp", "invalid_target"),
    ] {
        let code = stand.code(&Ask::desktop()).await;
        let good = stand.exchange(&code);
        let reply = stand.post("/oauth/token", &changed(&good, field, value)).await;
        assert_eq!((reply.status, &reply.body["error"]), (StatusCode::BAD_REQUEST, &json!(error)), "{name}");
        assert!(reply.body["access_token"].is_null(), "{name}");
        let second = stand.post("/oauth/token", &good).await;
        assert_eq!(second.body["error"], "invalid_grant", "{name}: there is no second try");
    }
    for (name, field) in
        [("no code", "code"), ("no redirect URI", "redirect_uri"), ("no grant type", "grant_type")]
    {
        let code = stand.code(&Ask::desktop()).await;
        let good = stand.exchange(&code);
        let reply = stand.post("/oauth/token", &changed(&good, field, "")).await;
        assert_eq!(reply.body["error"], "invalid_request", "{name}");
        Tokens::read(&stand.post("/oauth/token", &good).await);
    }
    let code = stand.code(&Ask::desktop()).await;
    let form = stand.exchange(&code);
    Tokens::read(&stand.post("/oauth/token", &changed(&form, "resource", "")).await);
}

#[tokio::test]
async fn a_code_is_good_once_and_for_a_minute() {
    let mut stand = Stand::start().await;
    let code = stand.code(&Ask::desktop()).await;
    stand.service.clock.advance(60_000);
    let late = stand.post("/oauth/token", &stand.exchange(&code)).await;
    assert_eq!(late.body["error"], "invalid_grant");

    let code = stand.code(&Ask::desktop()).await;
    stand.service.clock.advance(59_999);
    let tokens = Tokens::read(&stand.post("/oauth/token", &stand.exchange(&code)).await);
    assert_eq!(stand.lease(&tokens).await, "granted");
    // Whoever has the code a second time: what came of it ends.
    let again = stand.post("/oauth/token", &stand.exchange(&code)).await;
    assert_eq!(again.body["error"], "invalid_grant");
    assert_eq!(stand.lease(&tokens).await, "unknown_credential");
    assert_eq!(stand.refresh(&tokens.refresh).await.body["error"], "invalid_grant");
}

#[tokio::test]
async fn of_fifty_redemptions_one_gets_tokens() {
    let mut stand = Stand::start().await;
    let code = stand.code(&Ask::desktop()).await;
    let form = stand.exchange(&code);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        tasks.spawn(send(stand.form("/oauth/token", &form)));
    }
    let replies = tasks.join_all().await;
    let good: Vec<_> = replies.iter().filter(|reply| reply.status == StatusCode::OK).collect();
    assert_eq!(good.len(), 1);
    assert!(
        replies.iter().all(|reply| reply.status == StatusCode::OK || reply.body["error"] == "invalid_grant")
    );
    assert_eq!(stand.lease(&Tokens::read(good[0])).await, "unknown_credential", "two had the code");
}

#[tokio::test]
async fn a_code_made_up_is_nobodys() {
    let stand = Stand::start().await;
    for code in ["x", "pcr_x", &"a".repeat(43), &"é".repeat(1_000)] {
        let reply = stand.post("/oauth/token", &stand.exchange(code)).await;
        assert_eq!((reply.status, &reply.body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    }
}

#[tokio::test]
async fn somebody_who_may_no_longer_use_the_server_gets_nothing() {
    let mut stand = Stand::start().await;
    let code = stand.code(&Ask::desktop()).await;
    stand.service.put("/v1/policies/workspace:core/open", json!({"enabled": false})).await;
    let reply = stand.post("/oauth/token", &stand.exchange(&code)).await;
    assert_eq!(reply.body["error"], "invalid_grant");
    stand.service.delete("/v1/policies/workspace:core/open").await;
    let tokens = stand.sign_in().await;
    stand.service.put("/v1/policies/workspace:core/open", json!({"enabled": false})).await;
    assert_eq!(stand.refresh(&tokens.refresh).await.body["error"], "invalid_grant");
    assert_eq!(stand.lease(&tokens).await, "unknown_server");
}

#[tokio::test]
async fn a_client_authenticates_as_it_is_registered_and_in_no_other_way() {
    let mut stand = Stand::start().await;
    let ask = Ask::of("assistant", WEB_URI, OPEN);
    let code = stand.code(&ask).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", WEB_URI),
        ("code_verifier", VERIFIER),
    ];
    let with = |more: &[(&'static str, &'static str)]| [form.as_slice(), more].concat();
    let as_header = |value: String, form: &[(&str, &str)]| {
        send(stand.form("/oauth/token", form).header("authorization", value))
    };
    let good = basic("assistant", SECRET);
    for (name, reply, status, error) in [
        (
            "no secret",
            stand.post("/oauth/token", &with(&[("client_id", "assistant")])).await,
            401,
            "invalid_client",
        ),
        (
            "in the body",
            stand.post("/oauth/token", &with(&[("client_id", "assistant"), ("client_secret", SECRET)])).await,
            401,
            "invalid_client",
        ),
        ("both", as_header(good.clone(), &with(&[("client_secret", SECRET)])).await, 400, "invalid_request"),
        (
            "an empty secret besides",
            as_header(good.clone(), &with(&[("client_secret", "")])).await,
            400,
            "invalid_request",
        ),
        (
            "another client besides",
            as_header(good.clone(), &with(&[("client_id", "desktop")])).await,
            400,
            "invalid_request",
        ),
        ("an empty secret", as_header(basic("assistant", ""), &form).await, 401, "invalid_client"),
        ("a wrong secret", as_header(basic("assistant", &SECRET[1..]), &form).await, 401, "invalid_client"),
        (
            "a longer secret",
            as_header(basic("assistant", &format!("{SECRET}x")), &form).await,
            401,
            "invalid_client",
        ),
        ("another's secret", as_header(basic("assistant", POST_SECRET), &form).await, 401, "invalid_client"),
        ("nobody", as_header(basic("nobody", SECRET), &form).await, 401, "invalid_client"),
        (
            "a bearer",
            as_header("Bearer x".to_owned(), &with(&[("client_id", "assistant")])).await,
            401,
            "invalid_client",
        ),
        (
            "an assertion",
            stand.post("/oauth/token", &with(&[("client_id", "assistant"), ("client_assertion", "x")])).await,
            401,
            "invalid_client",
        ),
        (
            "a public client with a secret",
            stand.post("/oauth/token", &with(&[("client_id", DESKTOP), ("client_secret", "x")])).await,
            401,
            "invalid_client",
        ),
        ("no client", stand.post("/oauth/token", &form).await, 400, "invalid_request"),
    ] {
        assert_eq!(
            (reply.status.as_u16(), &reply.body["error"]),
            (status, &json!(error)),
            "{name}: {}",
            reply.text
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{name}");
    }
    let refused = as_header(basic("assistant", "x"), &form).await;
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"portcullis\""));
    // None of that used the code up: nobody had shown who they are.
    Tokens::read(&as_header(good, &form).await);

    let poster = Ask::of("poster", "https://poster.example/cb", OPEN);
    let code = stand.code(&poster).await;
    let mut form = stand.exchange(&code);
    form.retain(|(name, _)| !["client_id", "redirect_uri"].contains(name));
    form.extend([("client_id", "poster"), ("redirect_uri", "https://poster.example/cb")]);
    let header =
        send(stand.form("/oauth/token", &form).header("authorization", basic("poster", POST_SECRET))).await;
    assert_eq!(header.body["error"], "invalid_client", "registered for the body");
    form.push(("client_secret", POST_SECRET));
    Tokens::read(&stand.post("/oauth/token", &form).await);
    stand.no_secret_was_logged(&[SECRET, POST_SECRET]);
}

#[tokio::test]
async fn only_a_form_is_read_and_only_from_the_body() {
    let mut stand = Stand::start().await;
    let code = stand.code(&Ask::desktop()).await;
    let form = stand.exchange(&code);
    let query = crate::browser::encoded(&form);
    let object: serde_json::Map<_, _> =
        form.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let cases = [
        ("JSON", send(stand.request(Method::POST, "/oauth/token").json(&object)).await, 400),
        ("a query", stand.post(&format!("/oauth/token?{query}"), &[]).await, 400),
        ("a form and a query", stand.post("/oauth/token?x=1", &form).await, 400),
        (
            "text",
            send(
                stand
                    .request(Method::POST, "/oauth/token")
                    .header("content-type", "text/plain")
                    .body(query.clone()),
            )
            .await,
            400,
        ),
        ("no type", send(stand.request(Method::POST, "/oauth/token").body(query.clone())).await, 400),
        (
            "A17 a field twice",
            stand.post("/oauth/token", &[form.as_slice(), &[("code", "x")]].concat()).await,
            400,
        ),
        (
            "A17 two resources",
            stand.post("/oauth/token", &[form.as_slice(), &[("resource", OPEN)]].concat()).await,
            400,
        ),
        ("GET", stand.get(&format!("/oauth/token?{query}")).await, 405),
        ("far too much", stand.post("/oauth/token", &[("x", "x".repeat(20_000).as_str())]).await, 413),
    ];
    for (name, reply, status) in cases {
        assert_eq!(reply.status.as_u16(), status, "{name}: {}", reply.text);
        assert!(reply.body["access_token"].is_null(), "{name}");
        if status == 400 {
            assert_eq!(reply.body["error"], "invalid_request", "{name}");
        }
    }
    Tokens::read(&stand.post("/oauth/token", &form).await);
}

#[tokio::test]
async fn other_grants_are_off() {
    let stand = Stand::start().await;
    for grant in [
        "client_credentials",
        "password",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:device_code",
        "implicit",
        "AUTHORIZATION_CODE",
    ] {
        let form = [
            ("grant_type", grant),
            ("client_id", DESKTOP),
            ("assertion", "x"),
            ("redirect_uri", DESKTOP_URI),
        ];
        let reply = stand.post("/oauth/token", &form).await;
        assert_eq!(
            (reply.status, &reply.body["error"]),
            (StatusCode::BAD_REQUEST, &json!("unsupported_grant_type"))
        );
    }
}
