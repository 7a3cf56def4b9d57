//! A9 to A12: the page on which a member allows a client, and everything that could stand in for the member.

use reqwest::{Method, StatusCode};
use url::Url;

use super::stand::{Ask, OPEN, Stand, decision_form, parameter, send};
use crate::browser::{Browser, Departure, GATEWAY, encoded, field};

/// A path that names no workspace, of a server that Ada has in two.
const EITHER: &str = "http://127.0.0.1:10000/open/mcp";

#[tokio::test]
async fn the_page_names_everything_and_decides_nothing() {
    let mut stand = Stand::start().await;
    let page = stand.consent(&Ask::desktop()).await;
    for shown in
        ["“Desktop”", "An administrator of the gateway has registered it", "127.0.0.1", "Open", "Core team"]
    {
        assert!(page.text.contains(shown), "{shown}: {}", page.text);
    }
    assert!(page.text.contains("value=\"everything\" checked") && page.text.contains("Read only"));
    assert!(!page.text.contains("<script") && !page.text.contains("http-equiv"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    // However often it was allowed before, it is asked again.
    stand.sign_in().await;
    let again = stand.consent(&Ask::desktop()).await;
    assert!(again.text.contains("name=\"decision\" value=\"allow\""), "{}", again.text);
}

#[tokio::test]
async fn somebody_in_several_workspaces_chooses() {
    let mut stand = Stand::start().await;
    let ask = Ask::of("desktop", "http://127.0.0.1:41234/cb", EITHER);
    let page = stand.consent(&ask).await;
    assert_eq!(page.text.matches("type=\"radio\" name=\"member\"").count(), 2, "{}", page.text);
    assert!(page.text.contains("Core team") && page.text.contains("Support"));
    let support = stand.service.member_id("support", "ada").await;
    let back = stand.decide(&page, "allow", &[("member", &support)]).await;
    let code = parameter(&Departure::read(&back).url, "code").expect("a code");
    let mut form = stand.exchange(&code);
    form.retain(|(name, _)| *name != "resource");
    form.push(("resource", EITHER));
    let tokens = super::stand::Tokens::read(&stand.post("/oauth/token", &form).await);
    assert_eq!(tokens.claims["sub"], support.as_str());
    assert_eq!(tokens.claims["aud"], EITHER);
    // Nobody is let in as whom they are not.
    let eve = stand.service.member_id("core", "eve").await;
    for member in [eve.as_str(), "mem_none", ""] {
        let page = stand.consent(&ask).await;
        let reply = stand.decide(&page, "allow", &[("member", member)]).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{member}");
    }
}

#[tokio::test]
async fn reading_can_be_all_that_is_allowed() {
    let mut stand = Stand::start().await;
    let page = stand.consent(&Ask::desktop()).await;
    let back = stand.decide(&page, "allow", &[("extent", "reading")]).await;
    let code = parameter(&Departure::read(&back).url, "code").expect("a code");
    let reply = stand.post("/oauth/token", &stand.exchange(&code)).await;
    assert_eq!(reply.body["scope"], "mcp:read");
    // What was not asked for cannot be allowed.
    let page = stand.consent(&Ask::desktop().with("scope", "mcp:read")).await;
    assert!(!page.text.contains("value=\"everything\""), "{}", page.text);
    let back = stand.decide(&page, "allow", &[("extent", "everything")]).await;
    let code = parameter(&Departure::read(&back).url, "code").expect("a code");
    let reply = stand.post("/oauth/token", &stand.exchange(&code)).await;
    assert_eq!(reply.body["scope"], "mcp:read");
}

#[tokio::test]
async fn a_server_that_is_not_there_looks_like_one_that_is_not_yours() {
    let mut stand = Stand::start().await;
    let mut eve = Browser::signed_in(&stand.service, "Eve Mallory").await;
    let mut pages = Vec::new();
    for path in ["/no-such-server/mcp", "/support/open/mcp", "/no-such-workspace/open/mcp"] {
        let ask = Ask::of("desktop", "http://127.0.0.1:41234/cb", &format!("{GATEWAY}{path}"));
        let sent = eve.get(&ask.path()).await;
        let page = eve.get(sent.header("location").expect("a location")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains("This server is not available to you"), "{}", page.text);
        assert!(!page.text.contains("value=\"allow\""), "{}", page.text);
        pages.push(page.text.replace(&field(&page.text, "request"), ""));
        let form = decision_form(&page.text, "allow", &[("member", "mem_none")]);
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(eve.post("/oauth/consent", &form).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert!(pages.windows(2).all(|pair| pair[0] == pair[1]), "the pages tell them apart");
    // The way back is open all the same.
    let ask = Ask::of("desktop", "http://127.0.0.1:41234/cb", &format!("{GATEWAY}/no-such-server/mcp"));
    let page = stand.consent(&ask).await;
    let back = Departure::read(&stand.decide(&page, "cancel", &[]).await).url;
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn cancelling_goes_back_without_a_code() {
    let mut stand = Stand::start().await;
    let page = stand.consent(&Ask::desktop()).await;
    let reply = stand.decide(&page, "cancel", &[]).await;
    let back = Departure::read(&reply).url;
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back, "state").as_deref(), Some("a state & more"));
    assert_eq!((parameter(&back, "iss").as_deref(), parameter(&back, "code")), (Some(GATEWAY), None));
}

#[tokio::test]
async fn a_form_that_is_not_the_members_own_allows_nothing() {
    let mut stand = Stand::start().await;
    let page = stand.consent(&Ask::desktop()).await;
    let form = decision_form(&page.text, "allow", &[]);
    let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = encoded(&pairs);
    let post = |origin: Option<&str>, site: &str, body: &str| {
        let mut request = stand.ada.request(Method::POST, "/oauth/consent").header("sec-fetch-site", site);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        send(request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned()))
    };
    let eve = Browser::signed_in(&stand.service, "Eve Mallory").await;
    let mut other = eve.clone();
    let eves = other.get(&format!("/oauth/consent?request={}", field(&page.text, "request"))).await;
    let without = encoded(&pairs.iter().filter(|(name, _)| *name != "csrf").copied().collect::<Vec<_>>());
    let with_eves = body.replace(&field(&page.text, "csrf"), &field(&eves.text, "csrf"));
    for (name, reply) in [
        ("another origin", post(Some("https://evil.example"), "same-origin", &body).await),
        ("no origin", post(None, "same-origin", &body).await),
        ("a null origin", post(Some("null"), "same-origin", &body).await),
        ("another site", post(Some(GATEWAY), "cross-site", &body).await),
        ("no token", post(Some(GATEWAY), "same-origin", &without).await),
        ("somebody else's token", post(Some(GATEWAY), "same-origin", &with_eves).await),
    ] {
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{name}");
        assert!(!reply.text.contains("code="), "{name}");
    }
    let twice = format!("{body}&decision=allow");
    assert_eq!(post(Some(GATEWAY), "same-origin", &twice).await.status, StatusCode::BAD_REQUEST);
    // Signed out, or another person by now.
    let mut out = Browser::new(&stand.service);
    assert_eq!(out.post("/oauth/consent", &pairs).await.status, StatusCode::FORBIDDEN);
    // The same page still works for Ada, once.
    let reply = stand.ada.post("/oauth/consent", &pairs).await;
    assert!(parameter(&Departure::read(&reply).url, "code").is_some());
    let again = stand.ada.post("/oauth/consent", &pairs).await;
    assert_eq!(again.status, StatusCode::GONE, "{}", again.text);
    assert!(!again.text.contains("code="));
}

#[tokio::test]
async fn of_many_clicks_one_counts() {
    let mut stand = Stand::start().await;
    let page = stand.consent(&Ask::desktop()).await;
    let form = decision_form(&page.text, "allow", &[]);
    let mut clicks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (mut ada, form) = (stand.ada.clone(), form.clone());
        clicks.spawn(async move {
            let form: Vec<(&str, &str)> =
                form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            ada.post("/oauth/consent", &form).await.status
        });
    }
    let statuses = clicks.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{statuses:?}");
}

#[tokio::test]
async fn a_request_ends_after_twenty_minutes() {
    let mut stand = Stand::start().await;
    let page = stand.consent(&Ask::desktop()).await;
    stand.service.clock.advance(20 * 60 * 1_000);
    let reply = stand.decide(&page, "allow", &[]).await;
    assert_eq!(reply.status, StatusCode::GONE, "{}", reply.text);
}

#[tokio::test]
async fn another_persons_session_is_shown_its_own_page() {
    // The address of the page is captured and opened by a victim: it is the victim's own decision, with all of it shown.
    let mut stand = Stand::start().await;
    let page = stand.consent(&Ask::desktop()).await;
    let mut eve = Browser::signed_in(&stand.service, "Eve Mallory").await;
    let opened = eve.get(&format!("/oauth/consent?request={}", field(&page.text, "request"))).await;
    assert!(opened.text.contains("Eve Mallory") && opened.text.contains("“Desktop”"), "{}", opened.text);
    assert_ne!(field(&opened.text, "csrf"), field(&page.text, "csrf"));
    // What Ada agreed to stays Ada's: the request is used up.
    stand.decide(&page, "allow", &[]).await;
    let form = decision_form(&opened.text, "allow", &[]);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(eve.post("/oauth/consent", &form).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn addresses_on_this_computer_are_warned_about() {
    let mut stand = Stand::start().await;
    let warning = "Any program on this computer could be at that address";
    for (client, uri, warned) in [
        ("desktop", "http://127.0.0.1:41234/cb", true),
        ("desktop", "com.example.desktop:/cb", true),
        ("assistant", "https://assistant.example/cb?tenant=1", false),
    ] {
        let page = stand.consent(&Ask::of(client, uri, OPEN)).await;
        assert_eq!(page.text.contains(warning), warned, "{uri}");
        let host = Url::parse(uri).expect("a URL").host_str().unwrap_or("com.example.desktop:").to_owned();
        assert!(page.text.contains(&format!("<strong>{host}</strong>")), "{uri}: {}", page.text);
    }
}

#[tokio::test]
async fn what_has_changed_since_the_page_was_made_is_shown_again() {
    let mut stand = Stand::start().await;
    let ask = Ask::of("desktop", "http://127.0.0.1:41234/cb", EITHER);
    let page = stand.consent(&ask).await;
    let policy = serde_json::json!({"enabled": false});
    let changed = stand.service.put("/v1/policies/workspace:support/open", policy).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    let again = stand.decide(&page, "allow", &[]).await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(again.text.contains("Allow") && !again.text.contains("http-equiv"), "{}", again.text);
    assert!(!again.text.contains("Support"), "{}", again.text);
}
