//! What a person has connected, and the document that tells providers about the gateway.

use reqwest::StatusCode;

use crate::browser::{Browser, Departure, GATEWAY, field};
use crate::harness::Service;
use crate::provider::{Provider, REFRESH_TOKEN};

async fn started() -> (Provider, Service) {
    let provider = Provider::start().await;
    let service = Service::start(&provider.configuration()).await;
    (provider, service)
}

/// Connects `server` as Ada in the workspace of this slug.
async fn connected(
    provider: &Provider,
    service: &Service,
    ada: &mut Browser,
    workspace: &str,
    server: &str,
) -> String {
    let member = service.member_id(workspace, "ada").await;
    let id = service.server_id(server).await;
    let csrf = field(&ada.get("/connections").await.text, "csrf");
    let form = [("csrf", csrf), ("member", member)];
    let departure = Departure::read(&ada.post(&format!("/connections/{id}/connect"), &form).await);
    let reply = ada.come_back(&id, &departure, &provider.url).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
    reply.header("location").expect("a location").to_owned()
}

#[tokio::test]
async fn every_membership_has_connections_of_its_own() {
    let (provider, service) = started().await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let page = ada.get("/connections").await.text;
    // Linear in Core, Notion in Core and in Support; the server that wants no account is not there.
    assert_eq!(page.matches(">Not connected<").count(), 3, "{page}");
    assert!(!page.contains("Open"), "{page}");
    connected(&provider, &service, &mut ada, "support", "notion").await;
    let page = ada.get("/connections").await.text;
    assert_eq!(
        (page.matches("class=\"state on\"").count(), page.matches(">Not connected<").count()),
        (1, 2),
        "{page}"
    );
    let (_, support) = page.split_once("aria-label=\"Notion in Support\"").expect("the card");
    assert!(support.split_once("</section>").expect("its end").0.contains("class=\"state on\""));
    let page = Browser::signed_in(&service, "Eve Mallory").await.get("/connections").await.text;
    assert_eq!(
        (page.matches("class=\"state on\"").count(), page.matches(">Not connected<").count()),
        (0, 2),
        "{page}"
    );
}

#[tokio::test]
async fn keeping_and_disconnecting() {
    let (provider, service) = started().await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let location = connected(&provider, &service, &mut ada, "core", "linear").await;
    let page = ada.get(&location).await.text;
    let form = [("csrf", field(&page, "csrf")), ("member", field(&page, "member"))];
    let server = service.server_id("linear").await;
    let reply = ada.post(&format!("/connections/{server}/keep"), &form).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, Some("/connections")));
    assert!(ada.get("/connections").await.text.contains("class=\"state on\""));

    let reply = ada.post(&format!("/connections/{server}/disconnect"), &form).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, Some("/connections")));
    assert!(!ada.get("/connections").await.text.contains("class=\"state on\""));
    provider.revoked(REFRESH_TOKEN).await;
    // The page of a connection that is gone leads to the list; disconnecting twice does no harm.
    assert_eq!(ada.get(&location).await.header("location"), Some("/connections"));
    assert_eq!(
        ada.post(&format!("/connections/{server}/disconnect"), &form).await.status,
        StatusCode::SEE_OTHER
    );

    connected(&provider, &service, &mut ada, "core", "linear").await;
    assert!(ada.get("/connections").await.text.contains("class=\"state on\""));
}

#[tokio::test]
async fn nobody_touches_the_connections_of_others() {
    let (provider, service) = started().await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let location = connected(&provider, &service, &mut ada, "core", "linear").await;
    let mut eve = Browser::signed_in(&service, "Eve Mallory").await;
    let csrf = field(&eve.get("/connections").await.text, "csrf");
    let form = [("csrf", csrf), ("member", service.member_id("core", "ada").await)];
    let server = service.server_id("linear").await;
    for action in ["connect", "disconnect"] {
        let reply = eve.post(&format!("/connections/{server}/{action}"), &form).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{action}");
    }
    assert_eq!(eve.get(&location).await.status, StatusCode::FORBIDDEN);
    assert!(ada.get("/connections").await.text.contains("class=\"state on\""));
    assert!(provider.revocations().is_empty());
}

#[tokio::test]
async fn changes_need_the_token_of_the_page() {
    let (provider, service) = started().await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    connected(&provider, &service, &mut ada, "core", "linear").await;
    let server = service.server_id("linear").await;
    let member = service.member_id("core", "ada").await;
    for action in ["connect", "keep", "disconnect"] {
        let path = format!("/connections/{server}/{action}");
        assert_eq!(ada.post(&path, &[("member", &member)]).await.status, StatusCode::FORBIDDEN, "{action}");
        let signed_out = Browser::new(&service).post(&path, &[("csrf", "x"), ("member", &member)]).await;
        assert_eq!(signed_out.status, StatusCode::FORBIDDEN, "{action}");
        assert_eq!(ada.get(&path).await.status, StatusCode::METHOD_NOT_ALLOWED, "{action}");
    }
    assert!(ada.get("/connections").await.text.contains("class=\"state on\""));
}

#[tokio::test]
async fn the_client_document_is_the_same_for_everybody() {
    let (_provider, service) = started().await;
    let server = service.server_id("linear").await;
    let mut browser = Browser::new(&service);
    let path = format!("/oauth/client/{server}");
    let request = browser.request(reqwest::Method::GET, &path).header("host", "evil.example");
    let reply = browser.send(request.header("x-forwarded-host", "evil.example")).await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, Some("application/json")));
    assert_eq!(reply.body["client_id"], format!("{GATEWAY}{path}"));
    assert_eq!(reply.body["redirect_uris"], serde_json::json!([format!("{GATEWAY}/callback/{server}")]));
    assert!(
        reply.text.len() < 5000 && !reply.text.contains("evil") && !reply.text.contains("secret"),
        "{}",
        reply.text
    );
    let open = service.server_id("open").await;
    assert_eq!(browser.get(&format!("/oauth/client/{open}")).await.status, StatusCode::NOT_FOUND);
}
