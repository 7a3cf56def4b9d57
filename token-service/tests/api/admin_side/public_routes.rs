//! Every route of the public listener, and the pages of the admin one, against who may open it, from the list that the
//! router is made of: a route that the table does not name fails the test.

use std::collections::BTreeSet;

use portcullis_token_service::http::public::{ADMIN_ROUTES, DOCUMENTS, ENDPOINTS, ROUTES, STEPS};
use reqwest::Method;
use serde_json::json;

use super::world::{Role, World, on_the_pages};
use crate::browser::{Browser, GATEWAY};
use crate::provider::Provider;

/// By route: a path, and what a stranger, Ada, another member of her workspace, and one of another get. Posts come
/// without a form, which is what a stranger can do; a session is asked for before the form is looked at.
const TABLE: [(&str, &str, &str, [u16; 4]); 43] = [
    ("get", "/livez", "/livez", [200; 4]),
    ("get", "/readyz", "/readyz", [200; 4]),
    ("get", "/", "/", [303; 4]),
    ("get", "/connect/{ticket}", "LINK", [303, 200, 403, 403]),
    ("post", "/connect/{ticket}", "LINK", [403; 4]),
    ("get", "/callback/{server}", "/callback/SERVER?code=x&state=y", [400; 4]),
    ("get", "/connections", "/connections", [303, 200, 200, 200]),
    ("post", "/connections/{server}/connect", "/connections/SERVER/connect", [403; 4]),
    (
        "get",
        "/connections/{server}/connected",
        "/connections/SERVER/connected?member=MEMBER",
        [303, 303, 403, 403],
    ),
    ("post", "/connections/{server}/keep", "/connections/SERVER/keep", [403; 4]),
    ("post", "/connections/{server}/disconnect", "/connections/SERVER/disconnect", [403; 4]),
    ("get", "/setup", "/setup", [303, 200, 200, 200]),
    ("get", "/setup/{workspace}/{server}", "/setup/core/linear", [303, 200, 200, 403]),
    (
        "get",
        "/setup/{workspace}/{server}/{client}/{credential}/{step}",
        "/setup/core/linear/cursor/api-key/2",
        [303, 200, 200, 403],
    ),
    ("get", "/sign-in", "/sign-in", [200; 4]),
    ("post", "/sign-in", "/sign-in", [403; 4]),
    ("get", "/sign-in/callback", "/sign-in/callback?code=x&state=y", [404; 4]),
    ("post", "/sign-out", "/sign-out", [403; 4]),
    ("get", "/sign-out", "/sign-out", [200; 4]),
    ("get", "/oauth/client/{server}", "/oauth/client/SERVER", [200; 4]),
    ("post", "/connections/sign-out", "/connections/sign-out", [403; 4]),
    ("get", "/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server", [200; 4]),
    (
        "options",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server",
        [200; 4],
    ),
    ("get", "/.well-known/openid-configuration", "/.well-known/openid-configuration", [200; 4]),
    ("options", "/.well-known/openid-configuration", "/.well-known/openid-configuration", [200; 4]),
    (
        "get",
        "/.well-known/oauth-protected-resource/{first}/mcp",
        "/.well-known/oauth-protected-resource/linear/mcp",
        [200; 4],
    ),
    (
        "options",
        "/.well-known/oauth-protected-resource/{first}/mcp",
        "/.well-known/oauth-protected-resource/linear/mcp",
        [200; 4],
    ),
    (
        "get",
        "/.well-known/oauth-protected-resource/{first}/{second}/mcp",
        "/.well-known/oauth-protected-resource/no-such/no-such/mcp",
        [200; 4],
    ),
    (
        "options",
        "/.well-known/oauth-protected-resource/{first}/{second}/mcp",
        "/.well-known/oauth-protected-resource/core/linear/mcp",
        [200; 4],
    ),
    ("get", "/oauth/jwks", "/oauth/jwks", [200; 4]),
    ("options", "/oauth/jwks", "/oauth/jwks", [200; 4]),
    ("post", "/oauth/token", "/oauth/token", [400; 4]),
    ("options", "/oauth/token", "/oauth/token", [200; 4]),
    ("post", "/oauth/revoke", "/oauth/revoke", [400; 4]),
    ("options", "/oauth/revoke", "/oauth/revoke", [200; 4]),
    ("post", "/oauth/register", "/oauth/register", [404; 4]),
    ("options", "/oauth/register", "/oauth/register", [200; 4]),
    ("get", "/oauth/authorize", "/oauth/authorize", [400; 4]),
    ("get", "/oauth/consent", "/oauth/consent?request=x", [400; 4]),
    ("post", "/oauth/consent", "/oauth/consent?request=x", [403; 4]),
    ("post", "/oauth/continue", "/oauth/continue", [403; 4]),
    ("post", "/oauth/introspect", "/oauth/introspect", [400; 4]),
    ("get", "/assets/portcullis.css", "/assets/portcullis.css", [200; 4]),
];

