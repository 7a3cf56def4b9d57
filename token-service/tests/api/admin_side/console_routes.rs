//! Every page of the console against every role, from the list that the router is made of, and every form against
//! whoever may not send it.

use std::collections::BTreeSet;

use portcullis_token_service::http::admin::console::{ASSET_ROUTES, CONSOLE_ROUTES};
use reqwest::{Method, RequestBuilder, StatusCode};

use super::world::{Person, ROLES, Role, World};
use crate::browser::Browser;
use crate::reply::Reply;

/// By route: a path, and what each role gets in the order of [`ROLES`]: anonymous, token, owner, admin, manager here,
/// manager elsewhere, oneself, fellow, member elsewhere. `s` has to sign in, `.` is shown, `x` 403, `-` 404, `?` 422.
const PAGES: [(&str, &str, &str); 18] = [
    ("/", "/", "ss......."),
    ("/servers", "/servers", "ss......."),
    ("/servers/-/new", "/servers/-/new", "ss..xxxxx"),
    ("/servers/{server}", "/servers/linear", "ss...-..-"),
    ("/servers/{server}/tools", "/servers/linear/tools", "ss..x-xx-"),
    ("/servers/{server}/tools/{tool}", "/servers/linear/tools/search", "ss...-xx-"),
    ("/servers/{server}/rules", "/servers/linear/rules", "ss..x-xx-"),
    ("/workspaces", "/workspaces", "ss......."),
    ("/workspaces/{workspace}", "/workspaces/core", "ss...-..-"),
    ("/workspaces/{workspace}/members", "/workspaces/core/members", "ss...-xx-"),
    ("/workspaces/{workspace}/keys", "/workspaces/core/keys", "ss...-..-"),
    ("/members/{member}", "/members/MEMBER", "ss...-.--"),
    ("/keys/{key}", "/keys/KEY", "ss...-.--"),
    ("/requests", "/requests", "ss......."),
    // Of nobody's, so that nobody waits for news.
    ("/requests/live", "/requests/live?after=x", "ss???????"),
    ("/requests/{record}", "/requests/RECORD", "ss...-.--"),
    ("/explain", "/explain", "ss..xxxxx"),
    ("/audit", "/audit", "ss..xxxxx"),
];
const SETTINGS: (&str, &str, &str) = ("/settings", "/settings", "ss..xxxxx");

fn letter(reply: &Reply) -> char {
    match reply.status {
        StatusCode::SEE_OTHER if reply.header("location") == Some("/sign-in") => 's',
        StatusCode::OK => '.',
        StatusCode::FORBIDDEN => 'x',
        StatusCode::NOT_FOUND => '-',
        StatusCode::UNPROCESSABLE_ENTITY => '?',
        other => panic!("{other}: {}", reply.text),
    }
}

fn filled(world: &World, path: &str) -> String {
    let mut path = path.replace("{target}", &format!("member:{}", world.ids["member"]));
    for (name, id) in &world.ids {
        path = path.replace(&format!("{{{name}}}"), id).replace(&name.to_uppercase(), id);
    }
    path.replace("{tool}", "search")
}

