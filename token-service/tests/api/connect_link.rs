//! The link that an agent passes on, and the page behind it.

use reqwest::{Method, StatusCode};

use crate::browser::{Browser, Departure, GATEWAY, encoded, field};
use crate::harness::{LOG, Service};
use crate::provider::Provider;

const MINUTE: u64 = 60_000;

async fn started() -> (Provider, Service) {
    let provider = Provider::start().await;
    let service = Service::start(&provider.configuration()).await;
    (provider, service)
}

#[tokio::test]
async fn looking_at_a_link_changes_nothing() {
    let (_provider, service) = started().await;
    let link = service.connect_link("core", "ada", "linear", None).await;
    let mut preview = Browser::new(&service);
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let reply = preview.request(method, &link).header("user-agent", "LinkPreview/1.0").send().await;
        let reply = reply.expect("a reply");
        assert_eq!(reply.status(), StatusCode::SEE_OTHER);
        assert_eq!(reply.headers()["location"], format!("/sign-in?next={link}"));
    }
    assert_eq!(preview.post(&link, &[("csrf", "x"), ("plan", "x")]).await.status, StatusCode::FORBIDDEN);
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    for _ in 0..3 {
        assert_eq!(ada.get(&link).await.status, StatusCode::OK);
    }
    ada.agree(&link).await;
}

#[tokio::test]
async fn the_page_says_what_would_happen() {
    let (provider, service) = started().await;
    let agent = "<b>claude-code</b>\u{202e}";
    let link = service.connect_link("core", "ada", "linear", Some(agent)).await;
    service.clock.advance(2 * MINUTE);
    let page = Browser::signed_in(&service, "Ada Lovelace").await.get(&link).await.text;
    let host = provider.url.strip_prefix("http://").expect("a host");
    for expected in [
        "Connect Linear",
        host,
        "Core team",
        "unverified",
        "2 minutes ago",
        "<code>read</code>",
        "<code>write</code>",
    ] {
        assert!(page.contains(expected), "{expected} is missing in {page}");
    }
    assert!(page.contains("&#60;b&#62;claude-code&#60;/b&#62;”"), "{page}");
    let link = service.connect_link("support", "ada", "notion", None).await;
    let page = Browser::signed_in(&service, "Ada Lovelace").await.get(&link).await.text;
    assert!(page.contains("Connect Notion") && page.contains("The agent did not say what it is"), "{page}");
}

#[tokio::test]
async fn a_link_is_good_once() {
    let (_provider, service) = started().await;
    let link = service.connect_link("core", "ada", "linear", None).await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let page = ada.get(&link).await;
    let form = [("csrf", field(&page.text, "csrf")), ("plan", field(&page.text, "plan"))];
    let answers = (0..20).map(|_| {
        let mut browser = ada.clone();
        let (link, form) = (link.clone(), form.clone());
        async move { browser.post(&link, &form).await.status }
    });
    let mut answers = join_all(answers).await;
    answers.sort();
    assert_eq!(answers.remove(0), StatusCode::OK);
    assert!(answers.iter().all(|status| *status == StatusCode::GONE), "{answers:?}");
    let reply = ada.get(&link).await;
    assert_eq!(reply.status, StatusCode::GONE);
    assert!(reply.text.contains("Let your agent try again"), "{}", reply.text);
}

