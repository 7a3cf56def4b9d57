//! From a server's URL to its authorization server.
//!
//! 1. The server is asked something without a credential ([`probe`]) and answers with a challenge.
//! 2. Its protected resource metadata (RFC 9728) are where the challenge says, or at a well-known place. They have to
//!    be about this server, and name its authorization servers.
//! 3. The first of these with usable metadata (RFC 8414, OpenID Connect Discovery) is taken.
//!
//! [`locations`] says where to look and in which order, [`documents`] what a document means; both are pure.
//!
//! A place where nothing is leads on to the next. One that fails for now ends the search: otherwise an outage, or who
//! can cause one, would decide which authorization server a member's account goes to.

mod documents;
#[cfg(fuzzing)]
pub mod fuzzing;
mod locations;
mod probe;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use url::Url;

use self::documents::ResourceMetadata;
use super::challenge::BearerChallenge;
use super::json::{self, JsonError, Object};
use super::{AuthorizationServer, Discovered};
use crate::domain::server::AuthorizationServerSettings;
use crate::domain::url::ServerUrl;
use crate::egress::{EgressClient, EgressError, EgressRequest};

/// The version of MCP that metadata are asked for in the name of; some servers look at it.
const PROTOCOL_VERSION: &str = "2025-11-25";

/// How many of the authorization servers that a server names are tried.
const MAX_ISSUERS: usize = 8;

/// Why a server cannot be connected to. Each says what an administrator can do.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("{0}")]
    Refused(String),
    /// It answered that it cannot answer now.
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Egress(#[from] EgressError),
}

impl DiscoveryError {
    /// Whether the same question may have an answer later, with nobody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Unavailable(_) => true,
            Self::Egress(error) => error.may_pass(),
        }
    }
}

/// Finds out how `url` wants to be authorised. Without a challenge the server is asked for one.
pub async fn discover(
    egress: &EgressClient,
    url: &ServerUrl,
    settings: &AuthorizationServerSettings,
    challenge: Option<&BearerChallenge>,
) -> Result<Discovered, DiscoveryError> {
    let server = parse(&url.to_string())?;
    let from_challenge = challenge.and_then(|challenge| challenge.scope.as_deref()).map(documents::scopes);
    let (authorization_server, resource, scopes) = match settings {
        AuthorizationServerSettings::Discovered => return from_server(egress, &server, challenge).await,
        AuthorizationServerSettings::Issuer { issuer } => {
            (authorization_server(egress, issuer).await?, locations::canonical(&server), from_challenge)
        }
        AuthorizationServerSettings::Fixed { .. } => {
            let fixed =
                documents::fixed(settings, &|url| egress.check(url)).map_err(DiscoveryError::Refused)?;
            (fixed, locations::canonical(&server), from_challenge)
        }
    };
    let scopes = with_offline_access(scopes.unwrap_or_default(), &authorization_server);
    Ok(Discovered { authorization_server, resource, scopes })
}

/// The metadata of one issuer.
pub async fn authorization_server(
    egress: &EgressClient,
    issuer: &str,
) -> Result<AuthorizationServer, DiscoveryError> {
    let url = documents::issuer(issuer, &|url| egress.check(url)).map_err(DiscoveryError::Refused)?;
    for location in locations::authorization_server(&url) {
        if let Some(object) = fetch(egress, &location).await? {
            return documents::authorization_server(object, issuer, &|url| egress.check(url))
                .map_err(DiscoveryError::Refused);
        }
    }
    Err(DiscoveryError::Refused(format!(
        "the authorization server {issuer} publishes no metadata; configure its endpoints by hand"
    )))
}

async fn from_server(
    egress: &EgressClient,
    server: &Url,
    challenge: Option<&BearerChallenge>,
) -> Result<Discovered, DiscoveryError> {
    let (status, challenge) = match challenge {
        Some(challenge) => (401, Some(challenge.clone())),
        None => probe::ask(egress, server).await?,
    };
    let challenge_scopes = challenge.as_ref().and_then(|challenge| challenge.scope.as_deref());
    let challenge_scopes = challenge_scopes.map(documents::scopes);
    let described_at = challenge.as_ref().and_then(|challenge| challenge.resource_metadata.as_deref());
    let (authorization_server, resource, scopes) =
        match resource_metadata(egress, server, described_at).await? {
            Some(found) => {
                let authorization_server = first_usable(egress, &found.authorization_servers).await?;
                (authorization_server, found.resource, challenge_scopes.or(found.scopes))
            }
            None if status == 401 || challenge.is_some() => {
                (of_2025_03_26(egress, server).await?, locations::canonical(server), challenge_scopes)
            }
            None => return Err(DiscoveryError::Refused(not_oauth(server, status))),
        };
    let scopes = with_offline_access(scopes.unwrap_or_default(), &authorization_server);
    Ok(Discovered { authorization_server, resource, scopes })
}

