//! Forms of the console whose pages say the same as before, or only what was changed.

use reqwest::StatusCode;
use serde_json::json;

use super::console_routes::form;
use super::world::{Role, World};
use crate::reply::Reply;

async fn send(world: &World, path: &str, fields: &[(&str, &str)]) -> Reply {
    let olga = world.person(Role::Owner);
    let mut body = url::form_urlencoded::Serializer::new(format!("csrf={}", olga.csrf));
    let request = form(olga, path, &body.extend_pairs(fields).finish());
    Reply::read(request.header("origin", &world.service.addresses.admin).send().await.expect("a reply")).await
}

async fn page(world: &World, path: &str) -> String {
    let request = world.person(Role::Owner).browser.request(reqwest::Method::GET, path);
    let reply = Reply::read(request.send().await.expect("a reply")).await;
    assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text);
    reply.text
}

#[tokio::test]
async fn a_connection_can_be_ended_once() {
    let world = World::start().await;
    let (member, connection) = (&world.ids["member"], &world.ids["connection"]);
    let ends = format!("/connections/{connection}/delete");
    for path in ["/servers/linear".to_owned(), format!("/members/{member}")] {
        let text = page(&world, &path).await;
        assert!(text.contains(&ends) && text.contains(">Connected<"), "{text}");
    }
    let reply = send(&world, &ends, &[("back", &format!("member {member}"))]).await;
    assert_eq!(reply.header("location"), Some(format!("/members/{member}").as_str()), "{}", reply.text);
    let text = page(&world, &format!("/members/{member}")).await;
    assert!(!text.contains(&ends) && text.contains(">Disconnected<"), "{text}");
}

#[tokio::test]
async fn a_server_may_be_called_as_the_page_that_adds_one() {
    let world = World::start().await;
    for slug in ["new", "check"] {
        let fields =
            [("slug", slug), ("url", "https://mcp.example/mcp"), ("auth", "none"), ("all_workspaces", "1")];
        let reply = send(&world, "/servers/-/new", &fields).await;
        assert_eq!(reply.header("location"), Some(format!("/servers/{slug}").as_str()), "{}", reply.text);
        let text = page(&world, &format!("/servers/{slug}")).await;
        assert!(text.contains(&format!("/{slug}/mcp")), "{text}");
    }
}

#[tokio::test]
async fn what_a_form_does_not_show_of_a_sign_in_stays() {
    let world = World::start().await;
    let authorization_server = json!({"issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/authorize", "token_endpoint": "https://as.example/token"});
    let auth = json!({"type": "oauth", "client": {"id": "gateway", "secret": "one"}, "scopes": ["read"],
        "authorize_parameters": {"prompt": "consent"}, "authorization_server": authorization_server});
    let body = json!({"slug": "crm", "url": "https://crm.example/mcp", "workspaces": "all", "auth": auth});
    assert!(world.service.post("/v1/servers", body).await.status.is_success());
    let fields = [
        ("name", "CRM"),
        ("auth", "oauth"),
        ("client_id", "gateway"),
        ("scopes", "read write"),
        ("issuer", "https://as.example"),
    ];
    let reply = send(&world, "/servers/crm", &fields).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
    let shown = world.service.get("/v1/servers/crm").await.body;
    assert_eq!((&shown["name"], &shown["auth"]["scopes"]), (&json!("CRM"), &json!(["read", "write"])));
    assert_eq!(shown["auth"]["authorize_parameters"], json!({"prompt": "consent"}));
    assert_eq!(shown["auth"]["authorization_server"], authorization_server);
    assert_eq!(shown["auth"]["client"]["generation"], 1, "the secret is the one that it was: {shown}");

    // Another secret takes its place, and another header stands beside the one that there is.
    let reply = send(&world, "/servers/crm", &[&fields[..], &[("client_secret", "two")]].concat()).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
    assert_eq!(world.service.get("/v1/servers/crm").await.body["auth"]["client"]["generation"], 2);
    for (name, value) in [("X-Team", "a"), ("X-Key", "b")] {
        let header = [("auth", "headers"), ("header_name", name), ("header_value", value)];
        let reply = send(&world, "/servers/crm", &header).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
    }
    let headers = world.service.get("/v1/servers/crm").await.body["auth"]["headers"].clone();
    let names: Vec<_> = headers.as_array().expect("a list").iter().map(|header| &header["name"]).collect();
    assert_eq!(names, ["x-team", "x-key"], "{headers}");
}
