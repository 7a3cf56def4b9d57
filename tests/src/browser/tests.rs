//! The browser and the people at it.

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;
use crate::provider::Provider;
use crate::provider::clients::Client;
use crate::provider::faults::Endpoint;
use crate::provider::shape::{Resource, Shape};
use crate::upstream::Serving;

/// A page for a browser to come back to, and its address.
pub(crate) async fn landing() -> anyhow::Result<(Serving, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let serving = Serving::start(listener, Router::new().route("/callback", get(async || "Back.")))?;
    let url = format!("http://{}/callback", serving.address);
    Ok((serving, url))
}

#[tokio::test]
async fn two_people_click_through_a_provider_and_share_nothing() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let (_landing, redirect_uri) = landing().await?;
    let mut client = Client::confidential("app", "secret");
    client.redirect_uris.push(redirect_uri.clone());
    let provider = Provider::start(Shape { resource: Resource::Ignored, ..Shape::github(client) }).await?;
    let authorize = provider.url(Endpoint::Authorize);
    let url = format!("{authorize}?response_type=code&client_id=app&redirect_uri={redirect_uri}&state=s");
    let (ada, grace) = (browser.person("ada").await, browser.person("grace").await);
    ada.set_cookie(&authorize, "secret", "of-ada").await;
    for (person, account) in [(&ada, "ada@github"), (&grace, "grace@github")] {
        assert_eq!(person.goto(&url).await, 200);
        assert_eq!(person.title().await, "GitHub: sign in");
        assert!(person.text().await.contains("asks for: repo"));
        person.fill("Account", account).await;
        assert_eq!(person.count("button", "Deny").await, 1);
        person.click("button", "Allow").await;
        person.wait_for_url(&format!("{redirect_uri}?code=")).await;
        assert_eq!(person.text().await, "Back.");
    }
    let subjects: Vec<_> = provider.ledger.authorizations().into_iter().map(|one| one.subject).collect();
    assert_eq!(subjects, ["ada@github", "grace@github"]);
    assert_eq!(ada.cookies().await[0].value, "of-ada");
    assert!(grace.cookies().await.is_empty());
    let picture = tempfile::tempdir()?;
    grace.goto(&url).await;
    grace.screenshot(&picture.path().join("page.png")).await;
    assert!(std::fs::metadata(picture.path().join("page.png"))?.len() > 1000);
    grace.leave().await;
    assert!(ada.complaints().await.iter().all(|complaint| !complaint.contains("policy")));
    Ok(())
}
