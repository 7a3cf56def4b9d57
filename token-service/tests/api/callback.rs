//! Coming back from the provider: every check is before the redemption.

use reqwest::StatusCode;
use serde_json::json;

use crate::browser::{Browser, Departure, GATEWAY, encoded};
use crate::connect_link::join_all;
use crate::harness::{LOG, Service, contents};
use crate::provider::{ACCESS_TOKEN, Answer, Provider, REFRESH_TOKEN};

struct Away {
    provider: Provider,
    service: Service,
    ada: Browser,
    departure: Departure,
    /// The id of the server `linear`.
    server: String,
}

/// Ada has left for the provider of `linear`.
async fn away() -> Away {
    away_with(Provider::start().await).await
}

async fn away_with(provider: Provider) -> Away {
    let service = Service::start(&provider.configuration()).await;
    let link = service.connect_link("core", "ada", "linear", None).await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let departure = ada.agree(&link).await;
    let server = service.server_id("linear").await;
    Away { provider, service, ada, departure, server }
}

impl Away {
    fn callback(&self) -> String {
        self.departure.callback(&self.server, &self.provider.url)
    }

    /// Nothing was redeemed, and nothing is connected.
    async fn nothing_happened(&mut self) {
        assert_eq!(self.provider.token_requests(), []);
        let page = Browser::signed_in(&self.service, "Ada Lovelace").await.get("/connections").await;
        assert!(!page.text.contains("class=\"state on\""), "{}", page.text);
    }
}

#[tokio::test]
async fn a_code_becomes_a_connection() {
    let mut away = away().await;
    let reply = away.ada.get(&away.callback()).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
    assert!(!away.ada.cookies.keys().any(|name| name.starts_with("portcullis-flow-")));
    let location = reply.header("location").expect("a location").to_owned();
    let page = away.ada.get(&location).await;
    assert_eq!(page.status, StatusCode::OK);
    for expected in ["Linear is connected", "Core team", "Keep", "Disconnect", "<code>read</code>"] {
        assert!(page.text.contains(expected), "{expected} is missing in {}", page.text);
    }
    let requests = away.provider.token_requests();
    assert_eq!(requests.len(), 1);
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "canary-code-55e1"),
        ("redirect_uri", &format!("{GATEWAY}/callback/{}", away.server)),
        ("resource", &format!("{}/linear", away.provider.url)),
        ("client_id", "portcullis-client"),
    ] {
        assert_eq!(requests[0].get(name).map(String::as_str), Some(value), "{name}");
    }
    let challenge = away.departure.parameter("code_challenge").expect("a challenge");
    assert_eq!(s256(&requests[0]["code_verifier"]), challenge);
    let entry = away.service.get("/v1/audit").await;
    assert!(entry.text.contains("connection.connect") && entry.text.contains("\"person\""), "{}", entry.text);
}

/// RFC 7636, section 4.2.
fn s256(verifier: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier))
}

