//! What to put into a client: which servers are shown to whom, and what their pages say.

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde_json::json;

use crate::browser::{Browser, GATEWAY};
use crate::harness::Service;
use crate::provider::Provider;

async fn started(more: &str) -> (Provider, Service) {
    let provider = Provider::start().await;
    let service = Service::start(&format!("{}{more}", provider.configuration())).await;
    (provider, service)
}

async fn page(browser: &mut Browser, path: &str) -> String {
    let reply = browser.get(path).await;
    assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text);
    reply.text
}

#[tokio::test]
async fn every_server_of_every_kind_in_every_workspace() {
    let (_provider, service) = started("").await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let list = page(&mut ada, "/setup").await;
    for (link, address) in [
        ("/setup/core/linear", "/core/linear/mcp"),
        ("/setup/core/notion", "/core/notion/mcp"),
        ("/setup/core/open", "/core/open/mcp"),
        ("/setup/support/notion", "/support/notion/mcp"),
        ("/setup/support/open", "/support/open/mcp"),
    ] {
        assert!(list.contains(&format!("href=\"{link}\"")), "{link}: {list}");
        assert!(list.contains(&format!("<code>{GATEWAY}{address}</code>")), "{address}: {list}");
        let page = page(&mut ada, link).await;
        assert!(page.contains(&format!("<code>{GATEWAY}{address}</code>")), "{page}");
    }
    assert!(!list.contains("/setup/support/linear"), "{list}");
    // The servers with an account to connect say so, the others do not.
    assert_eq!(list.matches(">Not connected<").count(), 3, "{list}");
    assert!(page(&mut ada, "/setup/core/linear").await.contains("an account of yours"));
    assert!(!page(&mut ada, "/setup/core/open").await.contains("account"));
}

#[tokio::test]
async fn an_address_names_the_workspace_for_those_who_are_in_several() {
    let (_provider, service) = started("").await;
    let mut eve = Browser::signed_in(&service, "Eve Mallory").await;
    let page_of_one = page(&mut eve, "/setup/core/open").await;
    assert!(page_of_one.contains(&format!("<code>{GATEWAY}/open/mcp</code>")), "{page_of_one}");
    assert!(page_of_one.contains("<code>PORTCULLIS_API_KEY</code>"), "{page_of_one}");
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let page_of_several = page(&mut ada, "/setup/support/open").await;
    assert!(page_of_several.contains("<code>PORTCULLIS_API_KEY_SUPPORT</code>"), "{page_of_several}");
    assert!(!page_of_several.contains(&format!("{GATEWAY}/open/mcp")), "{page_of_several}");
}

#[tokio::test]
async fn what_is_not_for_somebody_looks_like_what_is_not_there() {
    let (_provider, service) = started("").await;
    let mut eve = Browser::signed_in(&service, "Eve Mallory").await;
    let list = page(&mut eve, "/setup").await;
    assert!(!list.contains("Support") && !list.contains("/support/"), "{list}");
    let without_incident = |text: String| text.split("<p class=\"detail\">").next().map(str::to_owned);
    let mut seen = Vec::new();
    for path in ["/setup/support/notion", "/setup/core/no-such", "/setup/no-such/linear"] {
        let reply = eve.get(path).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
        seen.push(without_incident(reply.text));
    }
    assert!(seen.iter().all(|text| *text == seen[0]), "{seen:?}");
    // Nor does a page outlast the access.
    page(&mut eve, "/setup/core/linear").await;
    let policy = json!({"enabled": false});
    let reply = service.put("/v1/policies/workspace:core/linear", policy).await;
    assert!(reply.status.is_success(), "{}", reply.text);
    assert_eq!(eve.get("/setup/core/linear").await.status, StatusCode::FORBIDDEN);
    assert_eq!(eve.get("/setup/core/linear/cursor/api-key/2").await.status, StatusCode::FORBIDDEN);
    assert!(!page(&mut eve, "/setup").await.contains("/setup/core/linear"));
}

#[tokio::test]
async fn signing_in_leads_to_the_page_that_was_wanted() {
    let (_provider, service) = started("").await;
    for (path, next) in [
        ("/setup", "/setup"),
        ("/setup/core/linear", "/setup/core/linear"),
        ("/setup/core/linear/cursor/api-key/2", "/setup/core/linear"),
    ] {
        let mut eve = Browser::new(&service);
        let reply = eve.get(path).await;
        let sign_in = format!("/sign-in?next={next}");
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, Some(&*sign_in)));
        let reply = eve.sign_in("Eve Mallory", next).await;
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, Some(next)));
    }
}

#[tokio::test]
async fn somebody_without_servers_is_told_whom_to_ask() {
    let members = "[{issuer: 'https://idp.example', subject: ada, name: Ada Lovelace}]";
    let configuration = format!(
        "\nsign_in: {{development: true}}\nworkspaces:\n  - {{slug: core, name: Core team, members: {members}}}\n"
    );
    let service = Service::start(&configuration).await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let list = page(&mut ada, "/setup").await;
    assert!(list.contains("There is no server that you may use yet.") && list.contains("Ask"), "{list}");
}

