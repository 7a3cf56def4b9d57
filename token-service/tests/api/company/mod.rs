//! Signing in at the company's provider.

mod hostile;
pub(crate) mod login;
mod mapping;
mod sessions;

use reqwest::StatusCode;
use serde_json::Value;
use url::Url;

use self::login::Login;
use crate::browser::{Browser, Departure, encoded};
use crate::reply::Reply;

pub(crate) const SESSION: &str = "portcullis-session";

/// Everybody is a member of the workspace `core`.
pub(crate) const EVERYONE: &str = "{everyone: true, workspace: core}";
pub(crate) const CORE: &str = "workspaces: [{slug: core}, {slug: sales}]\n";

/// Opens the sign-in page and is on the way to the provider.
pub(crate) async fn depart(browser: &mut Browser, path: &str) -> Departure {
    let reply = browser.get(path).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
    let url = Url::parse(reply.header("location").expect("a location")).expect("a URL");
    let state = url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    Departure { url, state }
}

/// Comes back with this query.
pub(crate) async fn come_back(browser: &mut Browser, query: &[(&'static str, String)]) -> Reply {
    browser.get(&format!("/sign-in/callback?{}", encoded(query))).await
}

/// The whole way, for somebody with these claims.
pub(crate) async fn sign_in(browser: &mut Browser, login: &Login, claims: Value) -> Reply {
    let departure = depart(browser, "/sign-in").await;
    let query = login.agree(&departure, claims);
    come_back(browser, &query).await
}

/// As [`sign_in`], and it works.
pub(crate) async fn signed_in(browser: &mut Browser, login: &Login, claims: Value) {
    let reply = sign_in(browser, login, claims).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text);
    assert!(
        browser.cookies.contains_key(SESSION) || browser.cookies.contains_key("portcullis-admin-session")
    );
}