#[tokio::test]
async fn of_fifty_callbacks_one_redeems() {
    let away = away().await;
    let (ada, callback) = (away.ada.clone(), away.callback());
    let answers = (0..50).map(|_| {
        let (mut browser, callback) = (ada.clone(), callback.clone());
        async move { browser.get(&callback).await.status }
    });
    let answers = join_all(answers).await;
    let count = |wanted| answers.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(StatusCode::SEE_OTHER), count(StatusCode::BAD_REQUEST)), (1, 49), "{answers:?}");
    assert_eq!(away.provider.token_requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for() {
    let mut away = away().await;
    let path = format!("/callback/{}", away.server);
    let (state, iss) = (away.departure.state.clone(), away.provider.url.clone());
    for query in [
        String::new(),
        encoded(&[("code", "c"), ("iss", &iss)]),
        encoded(&[("code", "c"), ("state", ""), ("iss", &iss)]),
        encoded(&[("code", "c"), ("state", "unknown"), ("iss", &iss)]),
        encoded(&[("code", "c"), ("state", &state.to_lowercase()), ("iss", &iss)]),
        encoded(&[("code", "c"), ("code", "d"), ("state", &state), ("iss", &iss)]),
        encoded(&[("code", "c"), ("state", &state), ("state", &state), ("iss", &iss)]),
        encoded(&[("code", "c"), ("state", &state), ("iss", &iss), ("iss", &iss)]),
    ] {
        let reply = away.ada.get(&format!("{path}?{query}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(reply.text.contains("Incident "), "{}", reply.text);
    }
    away.nothing_happened().await;
}

#[tokio::test]
async fn an_answer_that_comes_too_late() {
    let mut away = away().await;
    away.service.clock.advance(10 * 60_000);
    let reply = away.ada.get(&away.callback()).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.text.contains("took longer than ten minutes"), "{}", reply.text);
    away.nothing_happened().await;
}

#[tokio::test]
async fn an_answer_on_the_path_of_another_server() {
    let mut away = away().await;
    let notion = away.service.server_id("notion").await;
    let reply = away.ada.get(&away.departure.callback(&notion, &away.provider.url)).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.text.contains("comes from the wrong place"), "{}", reply.text);
    // It is used up all the same.
    assert_eq!(away.ada.get(&away.callback()).await.status, StatusCode::BAD_REQUEST);
    away.nothing_happened().await;
}

#[tokio::test]
async fn an_answer_in_another_browser() {
    for tamper in [
        |browser: &mut Browser, name: &str| drop(browser.cookies.remove(name)),
        |browser: &mut Browser, name: &str| drop(browser.cookies.insert(name.to_owned(), "wrong".into())),
    ] {
        let mut away = away().await;
        let name = away
            .ada
            .cookies
            .keys()
            .find(|name| name.starts_with("portcullis-flow-"))
            .expect("a cookie")
            .clone();
        tamper(&mut away.ada, &name);
        let reply = away.ada.get(&away.callback()).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert!(reply.text.contains("not begun in this browser"), "{}", reply.text);
        away.nothing_happened().await;
        let audit = away.service.get("/v1/audit").await;
        assert!(audit.text.contains("connect.wrong_browser"), "{}", audit.text);
    }
}

#[tokio::test]
async fn an_answer_that_another_persons_flow_was_waiting_for() {
    let mut away = away().await;
    // Eve lures Ada's browser, signed in and all, to the end of a flow of her own.
    let mut eve = Browser::signed_in(&away.service, "Eve Mallory").await;
    let link = away.service.connect_link("core", "eve", "linear", None).await;
    let eves = eve.agree(&link).await;
    let reply = away.ada.get(&eves.callback(&away.server, &away.provider.url)).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    away.nothing_happened().await;
}

#[tokio::test]
async fn an_answer_after_signing_out_or_as_somebody_else() {
    for who in [None, Some("Eve Mallory"), Some("Ada Lovelace")] {
        let mut away = away().await;
        match who {
            Some(name) => drop(away.ada.sign_in(name, "/connections").await),
            None => drop(away.ada.cookies.remove("portcullis-session")),
        }
        let reply = away.ada.get(&away.callback()).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{who:?}");
        assert!(reply.text.contains("signed in or out in between"), "{}", reply.text);
        away.nothing_happened().await;
    }
}

#[tokio::test]
async fn an_answer_for_somebody_who_may_no_longer_use_the_server() {
    let mut away = away().await;
    let workspace = away.service.get("/v1/workspaces/core").await.id();
    away.service.put(&format!("/v1/policies/workspace:{workspace}/linear"), json!({"enabled": false})).await;
    assert_eq!(away.ada.get(&away.callback()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(away.provider.token_requests(), []);
}

#[tokio::test]
async fn an_answer_of_another_provider() {
    for wrong in ["https://evil.example", "TRAILING/", "UPPER", ""] {
        let mut away = away().await;
        let ours = away.provider.url.clone();
        let issuer = wrong.replace("TRAILING", &ours).replace("UPPER", &ours.to_uppercase());
        let reply = away.ada.come_back(&away.server, &away.departure, &issuer).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{issuer}");
        assert!(reply.text.contains("comes from the wrong place"), "{}", reply.text);
        away.nothing_happened().await;
    }
    // Promised and left out; and an error is not believed either.
    for result in [("code", "c"), ("error", "access_denied")] {
        let mut away = away().await;
        let query = encoded(&[result, ("state", &away.departure.state)]);
        let reply = away.ada.get(&format!("/callback/{}?{query}", away.server)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert!(reply.text.contains("comes from the wrong place"), "{}", reply.text);
        away.nothing_happened().await;
    }
}

#[tokio::test]
async fn a_provider_that_promises_no_name_need_not_give_one() {
    let mut away = away_with(Provider::start_with(false).await).await;
    let query = encoded(&[("code", "c"), ("state", &away.departure.state)]);
    let reply = away.ada.get(&format!("/callback/{}?{query}", away.server)).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
}

#[tokio::test]
async fn the_provider_says_no() {
    for (error, status, text) in [
        ("access_denied", StatusCode::BAD_REQUEST, "did not allow it"),
        ("invalid_scope", StatusCode::BAD_REQUEST, "The provider refused"),
        ("temporarily_unavailable", StatusCode::BAD_GATEWAY, "The provider does not answer"),
        ("<script>alert(1)</script>", StatusCode::BAD_REQUEST, "The provider refused"),
    ] {
        let mut away = away().await;
        let description = "canary-description-11";
        let query = encoded(&[
            ("error", error),
            ("error_description", description),
            ("state", &away.departure.state),
            ("iss", &away.provider.url),
        ]);
        let reply = away.ada.get(&format!("/callback/{}?{query}", away.server)).await;
        assert_eq!(reply.status, status, "{error}");
        assert!(reply.text.contains(text), "{}", reply.text);
        assert!(!reply.text.contains(description) && !reply.text.contains("script"), "{}", reply.text);
        away.nothing_happened().await;
    }
}

#[tokio::test]
async fn the_token_endpoint_says_no() {
    for (answer, status) in [
        (Answer::Other(400, json!({"error": "invalid_grant"})), StatusCode::BAD_REQUEST),
        // The client that the gateway registered is no more; the next link is with another.
        (Answer::Other(401, json!({"error": "invalid_client"})), StatusCode::CONFLICT),
        (Answer::Other(503, json!("busy")), StatusCode::BAD_GATEWAY),
        (
            Answer::Other(200, json!({"access_token": "t", "token_type": "mac"})),
            StatusCode::SERVICE_UNAVAILABLE,
        ),
    ] {
        let mut away = away().await;
        away.provider.answer(answer.clone());
        let reply = away.ada.get(&away.callback()).await;
        assert_eq!(reply.status, status, "{answer:?} {}", reply.text);
        // One code, one try.
        assert_eq!(away.provider.token_requests().len(), 1);
        assert_eq!(away.ada.get(&away.callback()).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(away.provider.token_requests().len(), 1);
        let page = away.ada.get("/connections").await;
        assert!(!page.text.contains("class=\"state on\""), "{}", page.text);
    }
}

#[tokio::test]
async fn scopes_are_those_that_were_granted() {
    let mut away = away().await;
    away.provider.answer(Answer::TokensWithScope("read write admin"));
    away.ada.get(&away.callback()).await;
    let page = away.ada.get("/connections").await;
    assert!(page.text.contains("<code>admin</code>"), "{}", page.text);
    LOG.wait_for(|line| line.contains("more scopes than were asked for")).await;
}

#[tokio::test]
async fn no_secret_of_the_way_is_logged_or_kept() {
    let mut away = away().await;
    let callback = away.callback();
    let cookies: Vec<String> = away.ada.cookies.values().cloned().collect();
    let reply = away.ada.get(&callback).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    let verifier = away.provider.token_requests()[0]["code_verifier"].clone();
    let mut secrets = cookies;
    secrets.extend([away.departure.state.clone(), verifier, "canary-code-55e1".into()]);
    secrets.extend([ACCESS_TOKEN.into(), REFRESH_TOKEN.into()]);
    let log = LOG.text();
    for secret in &secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    let directory = away.service.stop().await;
    for (file, content) in contents(&directory) {
        for secret in &secrets {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {file}");
        }
    }
}
