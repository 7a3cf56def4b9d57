//! A1, A2, A6, A16, A17: requests that are not as they should be.

use reqwest::StatusCode;
use url::Url;

use super::stand::{Ask, CHALLENGE, OPEN, Stand, WEB_URI, parameter};
use crate::browser::{Browser, GATEWAY};

/// The tricks of the unit tests of redirect URIs.
const TRICKS: &str = include_str!("../../../src/domain/redirect_uri/tricks.txt");

/// Nobody is sent anywhere: a page of ours, with an incident.
async fn is_a_page(stand: &mut Stand, ask: &Ask) {
    let reply = stand.ada.get(&ask.path()).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", ask.path());
    assert_eq!(reply.header("location"), None, "{}", ask.path());
    assert!(reply.text.contains("Incident ") && !reply.text.contains("http-equiv"), "{}", reply.text);
    assert!(!reply.text.contains("evil.example"), "{}", reply.text);
}

#[tokio::test]
async fn redirect_uris_that_are_not_registered() {
    let mut stand = Stand::start().await;
    for (client, good) in [("desktop", "http://127.0.0.1:41234/cb"), ("assistant", WEB_URI)] {
        let host = Url::parse(good).expect("a URL").host_str().expect("a host").to_owned();
        for trick in TRICKS.lines().filter(|line| !line.starts_with("##")) {
            let given = trick.replace("<TAB>", "\t").replace("<LF>", "\n").replace("<CR>", "\r");
            let given = given.replace("<NUL>", "\0").replace("{good}", good).replace("{host}", &host);
            is_a_page(&mut stand, &Ask::of(client, &given, OPEN)).await;
        }
    }
    for given in
        ["https://assistant.example/cb", "https://assistant.example/cb?tenant=2", "https://poster.example/cb"]
    {
        is_a_page(&mut stand, &Ask::of("assistant", given, OPEN)).await;
    }
}

#[tokio::test]
async fn the_port_of_a_loopback_address_is_free() {
    let mut stand = Stand::start().await;
    for good in [
        "http://127.0.0.1/cb",
        "http://127.0.0.1:1/cb",
        "http://127.0.0.1:65535/cb",
        "com.example.desktop:/cb",
    ] {
        let back = stand.allow(&Ask::of("desktop", good, OPEN)).await;
        assert!(back.as_str().starts_with(&format!("{good}?code=")), "{back}");
    }
}

#[tokio::test]
async fn clients_that_nobody_knows() {
    let mut stand = Stand::start().await;
    for id in [
        "nobody",
        "dyn_00000000000000000000000000000000",
        "DESKTOP",
        "desktop ",
        "javascript:x",
        "http://a.example/c",
    ] {
        is_a_page(&mut stand, &Ask::of(id, "http://127.0.0.1:1/cb", OPEN)).await;
    }
    let good = Ask::desktop();
    for ask in [
        good.without("client_id"),
        good.without("redirect_uri"),
        good.with("client_id", ""),
        good.and("client_id", "desktop"),
        good.and("redirect_uri", "https://evil.example/cb"),
        good.with("client_id", &"a".repeat(5_000)),
    ] {
        is_a_page(&mut stand, &ask).await;
    }
}

