//! `portcullis check-server`: how a server wants to be authorised, asked of the server itself.
//!
//! Nothing is registered and nobody signs in: the server is asked without a credential, then what it and its
//! authorization server publish is read, by the same code that members connect with.

mod report;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use url::Url;

pub use self::report::{Findings, Report};
use crate::domain::auth_text::is_loopback;
use crate::domain::server::AuthorizationServerSettings;
use crate::domain::url::{PlainHttp, ServerUrl, ServerUrlError};
use crate::egress::{EgressClient, EgressError, EgressPolicy, EgressRequest};
use crate::oauth::challenge::{self, BearerChallenge};
use crate::oauth::discovery::{DiscoveryError, discover};

/// Why nothing can be said about a server.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("{0}; give the URL of an MCP endpoint, such as https://mcp.example.com/mcp")]
    Url(#[from] ServerUrlError),
    #[error("no way out: {0}")]
    Egress(String),
    #[error(
        "{0}; without --config only public addresses are asked, with it also those that its section `egress` allows"
    )]
    Fetch(#[from] EgressError),
}

/// How the server answered somebody without a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) status: u16,
    pub(crate) challenge: Option<BearerChallenge>,
}

/// A handshake of the oldest kind that every server of today still answers.
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"portcullis-check-server","version":"1"}}}"#;

const ANSWER_LIMIT: usize = 64 * 1024;

/// Asks the server at `url`.
pub async fn check_server(url: &str, policy: &EgressPolicy) -> Result<Report, CheckError> {
    let parsed = Url::parse(url).map_err(|error| ServerUrlError::Malformed(error.to_string()))?;
    // Plain http is for what an administrator has allowed, or for a laptop.
    let laptop = policy.development_loopback && is_loopback(&parsed);
    let url = ServerUrl::parse(url, if laptop { PlainHttp::Allowed } else { PlainHttp::Refused })?;
    let egress = EgressClient::new(policy).map_err(CheckError::Egress)?;
    ask(&egress, url).await
}

/// The same by a client that there is already, of a URL that was checked.
pub async fn ask(egress: &EgressClient, url: ServerUrl) -> Result<Report, CheckError> {
    let parsed =
        Url::parse(&url.to_string()).map_err(|error| ServerUrlError::Malformed(error.to_string()))?;
    let probe = probe(egress, parsed).await?;
    let settings = AuthorizationServerSettings::Discovered;
    let found = discover(egress, &url, &settings, probe.challenge.as_ref()).await;
    Ok(Report::new(url, probe, found.map_err(|error: DiscoveryError| error.to_string())))
}

async fn probe(egress: &EgressClient, url: Url) -> Result<Probe, EgressError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    let body = Bytes::from_static(INITIALIZE.as_bytes());
    let request = EgressRequest { method: Method::POST, url, headers, body, limit: ANSWER_LIMIT };
    let reply = match egress.fetch(request).await {
        // An answer that does not end is an answer all the same: the server streams without asking who calls.
        Err(EgressError::TooLarge) => return Ok(Probe { status: 200, challenge: None }),
        outcome => outcome?,
    };
    let challenges = reply.headers.get_all(header::WWW_AUTHENTICATE);
    let challenges: Vec<&str> = challenges.iter().filter_map(|value| value.to_str().ok()).collect();
    Ok(Probe { status: reply.status, challenge: challenge::bearer(&challenges) })
}
