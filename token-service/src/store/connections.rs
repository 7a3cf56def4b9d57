//! The part of the contract about upstream credentials: connections, registered clients, what is known of servers.
//!
//! **Fenced.** Renewing a connection takes three steps: [`ConnectionStore::begin_refresh`] makes the caller the one
//! owner until its lease is over *by the database's clock*, the caller asks the provider, and
//! [`ConnectionStore::finish_refresh`] or [`ConnectionStore::fail_refresh`] ends it, which works for the present
//! attempt only. Whoever was paused for so long that somebody else took over changes nothing any more; until then a
//! late answer still counts, since the tokens in it may be the only good ones.
//!
//! **Never lost.** No method here removes a token except [`ConnectionStore::disconnect`], and a new one in its place.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;

use super::Result;
use crate::clock::Timestamp;
use crate::domain::connection::{
    Attempt, Binding, Connection, ConnectionId, ConnectionOwner, ConnectionState, ReauthReason, SealedTokens,
    StepUp,
};
use crate::domain::ids::{MemberId, ServerId, WorkspaceId};
use crate::domain::server::Sealed;

/// Every change of a connection's state or tokens takes a revision, invalidates
/// [`Connection`](portcullis_wire::watch::Invalidation::Connection), and is audited (`connection.connect`,
/// `connection.disconnect`, `connection.reauth`, `connection.quarantine`, `connection.release`); a renewal takes a
/// revision and is not audited. The rest takes none.
#[async_trait]
pub trait ConnectionStore: Send + Sync {
    async fn connection(&self, id: &ConnectionId) -> Result<Option<Connection>>;

    /// In the order of their ids, at most `limit`, those after `after`.
    async fn connections(
        &self,
        filter: &ConnectionFilter,
        after: Option<&ConnectionId>,
        limit: u32,
    ) -> Result<Vec<Connection>>;

    /// How many there are in each state, by its word; none of states that nothing is in.
    async fn connection_counts(&self) -> Result<Vec<(String, u64)>>;

    /// Active ones with a refresh token (or shared ones) that are due for renewal at `now`, longest overdue first, not
    /// being renewed by anybody.
    async fn due_connections(&self, now: Timestamp, limit: u32) -> Result<Vec<ConnectionId>>;

    /// Makes a connection or gives it new tokens after a consent (or the first fetch of a shared one): state `Active`,
    /// no attempt, no step-up. The tokens are sealed for `new.generation`, which must be one more than the present
    /// generation (1 if there is none), and for the server's present origin; otherwise
    /// [`StoreError::Stale`](super::StoreError::Stale).
    async fn connect(&self, new: &NewConnection) -> Result<Connection>;

    /// Makes `attempt` the one that renews the connection, if it is `Active`, still of `generation`, and nobody
    /// else's lease is running. An ambiguous attempt whose lease is over may be taken over; `previous` tells of it, also
    /// to those who come after whoever took it over, until an answer settles the matter.
    async fn begin_refresh(
        &self,
        id: &ConnectionId,
        generation: u64,
        attempt: &str,
        lease: Duration,
    ) -> Result<RefreshStart>;

    /// Notes that the request of this attempt was sent, right before it is: from now on it counts as ambiguous.
    /// `false`, and the request must not be sent, if the attempt is not the present one, its lease is over, or the
    /// connection is no longer `Active`.
    async fn mark_sent(&self, id: &ConnectionId, attempt: &str) -> Result<bool>;

    /// Stores the new tokens, sealed for `generation`, and ends the attempt. `None` if the attempt is not the present
    /// one or `generation` is not the next. The state stays: a connection that was quarantined meanwhile keeps the
    /// tokens and is not in use.
    async fn finish_refresh(
        &self,
        id: &ConnectionId,
        attempt: &str,
        renewed: &Renewed,
    ) -> Result<Option<Connection>>;

    /// Ends an attempt that brought no tokens. `None` if the attempt is not the present one.
    async fn fail_refresh(
        &self,
        id: &ConnectionId,
        attempt: &str,
        failure: &RefreshFailure,
    ) -> Result<Option<Connection>>;

    /// Asks for a new consent, keeping the tokens, if the connection is still of `generation`, and `Active` or in need
    /// of consent already.
    async fn need_reauth(
        &self,
        id: &ConnectionId,
        generation: u64,
        reason: ReauthReason,
    ) -> Result<Option<Connection>>;

    /// Notes scopes that the upstream demanded, if the connection is still of `generation`.
    async fn set_step_up(
        &self,
        id: &ConnectionId,
        generation: u64,
        step_up: &StepUp,
    ) -> Result<Option<Connection>>;

    /// Notes what the provider calls the account, if the connection is still of `generation`. No revision.
    async fn set_account(
        &self,
        id: &ConnectionId,
        generation: u64,
        account: &str,
    ) -> Result<Option<Connection>>;

    /// Removes the tokens, which takes a generation, and with them scopes, account, step-up and the member's upstream
    /// sessions; answers the connection as it was, so that the tokens can be revoked at the provider. `None` if it does
    /// not exist or is disconnected already. Discards an attempt: its result comes too late.
    async fn disconnect(&self, id: &ConnectionId) -> Result<Option<Connection>>;

