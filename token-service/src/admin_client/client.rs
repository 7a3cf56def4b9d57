//! Requests to the admin API.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{Access, AdminListener};

/// Longer than a change is waited for.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The most pages of a list that are asked for.
const MOST_PAGES: usize = 1_000;

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("there is no admin token: set PORTCULLIS_ADMIN_TOKEN, or name its file with --admin-token-file")]
    NoToken,
    #[error("the admin token's file {path} cannot be read: {error}")]
    TokenFile { path: String, error: std::io::Error },
    #[error(
        "the token would go over the network in the clear: use an https --admin-url, or one on this machine"
    )]
    InTheClear,
    #[error("{0} is no URL of an admin listener: give http://host:port or https://host")]
    Url(String),
    #[error("the target has the form {0}")]
    Target(&'static str),
    #[error("the arguments are not JSON: give an object such as '{{\"id\": 1}}'")]
    Arguments,
    #[error("{path} cannot be read: {error}")]
    File { path: String, error: std::io::Error },
    #[error("{0} holds no JSON object")]
    Body(String),
    #[error(
        "a secret is given as @<file> or env:<variable>, because everybody on the machine sees arguments; a header as <name>=@<file>"
    )]
    Secret,
    #[error("the variable {0} is not set, or is no text")]
    Variable(String),
    #[error("no rule is given, and a policy without one takes nothing away: give rules, or delete it")]
    NoRules,
    #[error("no answer from {url}: {problem}; is the service running, and --admin-url right?")]
    Unreachable { url: String, problem: String },
    #[error(
        "the service names a server in a way that this version does not know: use the version that it runs"
    )]
    Unknown,
    /// In the words of the service.
    #[error("{0}")]
    Refused(String),
}

pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: SecretString,
    wait: bool,
}

impl Client {
    pub(super) fn new(access: &Access, wait: bool) -> Result<Self, ClientError> {
        Self::at(&access.listener, wait)
    }

    pub(super) fn at(listener: &AdminListener, wait: bool) -> Result<Self, ClientError> {
        let base = listener.admin_url.trim_end_matches('/').to_owned();
        let url = url::Url::parse(&base).map_err(|_| ClientError::Url(base.clone()))?;
        let is_local = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(ClientError::Url(base)),
        };
        if url.scheme() != "https" && !is_local {
            return Err(ClientError::InTheClear);
        }
        Ok(Self { http: http()?, base, token: token(listener)?, wait })
    }

    /// The body of the answer, if it is no refusal.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ClientError> {
        let wait = match (self.wait && method != Method::GET, path.contains('?')) {
            (false, _) => "",
            (true, false) => "?wait=applied",
            (true, true) => "&wait=applied",
        };
        let url = format!("{}{path}{wait}", self.base);
        let (status, text) = self.ask(method, &url, body).await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() { Ok(body) } else { Err(ClientError::Refused(refusal(status, &body))) }
    }

    /// The text of the answer, whatever it is.
    pub(super) async fn text(&self, path: &str) -> Result<String, ClientError> {
        let (status, text) = self.ask(Method::GET, &format!("{}{path}", self.base), None).await?;
        let body = || serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() { Ok(text) } else { Err(ClientError::Refused(refusal(status, &body()))) }
    }

    async fn ask(
        &self,
        method: Method,
        url: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, String), ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            url: self.base.clone(),
            problem: crate::http::error::error_chain(&error.without_url()),
        };
        let mut request = self.http.request(method, url).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        Ok((status, answer.text().await.map_err(unreachable)?))
    }

    /// A list with all its pages.
    pub(super) async fn pages(&self, path: &str, name: &str) -> Result<Value, ClientError> {
        let mut all = Vec::new();
        let mut next = String::new();
        for _ in 0..MOST_PAGES {
            let mut page = self.send(Method::GET, &format!("{path}{next}"), None).await?;
            all.append(page[name].as_array_mut().unwrap_or(&mut Vec::new()));
            match page["next"].as_str() {
                Some(after) => {
                    let mark = if path.contains('?') { '&' } else { '?' };
                    next = format!("{mark}after={}", super::part(after));
                }
                None => break,
            }
        }
        Ok(serde_json::json!({ name: all }))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the address is the administrator's own, and often a private one"
)]
fn http() -> Result<reqwest::Client, ClientError> {
    // Whether a provider was installed before says nothing about this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Neither a proxy nor a redirect gets the token.
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(none)
        .no_proxy()
        .build()
        .map_err(|error| ClientError::Url(error.to_string()))
}

fn token(listener: &AdminListener) -> Result<SecretString, ClientError> {
    let text = match &listener.admin_token_file {
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            let path = path.display().to_string();
            ClientError::TokenFile { path, error }
        })?,
        None => std::env::var("PORTCULLIS_ADMIN_TOKEN").map_err(|_| ClientError::NoToken)?,
    };
    let text = text.trim();
    if text.is_empty() { Err(ClientError::NoToken) } else { Ok(SecretString::from(text)) }
}

/// A problem document (RFC 9457) in lines.
fn refusal(status: StatusCode, body: &Value) -> String {
    let Some(title) = body["title"].as_str() else { return format!("the answer was {status}") };
    let detail = body["detail"].as_str();
    let mut lines = vec![detail.map_or_else(|| title.to_owned(), |detail| format!("{title}: {detail}"))];
    for problem in body["problems"].as_array().into_iter().flatten() {
        let part = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        lines.push(format!("  {}: {}\n      {}", part("field"), part("problem"), part("remedy")));
    }
    let filters = body["waiting_for"].as_array().into_iter().flatten();
    lines.extend(filters.map(|filter| format!("  waiting for {}", filter.as_str().unwrap_or_default())));
    lines.join("\n")
}