#[tokio::test]
async fn everything_else_goes_back_to_the_client() {
    let mut stand = Stand::start().await;
    let good = Ask::desktop();
    // Each of them is two characters once it is written down.
    let long = "\"".repeat(1_024);
    let cases = [
        ("A2 without PKCE", good.without("code_challenge"), "invalid_request"),
        ("A2 without a method", good.without("code_challenge_method"), "invalid_request"),
        ("A2 plain", good.with("code_challenge_method", "plain"), "invalid_request"),
        ("A2 an empty challenge", good.with("code_challenge", ""), "invalid_request"),
        ("A2 a short challenge", good.with("code_challenge", &CHALLENGE[1..]), "invalid_request"),
        ("A2 another alphabet", good.with("code_challenge", &CHALLENGE.replace('-', "+")), "invalid_request"),
        ("A6 no resource", good.without("resource"), "invalid_target"),
        ("A6 an empty resource", good.with("resource", ""), "invalid_target"),
        ("A6 two resources", good.and("resource", "http://127.0.0.1:10000/linear/mcp"), "invalid_target"),
        ("A6 another gateway", good.with("resource", "https://other.example/open/mcp"), "invalid_target"),
        ("A6 the gateway itself", good.with("resource", GATEWAY), "invalid_target"),
        ("A6 another spelling", good.with("resource", &format!("{OPEN}/")), "invalid_target"),
        ("A6 a page of ours", good.with("resource", &format!("{GATEWAY}/oauth/mcp")), "invalid_target"),
        ("A16 prompt=none", good.with("prompt", "none"), "interaction_required"),
        ("A16 prompt=login", good.with("prompt", "login"), "invalid_request"),
        ("A16 prompt=consent none", good.with("prompt", "consent none"), "invalid_request"),
        ("A16 max_age", good.with("max_age", "0"), "invalid_request"),
        ("A16 login_hint", good.with("login_hint", "ada"), "invalid_request"),
        ("A16 acr_values", good.with("acr_values", "1"), "invalid_request"),
        ("A16 request", good.with("request", "e30.e30."), "invalid_request"),
        ("A16 request_uri", good.with("request_uri", &stand.provider.url), "invalid_request"),
        ("A16 claims", good.with("claims", "{}"), "invalid_request"),
        ("A16 id_token_hint", good.with("id_token_hint", "x"), "invalid_request"),
        ("A16 form_post", good.with("response_mode", "form_post"), "invalid_request"),
        ("A16 fragment", good.with("response_mode", "fragment"), "invalid_request"),
        ("A16 web_message", good.with("response_mode", "web_message"), "invalid_request"),
        ("A16 token", good.with("response_type", "token"), "unsupported_response_type"),
        ("A16 code token", good.with("response_type", "code token"), "unsupported_response_type"),
        ("A16 no response_type", good.without("response_type"), "invalid_request"),
        ("A17 response_type twice", good.and("response_type", "code"), "invalid_request"),
        ("A17 code_challenge twice", good.and("code_challenge", CHALLENGE), "invalid_request"),
        ("A17 scope twice", good.and("scope", "mcp:read").and("scope", "mcp:read"), "invalid_request"),
        ("A17 an unknown one twice", good.and("x", "1").and("x", "2"), "invalid_request"),
        ("a scope that there is not", good.with("scope", "mcp:read admin"), "invalid_scope"),
        ("writing without reading", good.with("scope", "mcp:write"), "invalid_scope"),
        ("too much of everything", good.with("state", &long), "invalid_request"),
    ];
    for (name, ask, expected) in cases {
        let reply = stand.ada.get(&ask.path()).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{name}");
        let back = Url::parse(reply.header("location").expect("a location")).expect("a URL");
        assert!(back.as_str().starts_with("http://127.0.0.1:41234/cb?"), "{name}: {back}");
        assert_eq!(parameter(&back, "error").as_deref(), Some(expected), "{name}");
        assert_eq!(parameter(&back, "iss").as_deref(), Some(GATEWAY), "{name}");
        assert_eq!(parameter(&back, "state").as_deref(), Some(ask.get("state")), "{name}");
        assert_eq!(parameter(&back, "code"), None, "{name}");
    }
    // A state that is there twice, or that cannot be repeated, is not.
    for (ask, expected) in [
        (good.and("state", "another"), "invalid_request"),
        (good.with("state", &"x".repeat(1_025)), "invalid_request"),
        (good.with("state", "a\nb"), "invalid_request"),
    ] {
        let reply = stand.ada.get(&ask.path()).await;
        let back = Url::parse(reply.header("location").expect("a location")).expect("a URL");
        let found = (parameter(&back, "error"), parameter(&back, "state"));
        assert_eq!(found, (Some(expected.to_owned()), None));
    }
    assert!(stand.provider.token_requests().is_empty(), "request_uri was fetched");
}

#[tokio::test]
async fn a_query_that_is_far_too_long_is_not_read() {
    let mut stand = Stand::start().await;
    is_a_page(&mut stand, &Ask::desktop().with("x", &"x".repeat(9_000))).await;
}

#[tokio::test]
async fn strangers_write_nothing_and_sign_in_first() {
    let stand = Stand::start().await;
    let mut stranger = Browser::new(&stand.service);
    let revision = stand.service.revision().await;
    let sent = stranger.get(&Ask::desktop().path()).await;
    let consent = sent.header("location").expect("a location").to_owned();
    let sent = stranger.get(&consent).await;
    let sign_in = sent.header("location").expect("a location").to_owned();
    assert!(sign_in.starts_with("/sign-in?next=/oauth/consent%3Frequest%3D"), "{sign_in}");
    let reply = stranger.sign_in("Ada Lovelace", &consent).await;
    assert_eq!(reply.header("location"), Some(consent.as_str()), "{}", reply.text);
    let page = stranger.get(&consent).await;
    assert!(page.text.contains("Allow"), "{}", page.text);
    assert_eq!(stand.service.revision().await, revision);
    // Whatever was made up is no request.
    for made_up in
        ["", "x", &"a".repeat(1_990), &consent[..consent.len() - 1].replace("/oauth/consent?request=", "")]
    {
        let reply = stranger.get(&format!("/oauth/consent?request={made_up}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{made_up}");
    }
    let more = stranger.get(&format!("{consent}&extent=everything")).await;
    assert_eq!(more.status, StatusCode::BAD_REQUEST, "nothing is filled in by an address");
}