#[tokio::test]
async fn every_page_against_every_role() {
    let world = World::start().await;
    let pages: Vec<_> = PAGES.into_iter().chain([SETTINGS]).collect();
    let named: BTreeSet<_> = pages.iter().map(|(route, ..)| *route).collect();
    let routes = CONSOLE_ROUTES.iter().filter(|(method, _)| *method == "get").map(|(_, route)| *route);
    assert_eq!(named, routes.collect(), "the table names every page, and no other");
    let mut wrong = Vec::new();
    for (_, path, expected) in pages {
        let path = filled(&world, path);
        let expected: Vec<char> = expected.chars().collect();
        for (role, expected) in ROLES.into_iter().zip(expected) {
            let request = match role {
                Role::Anonymous => Browser::of_admin(&world.service).request(Method::GET, &path),
                Role::AdminToken => Browser::of_admin(&world.service)
                    .request(Method::GET, &path)
                    .header("authorization", format!("Bearer {}", world.service.token())),
                _ => world.person(role).browser.request(Method::GET, &path),
            };
            let reply = Reply::read(request.send().await.expect("a reply")).await;
            for (name, value) in [("x-frame-options", "DENY"), ("cache-control", "no-store")] {
                assert_eq!(reply.header(name), Some(value), "{path}");
            }
            let policy = reply.header("content-security-policy").expect("a policy");
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            let found = letter(&reply);
            if found != expected {
                wrong.push(format!("{role:?} {path}: {found} for {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(super) fn form(person: &Person, path: &str, body: &str) -> RequestBuilder {
    person
        .browser
        .request(Method::POST, path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.to_owned())
}

fn forms(world: &World) -> Vec<String> {
    let routes = CONSOLE_ROUTES.iter().filter(|(method, _)| *method == "post");
    routes.map(|(_, route)| filled(world, route)).collect()
}

#[tokio::test]
async fn a_form_that_is_not_of_our_page_changes_nothing() {
    let world = World::start().await;
    let (olga, adam) = (world.person(Role::Owner), world.person(Role::Admin));
    let ours = &world.service.addresses.admin;
    let before = world.service.revision().await;
    let (right, foreign) = (format!("csrf={}", olga.csrf), format!("csrf={}", adam.csrf));
    for path in forms(&world) {
        let attempts = [
            form(olga, &path, "").header("origin", ours),
            form(olga, &path, "csrf=guessed").header("origin", ours),
            form(olga, &path, &foreign).header("origin", ours),
            form(olga, &path, &format!("{right}&{right}")).header("origin", ours),
            form(olga, &path, &right),
            form(olga, &path, &right).header("origin", "https://evil.example"),
            form(olga, &path, &right).header("origin", ours).header("sec-fetch-site", "cross-site"),
            olga.browser
                .request(Method::POST, &path)
                .header("origin", ours)
                .header("content-type", "text/plain")
                .body(right.clone()),
        ];
        for (number, attempt) in attempts.into_iter().enumerate() {
            let reply = Reply::read(attempt.send().await.expect("a reply")).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path} {number}: {}", reply.text);
        }
        let stranger = Browser::of_admin(&world.service).request(Method::POST, &path).header("origin", ours);
        let reply = Reply::read(stranger.send().await.expect("a reply")).await;
        assert_eq!(letter(&reply), 's', "{path}");
    }
    assert_eq!(world.service.revision().await, before);
}

#[tokio::test]
async fn a_form_does_no_more_than_its_sender_may() {
    let world = World::start().await;
    let ours = &world.service.addresses.admin;
    let before = world.service.revision().await;
    for role in [Role::Fellow, Role::MemberElsewhere, Role::ManagerElsewhere] {
        let person = world.person(role);
        // What would do for somebody who may.
        let body = format!(
            "csrf={}&slug=new&name=New&auth=none&url=https://mcp.example/mcp&subject=x&issuer=https://idp.example\
             &role=owner&reason=x&level=organization&server=linear&access=allow&decision=release&overlap_hours=0\
             &member={}&rules={{\"tools\":{{\"deny\":[\"x\"]}}}}&listed=core&listed=search&digest={}",
            person.csrf, world.ids["member"], world.ids["tool_digest"]
        );
        for path in forms(&world) {
            if path == "/sign-out" {
                continue;
            }
            let attempt = form(person, &path, &body).header("origin", ours).send().await.expect("a reply");
            let reply = Reply::read(attempt).await;
            assert!(reply.status.is_client_error(), "{role:?} {path}: {} {}", reply.status, reply.text);
            assert_eq!(world.service.revision().await, before, "{role:?} {path}");
        }
    }
}

#[tokio::test]
async fn a_refusal_within_a_page_says_where_it_belongs() {
    let world = World::start().await;
    let olga = world.person(Role::Owner);
    let body = format!("csrf={}&slug=Not+a+slug&name=%3Cb%3E", olga.csrf);
    let request = || form(olga, "/workspaces", &body).header("origin", &world.service.addresses.admin);
    let part = Reply::read(request().header("hx-request", "true").send().await.expect("a reply")).await;
    assert_eq!(part.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(part.header("hx-retarget"), Some("#problems"));
    assert!(part.text.contains("<strong>slug</strong>") && !part.text.contains("<main"), "{}", part.text);
    let whole = Reply::read(request().send().await.expect("a reply")).await;
    assert!(whole.text.contains("<strong>slug</strong>") && whole.text.contains("<main"), "{}", whole.text);
    // What loads a part of a page says it there too, and a link that is followed becomes a page.
    let load = |path: &str| olga.browser.request(Method::GET, path).header("hx-request", "true");
    let part = Reply::read(load("/requests/live?after=x").send().await.expect("a reply")).await;
    assert_eq!(part.header("hx-retarget"), Some("#problems"), "{}", part.text);
    let link = load("/members/none").header("hx-boosted", "true").send().await.expect("a reply");
    let whole = Reply::read(link).await;
    assert_eq!((whole.status, whole.header("hx-retarget")), (StatusCode::NOT_FOUND, None), "{}", whole.text);
    assert!(whole.text.contains("<main"), "{}", whole.text);
    // Somebody whose session is over goes to the sign-in page as a whole.
    let gone =
        Browser::of_admin(&world.service).request(Method::GET, "/servers").header("hx-request", "true");
    let reply = Reply::read(gone.send().await.expect("a reply")).await;
    assert_eq!((reply.status.as_u16(), reply.header("hx-redirect")), (401, Some("/sign-in")));
}

#[tokio::test]
async fn what_pages_load_is_there_for_everybody() {
    let world = World::start().await;
    for (_, path) in ASSET_ROUTES {
        let reply =
            Browser::of_admin(&world.service).request(Method::GET, path).send().await.expect("a reply");
        assert_eq!(reply.status(), StatusCode::OK, "{path}");
    }
}
