//! What a renewal needs before anything is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::SecretString;

use super::tokens::TokenPlace;
use super::{Broker, Provider, ProviderError};
use crate::domain::connection::{Connection, ConnectionOwner, ReauthReason};
use crate::domain::server::{Server, ServerAuth};
use crate::http::error::error_chain;
use crate::vault::UnsealError;

#[derive(Debug)]
pub(super) struct Prepared {
    pub provider: Provider,
    /// `None` for the shared connection, whose token is fetched with the gateway's own client.
    pub refresh: Option<SecretString>,
    /// For the shared connection.
    pub scopes: BTreeSet<String>,
    pub parameters: BTreeMap<String, String>,
}

/// Why nothing can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotPrepared {
    /// Not now.
    Unavailable,
    /// The provider has asked to be left alone for so long.
    Paused(Duration),
    /// An administrator has to act.
    Misconfigured,
    /// The member has to connect again.
    Lost(ReauthReason),
    /// The same, once the present token is of no more use.
    Outdated(ReauthReason),
    /// The shared connection is for another authorization server or client than the server has now.
    Elsewhere,
}

impl Broker {
    pub(super) async fn prepare(
        &self,
        connection: &Connection,
        server: &Server,
    ) -> Result<Prepared, NotPrepared> {
        if let Some(pause) = self.pacing.paused(&connection.binding.issuer) {
            return Err(NotPrepared::Paused(pause));
        }
        let provider = self.provider(server, None).await.map_err(|error| not_prepared(server, &error))?;
        let (issuer, client) = (&provider.discovered.authorization_server.issuer, &provider.client.client_id);
        let fits = *issuer == connection.binding.issuer && *client == connection.binding.client_id;
        match (&server.settings.auth, &connection.owner) {
            (ServerAuth::ClientCredentials(settings), ConnectionOwner::Shared) => {
                if !fits {
                    return Err(NotPrepared::Elsewhere);
                }
                let scopes = settings.scopes.as_ref().map(|scopes| scopes.iter().cloned().collect());
                Ok(Prepared {
                    scopes: scopes.unwrap_or_else(|| provider.discovered.scopes.clone()),
                    parameters: settings.token_parameters.clone(),
                    refresh: None,
                    provider,
                })
            }
            (ServerAuth::OAuth(_), ConnectionOwner::Member(_)) => {
                if !fits {
                    return Err(self.belongs_elsewhere(connection, issuer));
                }
                let refresh = self.open_refresh(connection)?;
                let (scopes, parameters) = (BTreeSet::new(), BTreeMap::new());
                Ok(Prepared { provider, refresh: Some(refresh), scopes, parameters })
            }
            // The server has another kind of credential by now.
            _ => Err(NotPrepared::Misconfigured),
        }
    }

    fn open_refresh(&self, connection: &Connection) -> Result<SecretString, NotPrepared> {
        let tokens = connection.tokens.as_ref().ok_or(NotPrepared::Unavailable)?;
        match TokenPlace::of(connection).open_refresh(&self.vault, tokens) {
            Ok(Some(refresh)) => Ok(refresh),
            Ok(None) => Err(NotPrepared::Lost(ReauthReason::Expired)),
            Err(UnsealError::UnknownKey(_)) => Err(NotPrepared::Misconfigured),
            Err(error @ (UnsealError::Malformed | UnsealError::Tampered)) => {
                let id = connection.id.as_str();
                tracing::error!(
                    connection = id,
                    error = error_chain(&error),
                    "a refresh token cannot be opened"
                );
                Err(NotPrepared::Lost(ReauthReason::Unreadable))
            }
        }
    }

    /// A refresh token goes to nobody but who gave it. The access token is good for as long as it is.
    fn belongs_elsewhere(&self, connection: &Connection, issuer: &str) -> NotPrepared {
        let id = connection.id.as_str();
        tracing::error!(
            connection = id,
            "the server belongs to another authorization server or client by now"
        );
        let expires_at = connection.tokens.as_ref().and_then(|tokens| tokens.expires_at);
        let reason = if connection.binding.issuer == issuer {
            ReauthReason::ClientChanged
        } else {
            ReauthReason::IssuerChanged
        };
        if expires_at.is_some_and(|end| self.clock.now() < end) {
            NotPrepared::Outdated(reason)
        } else {
            NotPrepared::Lost(reason)
        }
    }
}

fn not_prepared(server: &Server, error: &ProviderError) -> NotPrepared {
    let id = server.id.as_str();
    tracing::warn!(server = id, error = error_chain(error), "the provider cannot be asked for a new token");
    match error {
        ProviderError::Misconfigured(_) => NotPrepared::Misconfigured,
        ProviderError::Unavailable | ProviderError::Store(_) => NotPrepared::Unavailable,
    }
}
