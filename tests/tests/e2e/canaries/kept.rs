//! All that clients and browsers were told, and the secrets that came up on the way.

use std::collections::BTreeSet;

use portcullis_tests::canaries::{Canary, Place};
use portcullis_tests::mcp::Reply;
use portcullis_tests::person::{Page, Person};
use reqwest::Url;
use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};

pub(crate) struct Kept {
    gateway: String,
    pub(crate) places: Vec<Place>,
    pub(crate) canaries: BTreeSet<Canary>,
}

impl Kept {
    pub(crate) fn new(gateway: String) -> Self {
        Self { gateway, places: Vec::new(), canaries: BTreeSet::new() }
    }

    pub(crate) fn secret(&mut self, name: &str, secret: impl Into<String>) {
        self.canaries.insert(Canary::new(name, secret));
    }

    /// What an agent was answered.
    pub(crate) fn reply(&mut self, what: &str, reply: Reply) -> Reply {
        self.places.push(Place::new(format!("head of answer to {what}"), lines(&reply.headers)));
        self.places.push(Place::new(format!("answer to {what}"), reply.body.clone()));
        if let Some(ticket) = after(&reply.body, "/connect/") {
            self.secret("ticket", ticket);
        }
        if let Some(state) = after(&reply.body, "pcl-state.") {
            self.secret("request state", state);
        }
        if let Some(session) = reply.header("mcp-session-id").and_then(|id| id.strip_prefix("pcl-session.")) {
            self.secret("session id", session);
        }
        reply
    }

    /// Goes wherever a page leads, and keeps each page on the way.
    pub(crate) async fn walk(&mut self, person: &Person, mut page: Page) -> Page {
        loop {
            self.page(&page);
            match page.onward().expect("readable") {
                None => return page,
                Some(next) => page = person.get(next.as_str()).await.expect("a page"),
            }
        }
    }

    pub(crate) async fn open(&mut self, person: &Person, url: &str) -> Page {
        let page = person.get(url).await.expect("a page");
        self.walk(person, page).await
    }

    pub(crate) async fn press(&mut self, person: &Person, page: &Page, button: &str) -> Page {
        let form = page.form(button).unwrap_or_else(|error| panic!("{error:#}"));
        let page = person.send(form).await.expect("a page");
        self.walk(person, page).await
    }

    fn page(&mut self, page: &Page) {
        if page.url.origin().ascii_serialization() != self.gateway {
            // The provider's own, which tells the code to the browser.
            let onward = page.headers.get(LOCATION).and_then(|value| Url::parse(value.to_str().ok()?).ok());
            for (name, value) in onward.iter().flat_map(Url::query_pairs).filter(|(name, _)| name == "code") {
                self.secret(&name, value);
            }
            return;
        }
        let path =
            format!("/{}", page.url.path_segments().and_then(|mut all| all.next()).unwrap_or_default());
        self.places.push(Place::new(format!("head of page {path}"), lines(&page.headers)));
        self.places.push(Place::new(format!("page {path}"), page.html.clone()));
        for cookie in page.headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().expect("a text").split(';').next().unwrap_or_default();
            let value = pair.split_once('=').expect("a value").1;
            if !value.is_empty() {
                self.secret("cookie", value);
            }
        }
        for field in page.html.split("name=\"csrf\" value=\"").skip(1) {
            self.secret("form token", field.split('"').next().expect("an end"));
        }
        if let Ok(Some(onward)) = page.onward() {
            for (_, value) in onward.query_pairs().filter(|(name, _)| name == "state") {
                self.secret("state", value);
            }
        }
    }
}

fn lines(headers: &HeaderMap) -> Vec<u8> {
    let line = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat()
    };
    headers.iter().flat_map(line).collect()
}

/// The token that follows a mark.
fn after(text: &str, mark: &str) -> Option<String> {
    let (_, rest) = text.split_once(mark)?;
    let end = rest.find(|end: char| !(end.is_ascii_alphanumeric() || "-_".contains(end)));
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}
