//! The part of the contract about the gateway's own authorization server: its keys, its clients, and their sign-ins.
//!
//! What nobody decided takes no revision: codes, refreshes, registrations. Signing in and out are commits and audited.

use std::time::Duration;

use async_trait::async_trait;
use portcullis_wire::digest::Digest;

use super::Result;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::client_session::{Authorization, ClientSession, ShownCode, Successor};
use crate::domain::ids::{ClientSessionId, MemberId};
use crate::domain::oauth_client::DynamicClient;
use crate::domain::people::Identity;
use crate::domain::signing::SigningKeyRow;

/// How long a client that has registered itself is known without ever being used.
pub const UNUSED_CLIENT_AGE: Duration = Duration::from_hours(24);

/// How many clients may register in an hour, and how many may be known without ever having been used.
pub const REGISTRATIONS_PER_HOUR: u32 = 100;
pub const UNUSED_CLIENTS: u32 = 1_000;

/// How long an authorization is remembered: a request cannot be agreed to twice, and a code that is shown again ends
/// what came of it. Longer than a request is good.
pub const AUTHORIZATION_AGE: Duration = Duration::from_hours(1);

/// How long the very token before the newest is answered with that newest one: the answer may have been lost, or
/// several parts of a client may have asked at once.
pub const REFRESH_GRACE: Duration = Duration::from_secs(30);

#[async_trait]
pub trait AuthorizationStore: Send + Sync {
    // === Signing keys ===

    /// All of them, in the order in which they were published.
    async fn signing_keys(&self) -> Result<Vec<SigningKeyRow>>;
    /// Adds a key if `newest` is still the id of the newest one; `false` if it is not: of several at once, one is added.
    /// A commit that changes the registry, unless there was none before: then nobody knows anything that could change.
    async fn publish_signing_key(&self, key: &SigningKeyRow, newest: Option<&str>) -> Result<bool>;
    /// Forgets a key; `false` if there is none. A commit that changes the registry.
    async fn forget_signing_key(&self, id: &str) -> Result<bool>;

    // === Clients that register themselves ===

    /// Keeps a client; `false` if [`REGISTRATIONS_PER_HOUR`] or [`UNUSED_CLIENTS`] is reached.
    async fn register_client(&self, client: &DynamicClient) -> Result<bool>;
    /// `None` also for one that nobody has used for [`UNUSED_CLIENT_AGE`].
    async fn dynamic_client(&self, id: &str, now: Timestamp) -> Result<Option<DynamicClient>>;
    /// In the order of their ids, at most `limit`, those after `after`.
    async fn dynamic_clients(&self, after: Option<&str>, limit: u32) -> Result<Vec<DynamicClient>>;
    /// Deletes it and ends its sessions.
    async fn delete_dynamic_client(&self, id: &str) -> Result<Option<Revision>>;

    // === Codes ===

    /// Notes what a member has agreed to; `false` if the request was agreed to already.
    async fn agree(&self, authorization: &Authorization) -> Result<bool>;
    /// What was agreed to, if its code is yet to be shown.
    async fn agreed(&self, request: &Digest) -> Result<Option<Authorization>>;
    /// Gives an authorization its code; `false` if it has one: of several at once, one gives it.
    async fn show_code(&self, request: &Digest, code: &Digest, expires_at: Timestamp) -> Result<bool>;
    /// A code that was shown, used and over ones included.
    async fn code(&self, code: &Digest) -> Result<Option<ShownCode>>;
    /// Makes a session of a code, with its first refresh token, once and within the code's time; the code's client counts
    /// as used. Otherwise `false`, and a session that was made of it before ends.
    async fn redeem_code(&self, code: &Digest, session: &ClientSession, refresh: &Digest) -> Result<bool>;
    /// Uses up a code without making anything of it; a session that was made of it before ends.
    async fn spoil_code(&self, code: &Digest, now: Timestamp) -> Result<()>;

    // === Sessions ===

    /// The session that a refresh token is or was good for.
    async fn session_of_refresh_token(&self, token: &Digest) -> Result<Option<ClientSession>>;
    /// Uses up a refresh token, gives the session `successor` in its place and moves its end; one statement decides for
    /// which of several that is. For the others see [`Refreshed`].
    async fn refresh(
        &self,
        token: &Digest,
        successor: &Successor,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Refreshed>;
    /// One that is over is still there until it is swept.
    async fn client_session(&self, id: &ClientSessionId) -> Result<Option<ClientSession>>;
    /// In the order of their ids, at most `limit`, those after `after`.
    async fn client_sessions(
        &self,
        of: &SessionsOf,
        after: Option<&ClientSessionId>,
        limit: u32,
    ) -> Result<Vec<ClientSession>>;
    /// Ends it with all its tokens.
    async fn end_client_session(&self, id: &ClientSessionId) -> Result<Option<Revision>>;
    /// Notes when sessions were last used, unless a later use is noted already. Unknown ones are passed over.
    async fn record_session_uses(&self, uses: &[(ClientSessionId, Timestamp)]) -> Result<()>;

    /// Forgets what is over at `now`: sessions with all their tokens, authorizations that are [`AUTHORIZATION_AGE`] old,
    /// and clients that nobody has used for [`UNUSED_CLIENT_AGE`]. A used refresh token stays for as long as a client may
    /// sleep ([`IDLE`](crate::domain::client_session::IDLE)), so that one which turns up late is known to be stolen.
    async fn sweep_authorizations(&self, now: Timestamp) -> Result<()>;
}

/// Whose sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionsOf {
    Member(MemberId),
    /// All memberships of a person.
    Person(Identity),
}

/// What became of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The successor is in its place.
    Rotated(ClientSession),
    /// It was used up within [`REFRESH_GRACE`], and what took its place is still unused: that one is the answer.
    Repeated(ClientSession, Successor),
    /// It was used up before, so two have it and one of them has stolen it. The session has ended with all its tokens,
    /// audited as `session.stolen`.
    Stolen(ClientSessionId),
    /// There is no such token, or its session is over.
    Unknown,
}