#[tokio::test]
async fn sign_in_is_offered_to_the_clients_that_can() {
    let offered = |page: &str| page.matches("<h3>By signing in</h3>").count();
    let (_provider, service) = started("").await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let closed = page(&mut ada, "/setup/core/linear").await;
    // The explanation, and Claude Code, VS Code and Codex, which have a metadata document.
    assert_eq!(offered(&closed), 4, "{closed}");
    assert!(closed.contains("Cursor cannot sign you in at this gateway"), "{closed}");
    assert_eq!(ada.get("/setup/core/linear/cursor/sign-in/1").await.status, StatusCode::NOT_FOUND);

    let (_provider, service) = started("oauth: {dynamic_registration: true}\n").await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let open = page(&mut ada, "/setup/core/linear").await;
    assert_eq!(offered(&open), 8, "{open}");
    assert!(!open.contains("cannot sign you in"), "{open}");
}

#[tokio::test]
async fn what_is_to_be_copied_is_there_as_text_too() {
    let (_provider, service) = started("oauth: {dynamic_registration: true}\n").await;
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    let html = page(&mut ada, "/setup/core/linear").await;
    let links: Vec<&str> = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let links: Vec<&str> = links.into_iter().filter(|link| link.starts_with("/setup/core/linear/")).collect();
    assert!(links.len() >= 20, "{links:?}");
    for link in links {
        let reply = ada.get(link).await;
        assert_eq!(reply.status, StatusCode::OK, "{link}");
        assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
        let text = reply.text.trim_end();
        assert!(!text.is_empty() && html.contains(&escaped(text)), "{link}: {text}");
    }
    for other in
        ["cursor/api-key/0", "cursor/api-key/1", "cursor/api-key/99", "cursor/key/2", "emacs/api-key/2"]
    {
        let reply = ada.get(&format!("/setup/core/linear/{other}")).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{other}");
    }
    for other in ["cursor/api-key/x", "cursor/api-key/-1"] {
        let reply = ada.get(&format!("/setup/core/linear/{other}")).await;
        assert!(reply.status.is_client_error(), "{other}: {}", reply.status);
    }
}

/// As templates escape texts.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, character| {
        match character {
            '<' | '>' | '&' | '"' | '\'' => {
                let _ = write!(escaped, "&#{};", u32::from(character));
            }
            other => escaped.push(other),
        }
        escaped
    })
}

/// Names come from administrators. They are shown as they are, and are in nothing that is copied.
#[tokio::test]
async fn hostile_names_are_shown_and_never_copied() {
    let (_provider, service) = started("oauth: {dynamic_registration: true}\n").await;
    let names =
        ["\"><script>alert(1)</script>", "'; touch /tmp/x; '", "$(touch /tmp/x)", "`id`", "${HOME}{{ 7 }}"];
    let mut ada = Browser::signed_in(&service, "Ada Lovelace").await;
    for (number, name) in names.into_iter().enumerate() {
        let (workspace, server) = (format!("team-{number}"), format!("tools-{number}"));
        let reply = service.post("/v1/workspaces", json!({"slug": workspace, "name": name})).await;
        assert!(reply.status.is_success(), "{}", reply.text);
        let member = json!({"issuer": "https://idp.example", "subject": "ada", "name": "Ada Lovelace"});
        let reply = service.post(&format!("/v1/workspaces/{workspace}/members"), member).await;
        assert!(reply.status.is_success(), "{}", reply.text);
        let body = json!({"slug": server, "name": name, "url": "https://tools.example/mcp", "auth": {"type": "none"},
                          "workspaces": [workspace]});
        let reply = service.post("/v1/servers", body).await;
        assert!(reply.status.is_success(), "{}", reply.text);
        let html = page(&mut ada, &format!("/setup/{workspace}/{server}")).await;
        assert!(html.contains(&escaped(name)) && !html.contains("<script"), "{html}");
        let copied = html.split("<pre").skip(1).filter_map(|rest| rest.split("</pre>").next());
        for text in copied {
            assert!(!text.contains(&escaped(name)), "{name}: {text}");
        }
        let list = page(&mut ada, "/setup").await;
        assert!(list.contains(&escaped(name)) && !list.contains("<script"), "{list}");
    }
    let reply = service.post("/v1/workspaces", json!({"slug": "other", "name": "two\nlines"})).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", reply.text);
}

/// A reader of the page gets no key, and the page asks for none.
#[tokio::test]
async fn no_key_is_on_the_page() {
    let (_provider, service) = started("oauth: {dynamic_registration: true}\n").await;
    let member = service.member_id("core", "eve").await;
    let reply = service.post("/v1/workspaces/core/keys", json!({"name": "laptop", "member": member})).await;
    assert!(reply.status.is_success(), "{}", reply.text);
    let mut eve = Browser::signed_in(&service, "Eve Mallory").await;
    let html = page(&mut eve, "/setup/core/linear").await;
    assert!(!html.contains("pcl_"), "{html}");
    // The forms of the page are the one for signing out.
    assert_eq!(html.matches("<form").count(), 1, "{html}");
}
