//! Sessions that begin at the company's provider, and how they end.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::login::Login;
use super::{CORE, EVERYONE, SESSION, come_back, depart, signed_in};
use crate::browser::{Browser, field};
use crate::harness::Service;

fn ada() -> Value {
    json!({"sub": "ada", "name": "Ada"})
}

async fn started(login: &Login) -> Service {
    Service::start(&format!("{}{CORE}", login.configuration(EVERYONE))).await
}

#[tokio::test]
async fn strangers_make_the_service_write_nothing() {
    let login = Login::start().await;
    let service = started(&login).await;
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(service.directory().path("portcullis.db"));
    let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("the database");
    let mut count = async || -> i64 {
        let rows = "SELECT (SELECT count(*) FROM browser_sessions) + (SELECT count(*) FROM oauth_flows) \
                    + (SELECT count(*) FROM audit)";
        sqlx::query_scalar(rows).fetch_one(&mut connection).await.expect("counts")
    };
    let before = count().await;
    let mut browser = Browser::new(&service);
    for _ in 0..5 {
        depart(&mut browser, "/sign-in?next=/connections").await;
    }
    assert_eq!(browser.cookies.len(), 5, "each flow has a cookie of its own");
    come_back(&mut browser, &[("code", "x".into()), ("state", "y".into())]).await;
    assert_eq!(count().await, before);
    // What is in the cookie, only the service can read.
    for value in browser.cookies.values() {
        assert!(value.len() < 1024 && !value.contains("connections"), "{value}");
    }
}

#[tokio::test]
async fn every_step_is_a_303_and_ends_where_somebody_wanted_to_be() {
    let login = Login::start().await;
    let service = started(&login).await;
    let link = format!("/connect/{}", "x".repeat(43));
    for (next, expected) in [
        (link.as_str(), link.as_str()),
        ("", "/connections"),
        ("https://evil.example", "/connections"),
        ("//evil.example", "/connections"),
        ("/\\evil.example", "/connections"),
        ("/sign-in/callback?code=x", "/connections"),
    ] {
        let mut browser = Browser::new(&service);
        let departure = depart(&mut browser, &format!("/sign-in?next={next}")).await;
        assert!(departure.url.as_str().starts_with(&format!("{}/authorize?", login.issuer())));
        assert_eq!(
            departure.parameter("redirect_uri").as_deref(),
            Some("http://127.0.0.1:10000/sign-in/callback")
        );
        let query = login.agree(&departure, ada());
        let reply = come_back(&mut browser, &query).await;
        assert_eq!(
            (reply.status, reply.header("location")),
            (StatusCode::SEE_OTHER, Some(expected)),
            "{next}"
        );
        assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), [SESSION], "the flow's cookie is gone");
    }
}

#[tokio::test]
async fn a_session_is_new_with_every_sign_in_and_gone_with_the_sign_out() {
    let login = Login::start().await;
    let service = started(&login).await;
    let mut browser = Browser::new(&service);
    browser.cookies.insert(SESSION.into(), "planted".into());
    signed_in(&mut browser, &login, ada()).await;
    let first = browser.clone();
    assert_ne!(first.cookies[SESSION], "planted");
    signed_in(&mut browser, &login, json!({"sub": "grace", "name": "Grace"})).await;
    assert_ne!(browser.cookies[SESSION], first.cookies[SESSION]);
    let status = async |browser: &Browser| {
        browser.request(Method::GET, "/connections").send().await.expect("a reply").status()
    };
    assert_eq!(status(&first).await, StatusCode::SEE_OTHER, "the session before is over");
    let page = browser.get("/connections").await;
    assert!(page.text.contains("Grace") && !page.text.contains("Ada"), "{}", page.text);

    // Signing out does not go straight back in.
    let before = browser.clone();
    let reply = browser.post("/sign-out", &[("csrf", field(&page.text, "csrf"))]).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, Some("/sign-out")));
    assert_eq!(status(&before).await, StatusCode::SEE_OTHER, "the cookie is worth nothing any more");
    assert!(browser.get("/sign-out").await.text.contains("You are signed out"));
}

#[tokio::test]
async fn two_tabs_and_two_people_do_not_get_in_each_others_way() {
    let login = Login::start().await;
    let service = started(&login).await;
    let mut browser = Browser::new(&service);
    let (one, two) = (depart(&mut browser, "/sign-in").await, depart(&mut browser, "/sign-in").await);
    let grace = login.agree(&two, json!({"sub": "grace", "name": "Grace"}));
    let ada = login.agree(&one, ada());
    for (query, name) in [(grace, "Grace"), (ada, "Ada")] {
        assert_eq!(come_back(&mut browser, &query).await.status, StatusCode::SEE_OTHER);
        assert!(browser.get("/connections").await.text.contains(name), "{name}");
    }
}

#[tokio::test]
async fn a_session_of_one_side_is_worth_nothing_on_the_other() {
    let login = Login::start().await;
    let service = started(&login).await;
    let mut public = Browser::new(&service);
    signed_in(&mut public, &login, ada()).await;
    let mut admin = Browser::of_admin(&service);
    signed_in(&mut admin, &login, ada()).await;
    let (one, other) = (public.cookies[SESSION].clone(), admin.cookies["portcullis-admin-session"].clone());
    // Under its own name and under the other's.
    for (mut browser, path, value, refused) in [
        (Browser::new(&service), "/connections", other, StatusCode::SEE_OTHER),
        (Browser::of_admin(&service), "/v1/me", one, StatusCode::UNAUTHORIZED),
    ] {
        browser.cookies.insert(SESSION.into(), value.clone());
        browser.cookies.insert("portcullis-admin-session".into(), value);
        assert_eq!(browser.get(path).await.status, refused, "{path}");
    }
    // A flow that was begun on one side ends there.
    let departure = depart(&mut public, "/sign-in").await;
    let query = login.agree(&departure, ada());
    let mut elsewhere = Browser::of_admin(&service);
    elsewhere.cookies = public.cookies.clone();
    elsewhere.cookies.extend(
        public
            .cookies
            .iter()
            .map(|(name, value)| (name.replace("portcullis-", "portcullis-admin-"), value.clone())),
    );
    let reply = come_back(&mut elsewhere, &query).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text);
}
