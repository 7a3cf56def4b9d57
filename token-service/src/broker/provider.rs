//! A server's authorization server, and the gateway as its client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;

use super::Broker;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::ids::ServerId;
use crate::domain::server::{AuthorizationServerSettings, OAuthSettings, Server, ServerAuth};
use crate::http::error::error_chain;
use crate::oauth::challenge::BearerChallenge;
use crate::oauth::discovery::{DiscoveryError, discover};
use crate::oauth::{AuthorizationServer, Client, Discovered};
use crate::store::StoreError;

/// For how long it is believed what was discovered.
const FRESH: Duration = Duration::from_mins(10);

/// For how long it is used while the server cannot be asked again.
const STALE: Duration = Duration::from_hours(24);

/// For how long nobody asks again after a failure.
const FAILED: Duration = Duration::from_secs(10);

/// The server's authorization server and the gateway as its client.
#[derive(Clone, Debug)]
pub struct Provider {
    pub discovered: Discovered,
    pub client: Client,
    pub redirect_uri: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// An administrator has to act; the text says what to do.
    #[error("{0}")]
    Misconfigured(String),
    #[error("the provider cannot be asked now")]
    Unavailable,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was found out about each server. Whoever wants to find out more about one holds its slot, so that nothing is
/// asked twice at once.
#[derive(Default)]
pub(super) struct Providers(Mutex<HashMap<ServerId, Arc<AsyncMutex<Slot>>>>);

#[derive(Default)]
pub(super) struct Slot {
    /// With the server's revision that it holds for.
    discovered: Option<(Revision, Timestamp, Discovered)>,
    failed: Option<(Revision, Timestamp, Refusal)>,
    /// A registration that was refused, and when.
    pub(super) registration_failed: Option<(Timestamp, String)>,
}

/// [`ProviderError`], to be kept. `None`: not now.
#[derive(Clone)]
struct Refusal(Option<String>);

impl From<Refusal> for ProviderError {
    fn from(Refusal(what): Refusal) -> Self {
        what.map_or(Self::Unavailable, Self::Misconfigured)
    }
}

impl Providers {
    fn slot(&self, server: &ServerId) -> Arc<AsyncMutex<Slot>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(server.clone()).or_default())
    }

    /// The next to ask finds out anew.
    pub(super) fn forget(&self, server: &ServerId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(server);
    }
}

impl Slot {
    fn known(&self, revision: Revision, now: Timestamp, age: Duration) -> Option<&Discovered> {
        let (known, at, discovered) = self.discovered.as_ref()?;
        (*known == revision && now < at.plus(age)).then_some(discovered)
    }

    fn failure(&self, revision: Revision, now: Timestamp) -> Option<&Refusal> {
        let (known, at, refusal) = self.failed.as_ref()?;
        (*known == revision && now < at.plus(FAILED)).then_some(refusal)
    }
}

impl Broker {
    /// Everything needed to be a client for this server's connections. With a challenge, the server is asked again.
    pub async fn provider(
        &self,
        server: &Server,
        challenge: Option<&BearerChallenge>,
    ) -> Result<Provider, ProviderError> {
        let settings = authorization_server(server)?;
        let slot = self.providers.slot(&server.id);
        let mut slot = slot.lock().await;
        let discovered = match challenge {
            Some(_) => discover(&self.egress, &server.settings.url, settings, challenge)
                .await
                .map_err(|error| refusal(server, &error))?,
            None => self.discovered(server, settings, &mut slot).await?,
        };
        if let ServerAuth::OAuth(settings) = &server.settings.auth {
            check_for_people(&discovered.authorization_server, settings)?;
        }
        let client = self.client(server, &discovered, &mut slot).await?;
        Ok(Provider { discovered, client, redirect_uri: self.redirect_uri(server) })
    }

    async fn discovered(
        &self,
        server: &Server,
        settings: &AuthorizationServerSettings,
        slot: &mut Slot,
    ) -> Result<Discovered, ProviderError> {
        let (now, revision) = (self.clock.now(), server.revision);
        if let Some(known) = slot.known(revision, now, FRESH) {
            return Ok(known.clone());
        }
        let failure = match slot.failure(revision, now) {
            Some(failure) => failure.clone(),
            None => match discover(&self.egress, &server.settings.url, settings, None).await {
                Ok(discovered) => {
                    note_assumption(server, &discovered.authorization_server);
                    slot.discovered = Some((revision, now, discovered.clone()));
                    return Ok(discovered);
                }
                Err(error) => refusal(server, &error),
            },
        };
        if slot.failure(revision, now).is_none() {
            slot.failed = Some((revision, now, failure.clone()));
        }
        // What was known before does until the server can be asked again.
        match (&failure, slot.known(revision, now, STALE)) {
            (Refusal(None), Some(known)) => Ok(known.clone()),
            _ => Err(failure.into()),
        }
    }