    /// Takes a quarantined connection into use again, with tokens sealed for the server's present origin and the next
    /// generation. `None` if it is not quarantined or `generation` is not the next;
    /// [`StoreError::Stale`](super::StoreError::Stale) if the origin is another by now, or while a renewal that began
    /// before is running.
    async fn release(
        &self,
        id: &ConnectionId,
        generation: u64,
        binding: &Binding,
        tokens: &SealedTokens,
    ) -> Result<Option<Connection>>;

    // === Clients that the gateway registered ===

    async fn registered_client(&self, server: &ServerId, issuer: &str) -> Result<Option<RegisteredClient>>;
    /// The issuer that a server's clients and connections were last made with, those for its present origin.
    async fn last_issuer(&self, server: &ServerId) -> Result<Option<String>>;
    /// Adds or replaces the client of (server, issuer) if its generation is the next one; `false` if somebody else was
    /// faster. No revision.
    async fn save_registered_client(&self, client: &RegisteredClient) -> Result<bool>;
    async fn delete_registered_client(&self, server: &ServerId, issuer: &str) -> Result<()>;

    // === What is known of servers that show themselves to connected members only ===

    async fn catalogue(&self, server: &ServerId) -> Result<Option<Catalogue>>;
    /// Keeps it unless there is one that was learnt later, and brings the [entries](super::catalogue) up to date. If
    /// other tools are known to read only than before, or have the definition that was approved, that is a commit which
    /// invalidates the server, because leases name them; otherwise it takes no revision.
    async fn save_catalogue(&self, server: &ServerId, catalogue: &Catalogue) -> Result<()>;

    /// The upstream session behind one of our session ids (by its digest), if it was opened.
    async fn upstream_session(
        &self,
        session: &portcullis_wire::digest::Digest,
    ) -> Result<Option<UpstreamSession>>;
    /// Keeps it unless there is one: answers the one that is kept. No revision.
    async fn save_upstream_session(
        &self,
        session: &portcullis_wire::digest::Digest,
        opened: &UpstreamSession,
    ) -> Result<UpstreamSession>;
}

/// Which connections are meant; all if nothing is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    pub server: Option<ServerId>,
    pub workspace: Option<WorkspaceId>,
    pub member: Option<MemberId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewConnection {
    pub server: ServerId,
    pub owner: ConnectionOwner,
    pub binding: Binding,
    pub generation: u64,
    pub tokens: SealedTokens,
    pub scopes: BTreeSet<String>,
    pub account: Option<String>,
    pub now: Timestamp,
}

/// The answer to [`ConnectionStore::begin_refresh`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshStart {
    /// The caller is the owner now. `previous`: the attempt before, if it ended without an answer.
    Begun { connection: Connection, previous: Option<Attempt> },
    /// Somebody else is at it until then.
    Busy { until: Timestamp },
    /// It is of another generation by now, or not active: look again.
    Moved(Connection),
    /// There is no such connection.
    Missing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    pub generation: u64,
    pub tokens: SealedTokens,
    /// `None` leaves them as they are.
    pub scopes: Option<BTreeSet<String>>,
    pub now: Timestamp,
}

/// How a renewal can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshFailure {
    /// The provider may or may not have rotated: nobody else tries before the lease is over, which becomes `retry_in`
    /// from now by the database's clock.
    Ambiguous { retry_in: Duration },
    /// The provider certainly did nothing (it was not reached, or said so): the attempt is over, and another may begin
    /// after `retry_in`.
    NotDone { retry_in: Duration },
    /// The provider refused for good. The tokens stay.
    Refused(ReauthReason),
}

/// A client that the gateway registered by itself (RFC 7591), or whose metadata document it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredClient {
    pub server: ServerId,
    pub issuer: String,
    pub client_id: String,
    pub kind: ClientKind,
    /// `token_endpoint_auth_method`.
    pub authentication: String,
    /// The secret, if it has one.
    pub secret: Option<Sealed>,
    pub secret_expires_at: Option<Timestamp>,
    /// Registered with this redirect URI.
    pub redirect_uri: String,
    pub generation: u64,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// Given by an administrator; noted to notice when the issuer changes.
    PreRegistered,
    MetadataDocument,
    Dynamic,
}

/// What a server said about itself, as JSON texts of the results of the methods they are named after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    pub learnt_at: Timestamp,
    /// Results by method: `initialize`, `server/discover`, `tools/list`, …; lists hold all pages in one.
    pub results: std::collections::BTreeMap<String, String>,
    /// The methods whose list is only the beginning of what the server has.
    pub cut: BTreeSet<String>,
}

/// A session of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSession {
    pub member: MemberId,
    pub server: ServerId,
    /// `None` for servers without sessions.
    pub session_id: Option<Sealed>,
    pub protocol_version: String,
    pub created_at: Timestamp,
}

impl Connection {
    /// The state's reason as the API and pages spell it.
    pub fn reason(&self) -> Option<&'static str> {
        match self.state {
            ConnectionState::NeedsReauth(reason) => Some(reason.as_str()),
            _ => None,
        }
    }
}
