//! Signing in and out in a browser.

use reqwest::{Method, StatusCode};

use crate::browser::{Browser, GATEWAY, encoded, field};
use crate::harness::Service;
use crate::provider::Provider;

const SESSION: &str = "portcullis-session";

#[tokio::test]
async fn without_a_method_nobody_signs_in() {
    let service = Service::start("").await;
    let reply = Browser::new(&service).get("/sign-in").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reply.text.contains("Nobody can sign in here yet"), "{}", reply.text);
}

#[tokio::test]
async fn everybody_is_there_once_and_ends_where_they_wanted() {
    let provider = Provider::start().await;
    let service = Service::start(&provider.configuration()).await;
    let mut browser = Browser::new(&service);
    let page = browser.get("/sign-in").await;
    assert_eq!(page.text.matches("Ada Lovelace").count(), 1);
    assert!(page.text.contains("Core team, Support"), "{}", page.text);
    let link = format!("/connect/{}", "x".repeat(43));
    for (next, expected) in [
        (link.as_str(), link.as_str()),
        ("/connections", "/connections"),
        ("https://evil.example", "/connections"),
        ("//evil.example", "/connections"),
        ("/connect/%5C..%5Cevil", "/connections"),
    ] {
        let reply = browser.sign_in("Ada Lovelace", next).await;
        assert_eq!(
            (reply.status, reply.header("location")),
            (StatusCode::SEE_OTHER, Some(expected)),
            "{next}"
        );
    }
    let reply = browser.get("/connections").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.text.contains("Ada Lovelace"));
}

