//! The part of the contract about data keys, and about everything that they have sealed.
//!
//! Keys in a new state and secrets that are sealed anew are no commits that filters would have to hear of: what is sealed
//! stays the same.

use async_trait::async_trait;

use super::Result;
use crate::clock::Timestamp;
use crate::domain::server::Sealed;
use crate::vault::Place;

/// A data key as it is kept: wrapped by the root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeyRow {
    /// Counts from 1.
    pub id: u32,
    pub wrapped: Vec<u8>,
    /// Tells a wrong key before anything is decrypted with it.
    pub check: Vec<u8>,
    pub state: DataKeyState,
    /// `None` for the first key, which nobody had to wait for.
    pub published_at: Option<Timestamp>,
    /// `None` for the first key, and for one that does not seal yet.
    pub active_from: Option<Timestamp>,
    /// When nothing was left that a retired key has sealed.
    pub resealed_at: Option<Timestamp>,
}

/// The life of a data key: published to all replicas, used for sealing, kept for opening only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKeyState {
    Published,
    Active,
    Retired,
}

impl DataKeyState {
    pub const ALL: [Self; 3] = [Self::Published, Self::Active, Self::Retired];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// Every column that holds something sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedColumn {
    ServerHeader,
    ServerSecret,
    AccessToken,
    RefreshToken,
    RegisteredClient,
    UpstreamSession,
    Ticket,
    Flow,
    SigningKey,
    ClientRefreshToken,
}

impl SealedColumn {
    pub const ALL: [Self; 10] = [
        Self::ServerHeader,
        Self::ServerSecret,
        Self::AccessToken,
        Self::RefreshToken,
        Self::RegisteredClient,
        Self::UpstreamSession,
        Self::Ticket,
        Self::Flow,
        Self::SigningKey,
        Self::ClientRefreshToken,
    ];

    /// Table and column.
    pub fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::ServerHeader => ("server_headers", "value"),
            Self::ServerSecret => ("server_secrets", "value"),
            Self::AccessToken => ("connections", "access_token"),
            Self::RefreshToken => ("connections", "refresh_token"),
            Self::RegisteredClient => ("oauth_clients", "sealed"),
            Self::UpstreamSession => ("upstream_sessions", "session_id"),
            Self::Ticket => ("connect_tickets", "sealed"),
            Self::Flow => ("oauth_flows", "sealed"),
            Self::SigningKey => ("signing_keys", "private_key"),
            Self::ClientRefreshToken => ("refresh_tokens", "sealed"),
        }
    }
}

/// One sealed value, and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRow {
    pub column: SealedColumn,
    /// The row's primary key, column by column.
    pub key: Vec<String>,
    /// What the row says it is bound to.
    pub place: Place,
    pub sealed: Sealed,
}

#[async_trait]
pub trait SealingStore: Send + Sync {
    // === Data keys ===

    /// The wrapped data keys, by id.
    async fn data_keys(&self) -> Result<Vec<DataKeyRow>>;

    /// Adds the first data key. `false` if there is one already: somebody else was faster. Takes no revision.
    async fn add_first_data_key(&self, key: &DataKeyRow) -> Result<bool>;

    /// Adds a key that does not seal yet, after the one that is the newest and active; `false` if there is another by now.
    /// A commit, so that the audit log has it.
    async fn publish_data_key(&self, key: &DataKeyRow) -> Result<bool>;

    /// A published key seals from now on, in place of the one before; `false` if it does already.
    async fn activate_data_key(&self, id: u32, now: Timestamp) -> Result<bool>;

    /// Replaces what wraps a key; `false` if that is no longer `present`.
    async fn rewrap_data_key(&self, id: u32, present: &[u8], wrapped: &[u8]) -> Result<bool>;

    /// Nothing is left that a retired key has sealed.
    async fn note_resealed(&self, id: u32, now: Timestamp) -> Result<()>;

    // === What they seal ===

    /// Values of a column in the order of their keys, at most `limit`, those after `after`; with `not_under`, those that
    /// another key than this has sealed. A column of few values may answer all of them at once, and then nothing.
    async fn sealed_rows(
        &self,
        column: SealedColumn,
        not_under: Option<u32>,
        after: Option<&[String]>,
        limit: u32,
    ) -> Result<Vec<SealedRow>>;

    /// Puts other values in place of those that are still as they were read; answers how many were.
    async fn reseal(&self, rows: &[(SealedRow, Sealed)]) -> Result<u64>;
}
