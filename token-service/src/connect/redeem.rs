//! Back from the provider: a code becomes a connection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis_wire::digest::Digest;
use portcullis_wire::secret::SecretText;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::access::Access;
use super::depart::binding;
use crate::broker::{Provider, ProviderError, TokenPlace};
use crate::domain::connecting::Flow;
use crate::domain::connection::{Connection, ConnectionId, ConnectionOwner};
use crate::http::error::error_chain;
use crate::oauth::account;
use crate::oauth::token::{self, Grant, TokenError, TokenRequest, Tokens};
use crate::state::Service;
use crate::store::connections::NewConnection;
use crate::store::{Actor, StoreError};
use crate::vault::{Place, UnsealError};

/// How long a browser may be away at the provider.
pub const FLOW_LIFE: Duration = Duration::from_mins(10);

/// How long a browser waits for the account's name.
const NAME_TIMEOUT: Duration = Duration::from_secs(3);

/// How often storing is tried: each time somebody else has given the connection other tokens in between.
const TRIES: u32 = 5;

/// What the store knows a flow by.
pub fn state_digest(state: &str) -> Digest {
    Digest::of("portcullis-oauth-state-v1", &[state.as_bytes()])
}

/// What the store knows a flow's cookie by.
pub fn cookie_digest(cookie: &str) -> Digest {
    Digest::of("portcullis-flow-cookie-v1", &[cookie.as_bytes()])
}

/// Why there is no connection in the end.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// The server's settings, its provider or the gateway's client are not what they were when the browser left.
    #[error("the server has changed since the member left for the provider")]
    Changed,
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the flow cannot be opened")]
    Unseal(#[from] UnsealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The content of [`Flow::sealed`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sealed {
    /// PKCE (RFC 7636).
    pub(super) verifier: SecretText,
    pub(super) redirect_uri: String,
    pub(super) resource: String,
    pub(super) token_endpoint: String,
    /// Whether the provider promised to name itself in its response (RFC 9207).
    pub(super) iss_parameter: bool,
    /// Asked for.
    pub(super) scopes: BTreeSet<String>,
    /// The sealed request of a client that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) continuation: Option<String>,
}

impl Sealed {
    pub(super) fn write(&self) -> SecretString {
        SecretString::from(serde_json::to_string(self).unwrap_or_default())
    }
}

/// A flow whose browser is back and has shown that it is the right one.
#[derive(Debug)]
pub struct Returned {
    pub flow: Flow,
    sealed: Sealed,
}

impl Returned {
    /// Whether the provider promised to name itself.
    pub fn iss_parameter(&self) -> bool {
        self.sealed.iss_parameter
    }

    /// The request of a client that waits for the member to come back, connected or not.
    pub fn continuation(&self) -> Option<&str> {
        self.sealed.continuation.as_deref()
    }
}

impl Service {
    /// Opens what was decided before the browser left.
    pub fn returned(&self, flow: Flow) -> Result<Returned, UnsealError> {
        let opened =
            self.vault.unseal(&Place::flow(&flow.state, &flow.member, &flow.server), &flow.sealed)?;
        let sealed = serde_json::from_str(opened.expose_secret()).map_err(|_| UnsealError::Malformed)?;
        Ok(Returned { flow, sealed })
    }

    /// Redeems the code and stores what it brings. Asks the provider once: a code is good for one try.
    pub async fn redeem(
        &self,
        access: &Access,
        returned: &Returned,
        code: &SecretString,
    ) -> Result<Connection, RedeemError> {
        let Returned { flow, sealed } = returned;
        let provider = self.provider(&access.server, None).await?;
        let server = &provider.discovered.authorization_server;
        let unchanged = binding(access, &provider) == flow.binding
            && server.token_endpoint.as_str() == sealed.token_endpoint
            && provider.redirect_uri == sealed.redirect_uri;
        if !unchanged {
            return Err(RedeemError::Changed);
        }
        let tokens = match self.exchange(&provider, sealed, code).await {
            Err(error) if error.is_about_the_client() => {
                let forgotten = self.broker.forget_client(&access.server, &provider).await?;
                return Err(if forgotten { RedeemError::Changed } else { error.into() });
            }
            outcome => outcome?,
        };
        warn_of_more_scopes(access, sealed, &tokens);
        let connection = self.keep(access, returned, &tokens).await?;
        self.connected(&access.server, &connection);
        Ok(self.named(connection, &provider, &tokens).await)
    }