#[tokio::test]
async fn a_link_is_good_for_ten_minutes() {
    let (_provider, service) = started().await;
    let link = service.connect_link("core", "ada", "linear", None).await;
    service.clock.advance(10 * MINUTE - 1);
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let page = ada.get(&link).await;
    assert_eq!(page.status, StatusCode::OK);
    service.clock.advance(1);
    let form = [("csrf", field(&page.text, "csrf")), ("plan", field(&page.text, "plan"))];
    assert_eq!(ada.post(&link, &form).await.status, StatusCode::GONE);
    assert_eq!(ada.get(&link).await.status, StatusCode::GONE);
    assert_eq!(ada.get(&format!("/connect/{}", "A".repeat(43))).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn somebody_else_burns_the_link_and_learns_nothing() {
    let (provider, service) = started().await;
    let link = service.connect_link("core", "ada", "linear", Some("claude-code")).await;
    let reply = Browser::signed_in(&service, "Eve Mallory").await.get(&link).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    for name in ["Ada", "Eve", "ada", "Linear", "Core team", "claude-code", &provider.url] {
        assert!(!reply.text.contains(name), "{name} is in {}", reply.text);
    }
    LOG.wait_for(|line| line.contains("opened by somebody else")).await;
    assert_eq!(Browser::signed_in(&service, "Ada Lovelace").await.get(&link).await.status, StatusCode::GONE);
    let audit = service.get("/v1/audit").await;
    assert!(audit.text.contains("connect.wrong_person"), "{}", audit.text);
    // The agent gets another link.
    assert_ne!(service.connect_link("core", "ada", "linear", Some("claude-code")).await, link);
}

#[tokio::test]
async fn somebody_else_cannot_send_the_form_either() {
    let (provider, service) = started().await;
    let link = service.connect_link("core", "ada", "linear", None).await;
    let mut eve = Browser::signed_in(&service, "Eve Mallory").await;
    let csrf = field(&eve.get("/connections").await.text, "csrf");
    let plan = field(&Browser::signed_in(&service, "Ada Lovelace").await.get(&link).await.text, "plan");
    assert_eq!(eve.post(&link, &[("csrf", csrf), ("plan", plan)]).await.status, StatusCode::FORBIDDEN);
    assert!(provider.token_requests().is_empty());
}

#[tokio::test]
async fn a_form_from_elsewhere_leaves_the_link_as_it_was() {
    let (_provider, service) = started().await;
    let link = service.connect_link("core", "ada", "linear", None).await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let page = ada.get(&link).await;
    let (csrf, plan) = (field(&page.text, "csrf"), field(&page.text, "plan"));
    let good = encoded(&[("csrf", &csrf), ("plan", &plan)]);
    let without_token = encoded(&[("plan", &plan)]);
    let other_token = encoded(&[("csrf", &"0".repeat(64)), ("plan", &plan)]);
    let more = format!("{good}&extra=1");
    let twice = format!("{good}&csrf={csrf}");
    for (origin, site, body, status) in [
        (Some("https://evil.example"), Some("cross-site"), &good, StatusCode::FORBIDDEN),
        (Some(GATEWAY), Some("cross-site"), &good, StatusCode::FORBIDDEN),
        (None, Some("same-origin"), &good, StatusCode::FORBIDDEN),
        (Some("null"), None, &good, StatusCode::FORBIDDEN),
        (Some(GATEWAY), None, &without_token, StatusCode::FORBIDDEN),
        (Some(GATEWAY), None, &other_token, StatusCode::FORBIDDEN),
        (Some(GATEWAY), None, &more, StatusCode::BAD_REQUEST),
        (Some(GATEWAY), None, &twice, StatusCode::BAD_REQUEST),
    ] {
        let mut request =
            ada.request(Method::POST, &link).header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let reply = request.body(body.clone()).send().await.expect("a reply");
        assert_eq!(reply.status(), status, "{origin:?} {site:?} {body}");
        assert!(reply.headers().get("set-cookie").is_none());
    }
    Departure::read(&ada.post(&link, &[("csrf", csrf), ("plan", plan)]).await);
}

#[tokio::test]
async fn what_was_not_shown_is_not_agreed_to() {
    let (_provider, service) = started().await;
    let link = service.connect_link("core", "ada", "linear", None).await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let page = ada.get(&link).await;
    let form = [("csrf", field(&page.text, "csrf")), ("plan", "0".repeat(64))];
    let again = ada.post(&link, &form).await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(again.text.contains("Connect Linear") && again.header("set-cookie").is_none(), "{}", again.text);
    ada.agree(&link).await;
}

#[tokio::test]
async fn leaving_for_the_provider() {
    let (provider, service) = started().await;
    let link = service.connect_link("core", "ada", "linear", None).await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let request = ada
        .request(Method::GET, &link)
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example");
    assert!(!ada.send(request).await.text.contains("evil.example"));
    let departure = ada.agree(&link).await;
    let server = service.server_id("linear").await;
    assert!(departure.url.as_str().starts_with(&format!("{}/authorize?", provider.url)), "{}", departure.url);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "portcullis-client"),
        ("redirect_uri", &format!("{GATEWAY}/callback/{server}")),
        ("resource", &format!("{}/linear", provider.url)),
        ("scope", "read write"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(departure.parameter(name).as_deref(), Some(value), "{name}");
    }
    assert!(
        departure.state.len() >= 43 && departure.parameter("code_challenge").is_some_and(|it| it.len() == 43)
    );
    let flows: Vec<&String> =
        ada.cookies.keys().filter(|name| name.starts_with("portcullis-flow-")).collect();
    assert_eq!(flows.len(), 1);
    assert!(!departure.url.as_str().contains(&ada.cookies[flows[0]]));
}

#[tokio::test]
async fn who_may_no_longer_use_the_server_gets_nowhere() {
    let (_provider, service) = started().await;
    let link = service.connect_link("core", "ada", "linear", None).await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let workspace = service.get("/v1/workspaces/core").await.id();
    let rules = serde_json::json!({"enabled": false});
    let denied = service.put(&format!("/v1/policies/workspace:{workspace}/linear"), rules).await;
    assert_eq!(denied.status, StatusCode::OK, "{}", denied.text);
    let reply = ada.get(&link).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(reply.text.contains("not available to you"), "{}", reply.text);
}

#[tokio::test]
async fn a_provider_that_is_down_leaves_the_link_as_it_was() {
    let (provider, service) = started().await;
    let link = service.connect_link("core", "ada", "linear", None).await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    drop(provider);
    let reply = ada.get(&link).await;
    assert_eq!(reply.status, StatusCode::BAD_GATEWAY);
    assert!(reply.text.contains("The provider does not answer"), "{}", reply.text);
    assert!(service.ticket_is_good(&link).await);
}

#[tokio::test]
async fn agents_that_ask_at_once_get_the_same_link() {
    let (_provider, service) = started().await;
    let ask = || service.connect_link("core", "ada", "linear", Some("a"));
    let (one, two, three, four, five) = tokio::join!(ask(), ask(), ask(), ask(), ask());
    assert!([two, three, four, five].iter().all(|link| *link == one), "each would end another's");
}

#[tokio::test]
async fn an_agent_that_asks_again_gets_the_same_link_and_not_endlessly_many() {
    let (_provider, service) = started().await;
    let first = service.connect_link("core", "ada", "linear", Some("a")).await;
    service.clock.advance(5 * MINUTE - 1);
    assert_eq!(service.connect_link("core", "ada", "linear", Some("a")).await, first);
    assert_ne!(service.connect_link("core", "ada", "linear", Some("b")).await, first);
    assert_ne!(service.connect_link("core", "eve", "linear", Some("a")).await, first);
    service.clock.advance(1);
    let second = service.connect_link("core", "ada", "linear", Some("a")).await;
    assert_ne!(second, first);
    // Used up: there is a new one.
    Browser::signed_in(&service, "Ada Lovelace").await.agree(&second).await;
    assert_ne!(service.connect_link("core", "ada", "linear", Some("a")).await, second);

    // Four were made for Ada so far; three are good at a time.
    let mut links = vec![];
    for number in 4..30 {
        links.push(service.connect_link("core", "ada", "linear", Some(&number.to_string())).await);
    }
    let (over, good) = links.split_at(links.len() - 3);
    for link in over {
        assert!(!service.ticket_is_good(link).await);
    }
    for link in good {
        assert!(service.ticket_is_good(link).await);
    }
    assert!(service.try_connect_link("core", "ada", "linear", Some("30")).await.is_none());
    // The link that is good is given all the same, and others are not affected.
    assert_eq!(service.connect_link("core", "ada", "linear", Some("29")).await, good[2]);
    assert!(service.try_connect_link("core", "ada", "notion", Some("30")).await.is_some());
    assert!(service.try_connect_link("core", "eve", "linear", Some("30")).await.is_some());
    service.clock.advance(60 * MINUTE);
    assert!(service.try_connect_link("core", "ada", "linear", Some("30")).await.is_some());
}

/// All at once.
pub(crate) async fn join_all<T: Send + 'static>(
    tasks: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("no panic"));
    }
    results
}