fn not_oauth(server: &Url, status: u16) -> String {
    if (200..300).contains(&status) {
        format!(
            "{server} answers without authorization and describes none; register it with auth none or headers"
        )
    } else {
        format!(
            "{server} answered {status} and describes no authorization; check that this is its MCP endpoint"
        )
    }
}

/// The server's own description; `None` if it has none.
async fn resource_metadata(
    egress: &EgressClient,
    server: &Url,
    described_at: Option<&str>,
) -> Result<Option<ResourceMetadata>, DiscoveryError> {
    let named = described_at.map(parse).transpose()?;
    for location in named.into_iter().chain(locations::resource_metadata(server)) {
        if let Some(object) = fetch(egress, &location).await? {
            return documents::resource_metadata(&object, server).map(Some).map_err(DiscoveryError::Refused);
        }
    }
    Ok(None)
}

/// In the order in which the server names them. One that fails for now is waited for, not passed over.
async fn first_usable(
    egress: &EgressClient,
    issuers: &[String],
) -> Result<AuthorizationServer, DiscoveryError> {
    let mut first = None;
    for issuer in issuers.iter().take(MAX_ISSUERS) {
        match authorization_server(egress, issuer).await {
            Err(error) if !error.may_pass() => _ = first.get_or_insert(error),
            usable_or_waited_for => return usable_or_waited_for,
        }
    }
    Err(first
        .unwrap_or_else(|| DiscoveryError::Refused("the server names no authorization server".to_owned())))
}

/// MCP 2025-03-26: the server's origin is its authorization server, with metadata or with endpoints in fixed places.
async fn of_2025_03_26(egress: &EgressClient, server: &Url) -> Result<AuthorizationServer, DiscoveryError> {
    let origin = server.origin().ascii_serialization();
    let issuer = parse(&origin)?;
    // RFC 8414 alone; that version knows no other.
    let location = locations::authorization_server(&issuer).into_iter().next();
    let found = match &location {
        Some(location) => fetch(egress, location).await?,
        None => None,
    };
    let check = |url: &Url| egress.check(url);
    match found {
        // Nobody has named this issuer, so it may spell the origin with its slash.
        Some(object) if documents::issuer_of(&object) == Some(issuer.as_str()) => {
            documents::authorization_server(object, issuer.as_str(), &check)
        }
        Some(object) => documents::authorization_server(object, &origin, &check),
        None => documents::in_fixed_places(&origin, &check),
    }
    .map_err(DiscoveryError::Refused)
}

/// `offline_access` is how servers of OpenID Connect are asked for a refresh token. Alone it would take the place of
/// the scopes that a server gives by default.
fn with_offline_access(mut scopes: BTreeSet<String>, server: &AuthorizationServer) -> BTreeSet<String> {
    if !scopes.is_empty() && server.scopes_supported.iter().any(|scope| scope == "offline_access") {
        scopes.insert("offline_access".to_owned());
    }
    scopes
}

fn parse(text: &str) -> Result<Url, DiscoveryError> {
    documents::url(text)
        .map_err(|problem| DiscoveryError::Refused(format!("the server names a URL that {problem}")))
}

/// The document at `url`; `None` if there is none. A page in place of a document is how many sites say "not found".
async fn fetch(egress: &EgressClient, url: &Url) -> Result<Option<Object>, DiscoveryError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert("mcp-protocol-version", HeaderValue::from_static(PROTOCOL_VERSION));
    let (method, limit) = (Method::GET, json::MAX_DOCUMENT);
    let request = EgressRequest { method, url: url.clone(), headers, body: Bytes::new(), limit };
    let reply = egress.fetch(request).await.map_err(|error| {
        // What may pass is told apart by its kind; what stays needs to say which address it is about.
        if error.may_pass() { error.into() } else { DiscoveryError::Refused(format!("{url}: {error}")) }
    })?;
    match (reply.status, json::object(&reply)) {
        (200, Ok(object)) => Ok(Some(object)),
        (200, Err(error @ (JsonError::Malformed | JsonError::DuplicateKey))) => {
            Err(DiscoveryError::Refused(format!("the metadata at {url} cannot be read: {error}")))
        }
        (status @ (429 | 500..), _) => {
            Err(DiscoveryError::Unavailable(format!("{url} answered {status}; try again later")))
        }
        _ => Ok(None),
    }
}