#[tokio::test]
async fn a_form_of_somebody_else_signs_nobody_in() {
    let provider = Provider::start().await;
    let service = Service::start(&provider.configuration()).await;
    let mut browser = Browser::new(&service);
    let page = browser.get("/sign-in").await;
    let other = Browser::new(&service).get("/sign-in").await;
    let member = page
        .text
        .split_once("name=\"member\" value=\"")
        .expect("a choice")
        .1
        .split_once('"')
        .expect("its end")
        .0;
    let form = |csrf: &str| encoded(&[("csrf", csrf), ("next", "/connections"), ("member", member)]);
    let good = form(&field(&page.text, "csrf"));
    let foreign = form(&field(&other.text, "csrf"));
    let urlencoded = "application/x-www-form-urlencoded";
    let without_cookie = Browser::new(&service);
    for (who, origin, site, media_type, body, status) in [
        (&browser, Some(GATEWAY), "same-origin", urlencoded, &foreign, StatusCode::FORBIDDEN),
        (&without_cookie, Some(GATEWAY), "same-origin", urlencoded, &good, StatusCode::FORBIDDEN),
        (&browser, Some("https://evil.example"), "same-origin", urlencoded, &good, StatusCode::FORBIDDEN),
        (&browser, Some("null"), "same-origin", urlencoded, &good, StatusCode::FORBIDDEN),
        (&browser, None, "same-origin", urlencoded, &good, StatusCode::FORBIDDEN),
        (&browser, Some(GATEWAY), "cross-site", urlencoded, &good, StatusCode::FORBIDDEN),
        (&browser, Some(GATEWAY), "same-site", urlencoded, &good, StatusCode::FORBIDDEN),
        (&browser, Some(GATEWAY), "same-origin", "text/plain", &good, StatusCode::BAD_REQUEST),
    ] {
        let mut request = who.request(Method::POST, "/sign-in").header("sec-fetch-site", site);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let reply =
            request.header("content-type", media_type).body(body.clone()).send().await.expect("a reply");
        assert_eq!(reply.status(), status, "{origin:?} {site} {media_type}");
        assert!(reply.headers().get("set-cookie").is_none());
    }
    // The same form is taken from the page it belongs to.
    let request = browser
        .request(Method::POST, "/sign-in")
        .header("origin", GATEWAY)
        .header("content-type", urlencoded);
    let reply = browser.send(request.body(good)).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_is_new_with_every_sign_in_and_gone_with_the_sign_out() {
    let provider = Provider::start().await;
    let service = Service::start(&provider.configuration()).await;
    let mut browser = Browser::new(&service);
    // A session id that somebody has planted is not taken over.
    browser.cookies.insert(SESSION.into(), "planted".into());
    let reply = browser.sign_in("Ada Lovelace", "/connections").await;
    let set = reply.header("set-cookie").expect("a cookie").to_owned();
    assert!(set.contains("; HttpOnly; SameSite=Lax") && set.contains("; Path=/;"), "{set}");
    let first = browser.clone();
    assert_ne!(browser.cookies[SESSION], "planted");
    browser.sign_in("Eve Mallory", "/connections").await;
    assert_ne!(browser.cookies[SESSION], first.cookies[SESSION]);
    let location = async |browser: &Browser| {
        let reply = browser.request(Method::GET, "/connections").send().await.expect("a reply");
        (reply.status(), reply.headers().get("location").cloned())
    };
    assert_eq!(location(&first).await, (StatusCode::SEE_OTHER, Some("/sign-in".parse().expect("a value"))));
    assert_eq!(location(&browser).await.0, StatusCode::OK);

    let before = browser.clone();
    let page = browser.get("/connections").await;
    let forged = browser.post("/sign-out", &[("csrf", "0000")]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(location(&browser).await.0, StatusCode::OK);
    let reply = browser.post("/sign-out", &[("csrf", field(&page.text, "csrf"))]).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, Some("/sign-in")));
    assert!(!browser.cookies.contains_key(SESSION));
    assert_eq!(location(&before).await.0, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_ends_after_half_an_hour_of_silence_and_after_half_a_day() {
    const MINUTE: u64 = 60_000;
    let provider = Provider::start().await;
    let service = Service::start(&provider.configuration()).await;
    let mut idle = Browser::signed_in(&service, "Ada Lovelace").await;
    let mut busy = Browser::signed_in(&service, "Eve Mallory").await;
    service.clock.advance(29 * MINUTE);
    assert_eq!(busy.get("/connections").await.status, StatusCode::OK);
    service.clock.advance(MINUTE);
    assert_eq!(idle.get("/connections").await.status, StatusCode::SEE_OTHER);
    for _ in 0..(12 * 60 - 30 - 1) / 29 {
        assert_eq!(busy.get("/connections").await.status, StatusCode::OK);
        service.clock.advance(29 * MINUTE);
    }
    assert_eq!(busy.get("/connections").await.status, StatusCode::OK);
    service.clock.advance(29 * MINUTE);
    assert_eq!(busy.get("/connections").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn every_reply_is_hardened_and_failures_tell_nothing() {
    let provider = Provider::start().await;
    let service = Service::start(&provider.configuration()).await;
    let mut browser = Browser::signed_in(&service, "Ada Lovelace").await;
    for (path, status) in [
        ("/sign-in", StatusCode::OK),
        ("/connections", StatusCode::OK),
        ("/setup", StatusCode::OK),
        ("/", StatusCode::SEE_OTHER),
        ("/assets/portcullis.css", StatusCode::OK),
        ("/no-such-page", StatusCode::NOT_FOUND),
        ("/connect/%3Cscript%3E", StatusCode::NOT_FOUND),
        ("/callback/srv_unknown?code=a&state=b", StatusCode::NOT_FOUND),
        ("/oauth/client/srv_unknown", StatusCode::NOT_FOUND),
        ("/connections/srv_unknown/keep", StatusCode::METHOD_NOT_ALLOWED),
        ("/livez", StatusCode::OK),
    ] {
        let reply = browser.get(path).await;
        assert_eq!(reply.status, status, "{path}");
        let policy = reply.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with(
                "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'"
            )
        );
        assert!(!policy.contains("script") && !reply.text.contains("script"), "{path}");
        for (name, value) in [
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        let cached = if path.starts_with("/assets/") { "public, max-age=300" } else { "no-store" };
        assert_eq!(reply.header("cache-control"), Some(cached), "{path}");
        if status.is_client_error() {
            assert!(
                reply.text.contains("<!doctype html>") && reply.text.contains("Incident "),
                "{}",
                reply.text
            );
        }
    }
}