    pub(super) fn redirect_uri(&self, server: &Server) -> String {
        format!("{}/callback/{}", self.public_url, server.id)
    }
}

fn authorization_server(server: &Server) -> Result<&AuthorizationServerSettings, ProviderError> {
    match &server.settings.auth {
        ServerAuth::OAuth(settings) => Ok(&settings.authorization_server),
        ServerAuth::ClientCredentials(settings) => Ok(&settings.authorization_server),
        ServerAuth::None | ServerAuth::Headers(_) => Err(ProviderError::Misconfigured(
            "the server is not set up for OAuth; set its auth type to oauth or client_credentials".to_owned(),
        )),
    }
}

/// What a flow through a browser needs of the authorization server (OAuth 2.1; MCP asks for PKCE with S256).
fn check_for_people(server: &AuthorizationServer, settings: &OAuthSettings) -> Result<(), ProviderError> {
    let issuer = &server.issuer;
    if server.authorization_endpoint.is_none() {
        return Err(ProviderError::Misconfigured(format!(
            "{issuer} names no authorization endpoint, so nobody can connect an account there; give the endpoint in the server's auth.authorization_server"
        )));
    }
    if !server.pkce_s256 && !settings.assume_pkce {
        return Err(ProviderError::Misconfigured(format!(
            "{issuer} does not say that it supports PKCE with S256; if you know that it does, set auth.assume_pkce"
        )));
    }
    Ok(())
}

fn note_assumption(server: &Server, authorization_server: &AuthorizationServer) {
    if let ServerAuth::OAuth(settings) = &server.settings.auth
        && settings.assume_pkce
        && !authorization_server.pkce_s256
    {
        let (server, issuer) = (server.id.as_str(), authorization_server.issuer.as_str());
        tracing::warn!(server, issuer, "PKCE with S256 is assumed, though the provider does not promise it");
    }
}

fn refusal(server: &Server, error: &DiscoveryError) -> Refusal {
    let id = server.id.as_str();
    tracing::warn!(server = id, error = error_chain(error), "the server's authorization server is not known");
    Refusal((!error.may_pass()).then(|| error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn described(authorization_endpoint: Option<&str>, pkce_s256: bool) -> AuthorizationServer {
        let url = |text: &str| text.parse().expect("a URL");
        AuthorizationServer {
            issuer: "https://as.example".into(),
            authorization_endpoint: authorization_endpoint.map(url),
            token_endpoint: url("https://as.example/token"),
            registration_endpoint: None,
            revocation_endpoint: None,
            userinfo_endpoint: None,
            token_endpoint_auth_methods: vec![],
            scopes_supported: vec![],
            iss_parameter: false,
            client_id_metadata_document: false,
            pkce_s256,
        }
    }

    #[test]
    fn people_are_sent_only_where_pkce_is() {
        let endpoint = Some("https://as.example/authorize");
        let strict = OAuthSettings::default();
        let lenient = OAuthSettings { assume_pkce: true, ..OAuthSettings::default() };
        assert!(check_for_people(&described(endpoint, true), &strict).is_ok());
        assert!(check_for_people(&described(endpoint, false), &lenient).is_ok());
        for (server, word) in
            [(described(endpoint, false), "assume_pkce"), (described(None, true), "endpoint")]
        {
            let error = check_for_people(&server, &strict).expect_err("refused").to_string();
            assert!(error.contains(word) && error.contains("https://as.example"), "{error}");
        }
    }

    #[test]
    fn what_was_discovered_holds_for_one_revision_and_a_while() {
        let discovered = Discovered {
            authorization_server: described(None, true),
            resource: "https://mcp.example".into(),
            scopes: BTreeSet::new(),
        };
        let at = Timestamp(1_000_000);
        let slot = Slot { discovered: Some((Revision(3), at, discovered)), ..Slot::default() };
        assert!(slot.known(Revision(3), at, FRESH).is_some());
        assert!(slot.known(Revision(4), at, FRESH).is_none());
        assert!(slot.known(Revision(3), at.plus(FRESH), FRESH).is_none());
        assert!(slot.known(Revision(3), at.plus(FRESH), STALE).is_some());
    }
}
