//! What people and administrators see of clients that are signed in, and ending it.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::stand::{Ask, DESKTOP_URI, Stand, send};
use crate::browser::{Browser, field};

#[tokio::test]
async fn a_person_sees_the_clients_and_signs_one_out() {
    let mut stand = Stand::start().await;
    let empty = stand.ada.get("/connections").await;
    assert!(!empty.text.contains("Clients that are signed in"), "{}", empty.text);
    let one = stand.sign_in().await;
    let other =
        stand.sign_in_for(&Ask::of("desktop", DESKTOP_URI, "http://127.0.0.1:10000/support/open/mcp")).await;
    let page = stand.ada.get("/connections").await;
    assert_eq!(page.text.matches("“Desktop”").count(), 2, "{}", page.text);
    assert!(page.text.contains("Open · Core team") && page.text.contains("Open · Support"), "{}", page.text);
    assert!(page.text.contains("23 November 2026"), "{}", page.text);

    // Nobody signs out somebody else's.
    let mut eve = Browser::signed_in(&stand.service, "Eve Mallory").await;
    let page = eve.get("/connections").await;
    assert!(!page.text.contains("“Desktop”"));
    let form = [("csrf", field(&page.text, "csrf")), ("session", one.session().to_owned())];
    assert_eq!(eve.post("/connections/sign-out", &form).await.status, StatusCode::SEE_OTHER);
    assert_eq!(stand.lease(&one).await, "granted");

    let csrf = field(&stand.ada.get("/connections").await.text, "csrf");
    let form = [("csrf", csrf), ("session", one.session().to_owned())];
    let reply = stand.ada.post("/connections/sign-out", &form).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, Some("/connections")));
    assert_eq!(stand.lease(&one).await, "unknown_credential");
    assert_eq!(stand.refresh(&one.refresh).await.body["error"], "invalid_grant");
    let left = stand.ada.get("/connections").await;
    assert_eq!(left.text.matches("“Desktop”").count(), 1, "{}", left.text);
    assert!(left.text.contains(other.session()), "{}", left.text);
    let audit = stand.service.get("/v1/audit?limit=1").await.body;
    let entry = &audit["entries"][0];
    assert_eq!((&entry["action"], &entry["who"]), (&json!("session.end"), &json!("member")));
}

#[tokio::test]
async fn an_administrator_lists_sessions_and_ends_them() {
    let mut stand = Stand::start().await;
    let tokens = stand.sign_in().await;
    let member = stand.service.member_id("core", "ada").await;
    let listed = stand.service.get(&format!("/v1/members/{member}/sessions")).await.body;
    let server = stand.service.server_id("open").await;
    assert_eq!(
        listed,
        json!({"sessions": [{
            "id": tokens.session(), "member": member, "server": server, "path": "/core/open/mcp", "client": "desktop",
            "client_name": "Desktop", "scope": "mcp:read mcp:write", "created_at": "2026-11-23T10:00:00Z",
            "last_used_at": "2026-11-23T10:00:00Z", "expires_at": "2026-12-23T10:00:00Z",
        }]})
    );
    let path = format!("/v1/sessions/{}", tokens.session());
    let revision = stand.service.revision().await;
    assert_eq!(stand.service.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(stand.service.delete(&path).await.status, StatusCode::NOT_FOUND);
    let news = stand.service.watch("vm-1", revision).await.body;
    assert_eq!(news["invalidations"], json!([{"kind": "session", "id": tokens.session()}]));
    assert_eq!(stand.lease(&tokens).await, "unknown_credential");
}

#[tokio::test]
async fn clients_that_registered_themselves_can_be_deleted() {
    let mut stand = Stand::start().await;
    let request = json!({"redirect_uris": [DESKTOP_URI], "client_name": "An app"});
    let made = send(stand.request(reqwest::Method::POST, "/oauth/register").json(&request)).await;
    let id = made.body["client_id"].as_str().expect("an id").to_owned();
    let list = stand.service.get("/v1/oauth-clients").await.body;
    let origins: Vec<&Value> =
        list["clients"].as_array().expect("clients").iter().map(|client| &client["origin"]).collect();
    assert_eq!(origins, ["config", "config", "config", "dynamic"]);
    assert!(!list.to_string().contains("canary"), "{list}");
    let code = stand.code(&Ask::of(&id, DESKTOP_URI, super::stand::OPEN)).await;
    let mut form = stand.exchange(&code);
    form.retain(|(name, _)| *name != "client_id");
    form.push(("client_id", &id));
    let tokens = super::stand::Tokens::read(&stand.post("/oauth/token", &form).await);
    let deleted = stand.service.delete(&format!("/v1/oauth-clients/{id}")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(stand.lease(&tokens).await, "unknown_credential");
    let reply = stand.ada.get(&Ask::of(&id, DESKTOP_URI, super::stand::OPEN).path()).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    for (id, status) in [("desktop", StatusCode::CONFLICT), (id.as_str(), StatusCode::NOT_FOUND)] {
        assert_eq!(stand.service.delete(&format!("/v1/oauth-clients/{id}")).await.status, status);
    }
}
