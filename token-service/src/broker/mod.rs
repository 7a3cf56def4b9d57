//! A usable credential for one caller on one server: opened, renewed, fetched, or the reason why not.

use portcullis_wire::lease::{CredentialHeader, Rejected};

use crate::clock::Timestamp;
use crate::domain::connection::ConnectionOwner;
use crate::domain::connection::{ConnectionId, ReauthReason};
use crate::domain::resolve::Grant;
use crate::domain::server::Server;
use crate::oauth::challenge::BearerChallenge;
use crate::oauth::{Client, Discovered};
use crate::state::Service;

/// What goes to the upstream.
#[derive(Clone, Debug)]
pub struct Credential {
    pub headers: Vec<CredentialHeader>,
    pub connection: Option<(ConnectionId, u64)>,
    /// No lease may outlive it.
    pub not_after: Option<Timestamp>,
}

/// Why there is no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoCredential {
    /// The member has to connect an account, for the first time or again.
    ConnectRequired { connection: ConnectionId, reason: Option<ReauthReason>, missing_scopes: bool },
    /// Not now.
    Unavailable { retry_after_ms: u64 },
    /// An administrator has to act.
    Misconfigured,
    /// The server wants an account of each member, and there is no member.
    MemberRequired,
}

impl Service {
    /// The credential of a grant. `rejected`: what the upstream did not take.
    pub async fn credential(
        &self,
        _grant: &Grant,
        _rejected: Option<&Rejected>,
    ) -> Result<Credential, NoCredential> {
        todo!()
    }

    /// Everything needed to be a client for this server's connections: discovery (cached for minutes), then the
    /// client: pre-registered, metadata document, or registered now.
    pub async fn provider(
        &self,
        _server: &Server,
        _challenge: Option<&BearerChallenge>,
    ) -> Result<Provider, ProviderError> {
        todo!()
    }

    /// Removes a connection's tokens on behalf of `actor`, and revokes them at the provider as far as it goes.
    pub async fn disconnect(
        &self,
        _id: &ConnectionId,
        _actor: crate::store::Actor,
    ) -> Result<bool, crate::store::StoreError> {
        todo!()
    }
}

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
    Store(#[from] crate::store::StoreError),
}

/// Whose connection a grant uses.
pub fn owner(_grant: &Grant) -> Option<ConnectionOwner> {
    todo!()
}
