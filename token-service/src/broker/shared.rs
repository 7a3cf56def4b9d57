//! The connection that everybody shares: one access token, fetched with the gateway's own client.
//!
//! The row is made before anything is fetched, with a token that has always been expired. So the first fetch takes the
//! same lock as every later one, and over all replicas one token request is made for each lifetime.

use std::collections::BTreeSet;

use super::credential::unavailable;
use super::failpoints::Failpoint;
use super::tokens::TokenPlace;
use super::{Broker, NoCredential, ProviderError};
use crate::domain::connection::{Binding, Connection, ConnectionId, ConnectionOwner};
use crate::domain::server::Server;
use crate::http::error::error_chain;
use crate::store::StoreError;
use crate::store::connections::NewConnection;

/// When to ask again while the provider cannot be asked.
const RETRY_AFTER_MS: u64 = 5_000;

impl Broker {
    /// Makes the connection, or makes it anew for the server's present origin, authorization server and client. If
    /// somebody else is faster, theirs is as good.
    pub(super) async fn make_shared(
        &self,
        server: &Server,
        present: Option<&Connection>,
    ) -> Result<Connection, NoCredential> {
        let provider = self.provider(server, None).await.map_err(|error| {
            let id = server.id.as_str();
            tracing::error!(server = id, error = error_chain(&error), "no shared token can be fetched");
            match error {
                ProviderError::Misconfigured(_) => NoCredential::Misconfigured,
                ProviderError::Unavailable | ProviderError::Store(_) => {
                    NoCredential::Unavailable { retry_after_ms: RETRY_AFTER_MS }
                }
            }
        })?;
        let binding = Binding {
            origin: server.settings.url.origin(),
            issuer: provider.discovered.authorization_server.issuer,
            client_id: provider.client.client_id,
        };
        let owner = ConnectionOwner::Shared;
        let generation = present.map_or(0, |present| present.generation).saturating_add(1);
        let place = TokenPlace { server: &server.id, owner: &owner, binding: &binding, generation };
        let new = NewConnection {
            server: server.id.clone(),
            tokens: place.seal_nothing(&self.vault),
            owner: owner.clone(),
            binding: binding.clone(),
            generation,
            scopes: BTreeSet::new(),
            account: None,
            now: self.clock.now(),
        };
        let id = ConnectionId::of(&server.id, &owner);
        let made = match self.store.connect(&new).await {
            Err(StoreError::Stale) => self.load(&id).await.map_err(unavailable)?,
            outcome => Some(outcome.map_err(unavailable)?),
        };
        self.failpoints.hit(Failpoint::SharedMade);
        made.ok_or(NoCredential::Unavailable { retry_after_ms: RETRY_AFTER_MS })
    }
}
