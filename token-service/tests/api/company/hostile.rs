//! Whatever a provider, a network or a stranger may send: nobody comes in by it.

use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use super::login::{Behaviour, CLIENT, Login, Signature, Tamper, half_hash};
use super::{CORE, EVERYONE, SESSION, come_back, depart, sign_in, signed_in};
use crate::browser::Browser;
use crate::harness::{LOG, Service};

fn ada() -> Value {
    json!({"sub": "ada", "name": "Ada"})
}

async fn started(login: &Login) -> Service {
    Service::start(&format!("{}{CORE}", login.configuration(EVERYONE))).await
}

/// An ID token that must not let anybody in, and one that may.
const TAMPERED: [(&str, bool, Tamper); 24] = [
    ("as it should be", true, |_| {}),
    ("for somebody else", false, |it| set(it, "aud", json!("other"))),
    ("for us and somebody else", false, |it| set(it, "aud", json!([CLIENT, "other"]))),
    ("for us alone, as a list", true, |it| set(it, "aud", json!([CLIENT]))),
    ("for nobody", false, |it| drop(it.remove("aud"))),
    ("for somebody like us", false, |it| set(it, "aud", json!("Portcullis"))),
    ("made for another client", false, |it| set(it, "azp", json!("other"))),
    ("made for us", true, |it| set(it, "azp", json!(CLIENT))),
    ("without a nonce", false, |it| drop(it.remove("nonce"))),
    ("with an old nonce", false, |it| set(it, "nonce", json!("x".repeat(43)))),
    ("of another issuer", false, |it| set(it, "iss", json!("https://evil.example"))),
    ("of an issuer with a slash more", false, |it| {
        let issuer = format!("{}/", it["iss"].as_str().expect("a text"));
        set(it, "iss", json!(issuer));
    }),
    ("of a template", false, |it| set(it, "iss", json!("https://login.example/{tenantid}/v2.0"))),
    ("of no issuer", false, |it| drop(it.remove("iss"))),
    ("expired", false, |it| shift(it, "exp", -331)),
    ("expired within the tolerance", true, |it| shift(it, "exp", -329)),
    ("without an end", false, |it| drop(it.remove("exp"))),
    ("from the future", false, |it| shift(it, "iat", 31)),
    ("from the future within the tolerance", true, |it| shift(it, "iat", 30)),
    ("of another access token", false, |it| set(it, "at_hash", json!(half_hash("other")))),
    ("without the access token", true, |it| drop(it.remove("at_hash"))),
    ("about nobody", false, |it| drop(it.remove("sub"))),
    ("about somebody without a name", false, |it| set(it, "sub", json!(""))),
    ("with a subject that is no text", false, |it| set(it, "sub", json!(7))),
];

fn set(claims: &mut Map<String, Value>, name: &str, value: Value) {
    claims.insert(name.to_owned(), value);
}

fn shift(claims: &mut Map<String, Value>, name: &str, seconds: i64) {
    let moved = claims[name].as_i64().expect("a time") + seconds;
    set(claims, name, json!(moved));
}

#[tokio::test]
async fn only_an_id_token_that_holds_lets_somebody_in() {
    let login = Login::start().await;
    let service = started(&login).await;
    for (name, holds, tamper) in TAMPERED {
        login.behave(Behaviour { tamper: Some(tamper), ..Behaviour::default() });
        let mut browser = Browser::new(&service);
        let reply = sign_in(&mut browser, &login, ada()).await;
        let expected = if holds { StatusCode::SEE_OTHER } else { reply.status };
        assert_eq!(reply.status, expected, "{name}: {}", reply.text);
        assert_eq!(browser.cookies.contains_key(SESSION), holds, "{name}");
        assert!(holds || reply.status.is_client_error() || reply.status.is_server_error(), "{name}");
    }
    assert_eq!(login.asked("token"), TAMPERED.len(), "a code is redeemed once");
}

#[tokio::test]
async fn only_the_providers_own_key_signs() {
    let login = Login::start().await;
    let service = started(&login).await;
    for signature in [Signature::None, Signature::Secret, Signature::Foreign] {
        login.behave(Behaviour { signature, ..Behaviour::default() });
        let mut browser = Browser::new(&service);
        let reply = sign_in(&mut browser, &login, ada()).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{signature:?}");
        assert!(reply.text.contains("could not be trusted"), "{signature:?}: {}", reply.text);
        assert!(browser.cookies.is_empty(), "{signature:?}");
    }
    // Whoever sends bad signatures cannot have the provider asked again and again.
    assert_eq!(login.asked("keys"), 1);
}