    /// With what the provider calls the account, where it says so in time. The connection is kept by then, and counts
    /// without a name as well.
    async fn named(&self, connection: Connection, provider: &Provider, tokens: &Tokens) -> Connection {
        let openid = connection.scopes.contains("openid");
        let place = account::place(&provider.discovered.authorization_server, openid);
        let Some(place) = place.filter(|_| connection.account.is_none()) else { return connection };
        let asking = account::ask(&self.egress, place, &tokens.access);
        let name = timeout(NAME_TIMEOUT, asking).await.ok().flatten();
        let Some(name) = name.filter(|name| !account::repeats(name, tokens)) else { return connection };
        match self.store.set_account(&connection.id, connection.generation, &name).await {
            Ok(named) => named.unwrap_or(connection),
            Err(error) => {
                let id = connection.id.as_str();
                tracing::warn!(
                    connection = id,
                    error = error_chain(&error),
                    "the account's name could not be kept"
                );
                connection
            }
        }
    }

    async fn exchange(
        &self,
        provider: &Provider,
        sealed: &Sealed,
        code: &SecretString,
    ) -> Result<Tokens, TokenError> {
        let verifier = SecretString::from(sealed.verifier.expose());
        let request = TokenRequest {
            server: &provider.discovered.authorization_server,
            client: &provider.client,
            grant: Grant::Code { code, redirect_uri: &sealed.redirect_uri, verifier: &verifier },
            resource: Some(&sealed.resource),
            scopes: &BTreeSet::new(),
            parameters: &BTreeMap::new(),
            now: self.clock.now(),
        };
        token::request(&self.egress, &*self.entropy, &request).await
    }

    async fn keep(
        &self,
        access: &Access,
        returned: &Returned,
        tokens: &Tokens,
    ) -> Result<Connection, StoreError> {
        let owner = ConnectionOwner::Member(access.member.id.clone());
        let id = ConnectionId::of(&access.server.id, &owner);
        let store = self.store.on_behalf_of(Actor::Person(access.member.identity.clone()), self.clock.now());
        let mut tries = 0;
        loop {
            tries += 1;
            let generation = self.store.connection(&id).await?.map_or(1, |present| present.generation + 1);
            let new = self.sealed_connection(&owner, returned, generation, tokens);
            match store.connect(&new).await {
                Err(StoreError::Stale) if tries < TRIES => {}
                outcome => return outcome,
            }
        }
    }

    fn sealed_connection(
        &self,
        owner: &ConnectionOwner,
        returned: &Returned,
        generation: u64,
        tokens: &Tokens,
    ) -> NewConnection {
        let Returned { flow, sealed } = returned;
        let now = self.clock.now();
        let place = TokenPlace { server: &flow.server, owner, binding: &flow.binding, generation };
        NewConnection {
            tokens: place.seal(&self.vault, &*self.entropy, tokens, now),
            server: flow.server.clone(),
            owner: owner.clone(),
            binding: flow.binding.clone(),
            generation,
            scopes: tokens.scopes.clone().unwrap_or_else(|| sealed.scopes.clone()),
            account: tokens.account.clone().filter(|name| !account::repeats(name, tokens)),
            now,
        }
    }
}

fn warn_of_more_scopes(access: &Access, sealed: &Sealed, tokens: &Tokens) {
    let Some(granted) = &tokens.scopes else { return };
    let more = granted.difference(&sealed.scopes).count();
    if more > 0 && !sealed.scopes.is_empty() {
        let server = access.server.id.as_str();
        tracing::warn!(server, more, "the provider granted more scopes than were asked for");
    }
}
