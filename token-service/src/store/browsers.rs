//! The part of the contract about browsers: links, sessions, flows. But for [`BrowserStore::burn_ticket`] and
//! [`BrowserStore::note_wrong_browser`], nothing here takes a revision.

use std::time::Duration;

use async_trait::async_trait;
use portcullis_wire::digest::Digest;

use super::Result;
use crate::clock::Timestamp;
use crate::domain::connecting::{BrowserSession, Flow, Ticket};
use crate::domain::ids::{MemberId, ServerId};

/// How many links of one member and server are good at a time; a further one ends the oldest.
pub const LIVE_TICKETS: u32 = 3;

/// How long after its end a ticket is still counted by [`BrowserStore::tickets_since`].
pub const TICKETS_COUNTED_FOR: Duration = Duration::from_hours(1);

/// How long an upstream's session is remembered.
pub const UPSTREAM_SESSION_AGE: Duration = Duration::from_hours(24);

#[async_trait]
pub trait BrowserStore: Send + Sync {
    /// A ticket of this member, server and client that is not used, and not over before `good_until`.
    async fn live_ticket(
        &self,
        member: &MemberId,
        server: &ServerId,
        client_name: Option<&str>,
        good_until: Timestamp,
    ) -> Result<Option<Ticket>>;
    /// Keeps a ticket, and of those of the same member and server the newest [`LIVE_TICKETS`]. Where there is a
    /// [`BrowserStore::live_ticket`] by now, that one is answered, and nothing is kept.
    async fn create_ticket(&self, ticket: &Ticket, good_until: Timestamp) -> Result<Option<Ticket>>;
    /// A ticket that is neither used nor expired at `now`.
    async fn ticket(&self, digest: &Digest, now: Timestamp) -> Result<Option<Ticket>>;
    /// Uses it up: of several at once, one gets it.
    async fn take_ticket(&self, digest: &Digest, now: Timestamp) -> Result<Option<Ticket>>;
    /// Uses it up because somebody else has shown it, audited as `connect.wrong_person` of its member. `false` if it is
    /// used or over already.
    async fn burn_ticket(&self, digest: &Digest, now: Timestamp) -> Result<bool>;
    /// How many tickets of this member and server were made after `since`, used or not. Those that ended more than
    /// [`TICKETS_COUNTED_FOR`] ago may be missing.
    async fn tickets_since(&self, member: &MemberId, server: &ServerId, since: Timestamp) -> Result<u32>;

    async fn create_session(&self, session: &BrowserSession) -> Result<()>;
    /// A session that is not over at `now`.
    async fn session(&self, digest: &Digest, now: Timestamp) -> Result<Option<BrowserSession>>;
    /// Moves the end of a session, unless it was over by `seen` or was seen later than that.
    async fn touch_session(&self, digest: &Digest, seen: Timestamp, expires_at: Timestamp) -> Result<()>;
    async fn delete_session(&self, digest: &Digest) -> Result<()>;

    async fn create_flow(&self, flow: &Flow) -> Result<()>;
    /// Uses it up: of several at once, one gets it. An expired one is gone.
    async fn take_flow(&self, state: &Digest, now: Timestamp) -> Result<Option<Flow>>;
    /// A flow of this member came back in another browser than it left in: audited as `connect.wrong_browser`.
    async fn note_wrong_browser(&self, member: &MemberId) -> Result<()>;

    /// Forgets what is over at `now`: sessions, flows, tickets that are no longer counted, upstream sessions that are
    /// [`UPSTREAM_SESSION_AGE`] old.
    async fn sweep_browsers(&self, now: Timestamp) -> Result<()>;
}
