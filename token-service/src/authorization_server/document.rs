//! Client ID metadata documents: a client whose id is the URL of a document about it.
//!
//! Strangers choose these URLs, so they are fetched within bounds, and errors tell a class only.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::{Host, Url};

use super::registration::{check_redirect_uris, texts};
use crate::clock::Timestamp;
use crate::domain::oauth_client::{KnownBy, MAX_CLIENT_ID, OAuthClient, SecretCheck};
use crate::egress::{EgressClient, EgressError, EgressReply, EgressRequest};
use crate::oauth::json;
use crate::text::presentable;

/// The largest document, in bytes.
const MAX_DOCUMENT: usize = 5 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a document is believed: what its server says, within these bounds.
const SHORTEST: Duration = Duration::ZERO;
const DEFAULT: Duration = Duration::from_mins(5);
const LONGEST: Duration = Duration::from_hours(1);

/// How many documents are remembered, and how many are fetched at a time.
const REMEMBERED: usize = 1_000;
const AT_ONCE: usize = 16;

/// Why a document is no use. Nothing of it is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("the id is not the address of a metadata document: {0}")]
    Address(&'static str),
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("the host did not answer in time")]
    Timeout,
    #[error("the host answered with status {0}")]
    Status(u16),
    #[error("the document is not what it should be: {0}")]
    Content(&'static str),
}

/// The documents that were read lately.
#[derive(Debug)]
pub struct ClientDocuments {
    read: Mutex<HashMap<String, (OAuthClient, Timestamp)>>,
    fetching: Semaphore,
}

impl Default for ClientDocuments {
    fn default() -> Self {
        Self { read: Mutex::default(), fetching: Semaphore::new(AT_ONCE) }
    }
}

impl ClientDocuments {
    /// The client at this URL. Errors are not remembered.
    pub async fn client(
        &self,
        egress: &EgressClient,
        public_url: &str,
        id: &str,
        now: Timestamp,
    ) -> Result<OAuthClient, DocumentError> {
        let url = address(id, public_url)?;
        if let Some(client) = self.remembered(id, now) {
            return Ok(client);
        }
        let fetching = async {
            // Closed by nobody.
            let _place = self.fetching.acquire().await.ok();
            egress.fetch(request(url.clone())).await
        };
        let reply = timeout(TIMEOUT, fetching).await.map_err(|_| DocumentError::Timeout)??;
        if reply.status != 200 {
            return Err(DocumentError::Status(reply.status));
        }
        let client = read(id, &url, &reply)?;
        let life = life(&reply.headers);
        if life > Duration::ZERO {
            self.remember(client.clone(), now, now.plus(life));
        }
        Ok(client)
    }

    fn remembered(&self, id: &str, now: Timestamp) -> Option<OAuthClient> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(id).filter(|(_, until)| now < *until).map(|(client, _)| client.clone())
    }

    fn remember(&self, client: OAuthClient, now: Timestamp, until: Timestamp) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.len() >= REMEMBERED {
            read.retain(|_, (_, until)| now < *until);
        }
        if read.len() >= REMEMBERED {
            // Forgetting costs no more than a further fetch.
            read.clear();
        }
        read.insert(client.id.clone(), (client, until));
    }
}

/// The rules for such ids, as far as they can be told without asking anybody.
fn address(id: &str, public_url: &str) -> Result<Url, DocumentError> {
    let refuse = |problem| Err(DocumentError::Address(problem));
    if id.len() > MAX_CLIENT_ID || !id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return refuse("it has at most 256 visible ASCII characters");
    }
    let Ok(url) = Url::parse(id) else { return refuse("it is no URL") };
    if url.scheme() != "https" {
        return refuse("it must be https");
    }
    if url.as_str() != id || id.contains(['#', '@']) {
        return refuse("it must be in normal form, without fragment, user name and password");
    }
    if url.path() == "/" {
        return refuse("it must have a path");
    }
    let own = Url::parse(public_url).ok();
    match url.host() {
        Some(Host::Domain(host)) if own.as_ref().and_then(Url::host_str) != Some(host) => Ok(url),
        Some(Host::Domain(_)) => refuse("the gateway is no client of itself"),
        _ => refuse("it must have the name of a host"),
    }
}

fn request(url: Url) -> EgressRequest {
    let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))]);
    EgressRequest { method: Method::GET, url, headers, body: axum::body::Bytes::new(), limit: MAX_DOCUMENT }
}