#[tokio::test]
async fn what_comes_in_place_of_tokens_lets_nobody_in() {
    let login = Login::start().await;
    let service = started(&login).await;
    let tokens = json!({"access_token": "x", "token_type": "Bearer"});
    let with = |token: &str| {
        let mut tokens = tokens.clone();
        tokens["id_token"] = token.into();
        tokens
    };
    for (answer, status, text) in [
        ((200, tokens.clone()), StatusCode::FORBIDDEN, "could not be trusted"),
        ((200, with("")), StatusCode::SERVICE_UNAVAILABLE, "not set up right"),
        ((200, with("a.b.c")), StatusCode::SERVICE_UNAVAILABLE, "not set up right"),
        ((200, json!("<script>canary-html</script>")), StatusCode::SERVICE_UNAVAILABLE, "not set up right"),
        (
            (400, json!({"error": "invalid_grant", "error_description": "canary-words"})),
            StatusCode::BAD_REQUEST,
            "not signed in",
        ),
        ((401, json!({"error": "invalid_client"})), StatusCode::SERVICE_UNAVAILABLE, "not set up right"),
        ((400, json!({"error": "canary-error"})), StatusCode::BAD_REQUEST, "not signed in"),
    ] {
        login.behave(Behaviour { token_answer: Some(answer.clone()), ..Behaviour::default() });
        let mut browser = Browser::new(&service);
        let reply = sign_in(&mut browser, &login, ada()).await;
        assert_eq!(reply.status, status, "{answer:?}");
        assert!(reply.text.contains(text), "{answer:?}: {}", reply.text);
        assert!(!reply.text.contains("canary"), "{}", reply.text);
        assert!(browser.cookies.is_empty());
    }
    let log = LOG.text();
    for secret in ["canary-words", "canary-error", "canary-html", "canary-company"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_provider_that_describes_another_is_not_used() {
    for (name, value) in [
        ("issuer", json!("https://evil.example")),
        ("issuer", json!("http://127.0.0.1:1/{tenantid}")),
        ("token_endpoint", json!("http://evil.example/token")),
        ("token_endpoint", json!("https://10.0.0.1/token")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("authorization_endpoint", json!("http://evil.example/authorize")),
        ("token_endpoint", Value::Null),
        ("jwks_uri", json!("https://192.168.1.1/keys")),
    ] {
        let login = Login::start().await;
        let metadata = Map::from_iter([(name.to_owned(), value.clone())]);
        login.behave(Behaviour { metadata, ..Behaviour::default() });
        let service = started(&login).await;
        let mut browser = Browser::new(&service);
        let reply = browser.get("/sign-in").await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{name}: {value}");
        assert!(reply.text.contains("not set up right"), "{name}: {value}: {}", reply.text);
        assert!(browser.cookies.is_empty());
    }
}

/// What becomes of the way back: of the browser, the query, and the time.
type Change = fn(&mut Browser, &mut Vec<(&'static str, String)>, &Service);

const CHANGES: [(&str, Change); 12] = [
    ("another issuer", |_, query, _| query.last_mut().expect("iss").1 = "https://evil.example".into()),
    ("an issuer with a slash more", |_, query, _| query.last_mut().expect("iss").1.push('/')),
    ("no issuer", |_, query, _| drop(query.pop())),
    ("another state", |_, query, _| query[1].1 = "x".repeat(43)),
    ("no state", |_, query, _| drop(query.remove(1))),
    ("no code", |_, query, _| drop(query.remove(0))),
    ("two codes", |_, query, _| query.push(("code", "other".into()))),
    ("a code and an error", |_, query, _| query.push(("error", "access_denied".into()))),
    ("an error", |_, query, _| query[0] = ("error", "access_denied".into())),
    ("another browser", |browser, _, _| browser.cookies.clear()),
    ("a cookie that was changed", |browser, _, _| {
        for value in browser.cookies.values_mut() {
            value.replace_range(20..21, if &value[20..21] == "A" { "B" } else { "A" });
        }
    }),
    ("ten minutes later", |_, _, service| service.clock.advance(600_000)),
];

/// A provider that promises to name itself, and a service that it is the company's of.
async fn naming_itself() -> (Login, Service) {
    let login = Login::start().await;
    let promise = ("authorization_response_iss_parameter_supported".to_owned(), json!(true));
    login.behave(Behaviour { metadata: Map::from_iter([promise]), ..Behaviour::default() });
    let service = started(&login).await;
    (login, service)
}

#[tokio::test]
async fn a_code_is_redeemed_after_all_checks_only() {
    let (login, service) = naming_itself().await;
    for (name, change) in CHANGES {
        let mut browser = Browser::new(&service);
        let departure = depart(&mut browser, "/sign-in").await;
        let mut query = login.agree(&departure, ada());
        query.push(("iss", login.issuer().to_owned()));
        change(&mut browser, &mut query, &service);
        let reply = come_back(&mut browser, &query).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name}: {}", reply.text);
        assert!(!browser.cookies.contains_key(SESSION), "{name}");
        assert_eq!(login.asked("token"), 0, "{name}");
    }
}

#[tokio::test]
async fn a_flow_has_a_cookie_of_its_own_and_is_good_once() {
    let (login, service) = naming_itself().await;
    let issuer = login.issuer().to_owned();
    // One flow's cookie under the name of another.
    let mut browser = Browser::new(&service);
    let (one, two) = (depart(&mut browser, "/sign-in").await, depart(&mut browser, "/sign-in").await);
    let names: Vec<String> = browser.cookies.keys().cloned().collect();
    let (first, second) = (browser.cookies[&names[0]].clone(), browser.cookies[&names[1]].clone());
    browser.cookies.extend([(names[0].clone(), second), (names[1].clone(), first)]);
    for departure in [one, two] {
        let mut query = login.agree(&departure, ada());
        query.push(("iss", issuer.clone()));
        assert_eq!(come_back(&mut browser, &query).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(login.asked("token"), 0);
    // And as it should be: once.
    let departure = depart(&mut browser, "/sign-in").await;
    let mut query = login.agree(&departure, ada());
    query.push(("iss", issuer));
    let kept = browser.cookies.clone();
    assert_eq!(come_back(&mut browser, &query).await.status, StatusCode::SEE_OTHER);
    assert_eq!(come_back(&mut browser, &query).await.status, StatusCode::BAD_REQUEST);
    let mut stolen = Browser::new(&service);
    stolen.cookies = kept;
    assert_eq!(come_back(&mut stolen, &query).await.status, StatusCode::BAD_REQUEST);
    assert!(!stolen.cookies.contains_key(SESSION));
    assert_eq!(login.asked("token"), 2, "the provider knows the code no longer");
}

#[tokio::test]
async fn a_provider_that_is_down_is_said_so_and_what_it_said_is_kept() {
    let login = Login::start().await;
    let service = started(&login).await;
    let mut browser = Browser::new(&service);
    login.behave(Behaviour { down: true, ..Behaviour::default() });
    let reply = browser.get("/sign-in").await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert!(reply.text.contains("does not answer"), "{}", reply.text);

    login.behave(Behaviour::default());
    signed_in(&mut browser, &login, ada()).await;
    signed_in(&mut browser, &login, ada()).await;
    assert_eq!(
        (login.asked("metadata"), login.asked("keys")),
        (2, 1),
        "the second sign-in asks nothing anew"
    );
    // Gone when the code is to be redeemed: nobody comes in.
    let departure = depart(&mut browser, "/sign-in").await;
    let query = login.agree(&departure, ada());
    login.behave(Behaviour { down: true, ..Behaviour::default() });
    let mut other = browser.clone();
    other.cookies.remove(SESSION);
    assert!(come_back(&mut other, &query).await.status.is_server_error());
    assert!(!other.cookies.contains_key(SESSION));
    // After an hour it is asked again; what it said before is good for a day.
    for (advance, status) in [(3_600_000, StatusCode::SEE_OTHER), (24 * 3_600_000, StatusCode::BAD_GATEWAY)] {
        service.clock.advance(advance);
        assert_eq!(browser.get("/sign-in").await.status, status);
    }
}

#[tokio::test]
async fn new_keys_of_the_provider_are_found() {
    let login = Login::start().await;
    let service = started(&login).await;
    let mut browser = Browser::new(&service);
    signed_in(&mut browser, &login, ada()).await;
    login.rotate_keys();
    service.clock.advance(10_000);
    login.advance(10);
    signed_in(&mut browser, &login, ada()).await;
    assert_eq!(login.asked("keys"), 2);
}
