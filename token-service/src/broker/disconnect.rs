//! Ending a connection here, and then at the provider (RFC 7009).

use std::sync::Arc;

use secrecy::SecretString;

use super::Broker;
use super::tokens::TokenPlace;
use crate::domain::connection::{Connection, ConnectionId};
use crate::domain::server::Server;
use crate::oauth::token;
use crate::store::{Actor, StoreError};

impl Broker {
    /// Removes a connection's tokens on behalf of `actor`; `false` if there were none. Returns when they are gone here:
    /// a provider that is slow or away holds nobody up.
    pub async fn disconnect(self: &Arc<Self>, id: &ConnectionId, actor: Actor) -> Result<bool, StoreError> {
        let store = self.store.on_behalf_of(actor, self.clock.now());
        let Some(before) = store.disconnect(id).await? else { return Ok(false) };
        let (Some(tokens), Some(server)) = (&before.tokens, self.store.server(&before.server).await?) else {
            return Ok(true);
        };
        let place = TokenPlace::of(&before);
        let opened = place.open_access(&self.vault, tokens).and_then(|access| {
            let refresh = place.open_refresh(&self.vault, tokens)?;
            Ok((access, refresh))
        });
        match opened {
            Ok((access, refresh)) => self.revoke_later(&before, &server, access, refresh),
            Err(error) => {
                tracing::warn!(connection = id.as_str(), %error, "tokens to be revoked cannot be opened");
            }
        }
        Ok(true)
    }

    /// Tells the provider, in the background, that these tokens are not wanted any more.
    pub(super) fn revoke_later(
        self: &Arc<Self>,
        connection: &Connection,
        server: &Server,
        access: SecretString,
        refresh: Option<SecretString>,
    ) {
        let (broker, connection, server) = (Arc::clone(self), connection.clone(), server.clone());
        self.flights.spawn(async move {
            let confirmed = broker.revoke(&connection, &server, &access, refresh.as_ref()).await;
            let id = connection.id.as_str();
            if confirmed {
                tracing::info!(connection = id, "the provider has revoked the tokens");
            } else {
                tracing::warn!(connection = id, "the provider has not confirmed that the tokens are revoked");
            }
        });
    }

    async fn revoke(
        &self,
        connection: &Connection,
        server: &Server,
        access: &SecretString,
        refresh: Option<&SecretString>,
    ) -> bool {
        let Ok(provider) = self.provider(server, None).await else { return false };
        let authorization_server = &provider.discovered.authorization_server;
        // Nobody but who gave them is shown the tokens.
        let fits = authorization_server.issuer == connection.binding.issuer
            && provider.client.client_id == connection.binding.client_id;
        if !fits {
            return false;
        }
        let mut confirmed = true;
        // The refresh token first: revoking it is what ends the access of this connection.
        for token in refresh.into_iter().chain([access]) {
            let now = self.clock.now();
            let (egress, entropy) = (&*self.egress, &*self.entropy);
            confirmed &=
                token::revoke(egress, entropy, authorization_server, &provider.client, token, now).await;
        }
        confirmed
    }
}