const ADMIN_TABLE: [(&str, &str, u16); 4] = [
    ("get", "/sign-in", 200),
    ("post", "/sign-in", 403),
    ("get", "/sign-in/callback", 404),
    ("get", "/assets/portcullis.css", 200),
];

/// In which `linear` wants an account of everybody.
async fn world(provider: &Provider) -> World {
    let world = World::start().await;
    let url = format!("{}/linear", provider.url);
    let change = json!({"auth": {"type": "oauth"}, "url": url, "allow_http": true});
    let reply = world.service.patch("/v1/servers/linear", change).await;
    assert!(reply.status.is_success(), "{}", reply.text);
    world
}

#[tokio::test]
async fn every_public_route_against_everybody() {
    let provider = Provider::start().await;
    let world = world(&provider).await;
    let named: BTreeSet<_> = TABLE.iter().map(|(method, route, ..)| (*method, *route)).collect();
    let routes: BTreeSet<_> = [ROUTES, DOCUMENTS, ENDPOINTS, STEPS].concat().into_iter().collect();
    assert_eq!(named, routes, "the table names every route, and no other");
    let mut everybody = vec![Browser::new(&world.service)];
    for name in ["Ada Lovelace", "Grace Hopper", "Eve Mallory"] {
        everybody.push(on_the_pages(&world.service, name).await);
    }
    let mut wrong = Vec::new();
    for (method, route, path, expected) in TABLE {
        for (browser, expected) in everybody.iter().zip(expected) {
            let link = if path == "LINK" {
                world.service.connect_link("core", "ada", "linear", None).await
            } else {
                path.replace("SERVER", &world.ids["server"]).replace("MEMBER", &world.ids["member"])
            };
            let method: Method = method.to_uppercase().parse().expect("a method");
            let mut request = browser.request(method.clone(), &link);
            if method == Method::POST {
                let form = "application/x-www-form-urlencoded";
                request = request.header("origin", GATEWAY).header("content-type", form).body("csrf=guessed");
            }
            let status = request.send().await.expect("a reply").status().as_u16();
            if status != expected {
                wrong.push(format!("{method} {route}: {status} for {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_opens_the_admin_side_opens_no_page() {
    let provider = Provider::start().await;
    let world = world(&provider).await;
    let owner = world.person(Role::Owner).browser.clone();
    let mut pages = Browser::new(&world.service);
    pages.cookies = owner.cookies;
    let token = format!("Bearer {}", world.service.token());
    for (method, route) in [ROUTES, STEPS].concat() {
        if method != "get" {
            continue;
        }
        let path = route.replace("{server}", &world.ids["server"]).replace("{ticket}", &"x".repeat(43));
        let plain = Browser::new(&world.service).request(Method::GET, &path).send().await.expect("a reply");
        for request in [
            pages.request(Method::GET, &path),
            Browser::new(&world.service).request(Method::GET, &path).header("authorization", &token),
        ] {
            let reply = request.send().await.expect("a reply");
            assert_eq!(reply.status(), plain.status(), "{path}");
        }
    }
    // And the admin API is not there at all.
    for path in ["/v1/me", "/v1/servers", "/openapi.json"] {
        let reply = pages.request(Method::GET, path).header("authorization", &token).send().await;
        assert_eq!(reply.expect("a reply").status(), 404, "{path}");
    }
}

#[tokio::test]
async fn the_pages_of_the_admin_side() {
    let provider = Provider::start().await;
    let world = world(&provider).await;
    let named: Vec<_> = ADMIN_TABLE.iter().map(|(method, route, _)| (*method, *route)).collect();
    assert_eq!(named, ADMIN_ROUTES);
    for (method, path, expected) in ADMIN_TABLE {
        let method: Method = method.to_uppercase().parse().expect("a method");
        let request = Browser::of_admin(&world.service).request(method.clone(), path).send().await;
        let reply = request.expect("a reply");
        assert_eq!(reply.status().as_u16(), expected, "{method} {path}");
        let policy = reply.headers()["content-security-policy"].to_str().expect("a text").to_owned();
        assert!(
            policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"),
            "{policy}"
        );
        assert_eq!(reply.headers()["x-frame-options"], "DENY");
    }
    let (mut browser, origin) = (Browser::of_admin(&world.service), world.service.addresses.admin.clone());
    for next in ["https://evil.example", "//evil.example", "/connections", "/connect/x"] {
        let reply = browser.sign_in_to("Olga Owner", next, &origin).await;
        assert_eq!((reply.status.as_u16(), reply.header("location")), (303, Some("/")), "{next}");
    }
}