fn read(id: &str, url: &Url, reply: &EgressReply) -> Result<OAuthClient, DocumentError> {
    let refuse = |problem| Err(DocumentError::Content(problem));
    let Ok(document) = json::object(reply) else { return refuse("it is no JSON object") };
    if document.get("client_id").and_then(Value::as_str) != Some(id) {
        return refuse("its client_id is not its own address");
    }
    if document.contains_key("client_secret") || document.contains_key("client_secret_expires_at") {
        return refuse("it has a secret, which everybody can read");
    }
    let method = document.get("token_endpoint_auth_method").map(Value::as_str);
    if !matches!(method, None | Some(Some("none"))) {
        return refuse("its token_endpoint_auth_method is not none");
    }
    let redirect_uris = texts(document.get("redirect_uris")).unwrap_or_default();
    if check_redirect_uris(&redirect_uris).is_err() {
        return refuse("its redirect_uris are none that anybody could be sent to");
    }
    for (member, needed) in [("grant_types", "authorization_code"), ("response_types", "code")] {
        let Some(value) = document.get(member) else { continue };
        if !texts(Some(value)).is_some_and(|values| values.iter().any(|value| value == needed)) {
            return refuse("it is about a client that does not use authorization codes");
        }
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let name = document.get("client_name").and_then(Value::as_str).and_then(presentable);
    Ok(OAuthClient {
        id: id.to_owned(),
        name: name.unwrap_or_else(|| host.clone()),
        redirect_uris,
        authentication: SecretCheck::None,
        known_by: KnownBy::Document { host },
    })
}

/// How long the document may be believed (RFC 9111, as far as it concerns us).
fn life(headers: &HeaderMap) -> Duration {
    let directives: Vec<String> = headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|directive| directive.trim().to_ascii_lowercase()))
        .collect();
    if directives.iter().any(|directive| directive == "no-store" || directive == "no-cache") {
        return SHORTEST;
    }
    let age = directives.iter().find_map(|directive| directive.strip_prefix("max-age=")?.parse().ok());
    age.map_or(DEFAULT, Duration::from_secs).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let own = "https://mcp.example.com";
        assert!(address("https://client.example/client.json", own).is_ok());
        assert!(address("https://client.example:8443/a?b=c", own).is_ok());
        for bad in [
            "http://client.example/c",
            "https://client.example",
            "https://client.example/",
            "https://client.example/c#x",
            "https://me@client.example/c",
            "https://@client.example/c",
            "https://CLIENT.example/c",
            "https://client.example/a/../c",
            "https://client.example\\c",
            "https://127.0.0.1/c",
            "https://2130706433/c",
            "https://[::1]/c",
            "https://mcp.example.com/c",
            "https://mcp.example.com:8443/c",
            "https://",
            &format!("https://client.example/{}", "a".repeat(256)),
        ] {
            assert!(matches!(address(bad, own), Err(DocumentError::Address(_))), "{bad}");
        }
    }

    #[test]
    fn how_long_a_document_is_believed() {
        for (value, expected) in [
            ("", DEFAULT),
            ("max-age=60", Duration::from_mins(1)),
            ("public, max-age=0", Duration::ZERO),
            ("Max-Age=999999", LONGEST),
            ("max-age=60, no-cache", Duration::ZERO),
            ("no-store", Duration::ZERO),
            ("max-age=x", DEFAULT),
        ] {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, value.parse().expect("a value"))]);
            assert_eq!(life(&headers), expected, "{value}");
        }
        assert_eq!(life(&HeaderMap::new()), DEFAULT);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_ends() {
        let documents = ClientDocuments::default();
        let client = |number: usize| OAuthClient {
            id: format!("https://client.example/{number}"),
            name: "A".into(),
            redirect_uris: Vec::new(),
            authentication: SecretCheck::None,
            known_by: KnownBy::Document { host: "client.example".into() },
        };
        for number in 0..2 * REMEMBERED {
            documents.remember(client(number), Timestamp(0), Timestamp(10));
        }
        assert!(documents.read.lock().expect("no panic").len() <= REMEMBERED);
        let last = client(2 * REMEMBERED - 1).id;
        assert!(documents.remembered(&last, Timestamp(9)).is_some());
        assert!(documents.remembered(&last, Timestamp(10)).is_none());
    }
}
