//! On the way to a connection: the link, the browser session, and the flow through the provider.
//!
//! All three are secrets that their bearer shows once or often, so only digests are kept.

use portcullis_wire::digest::Digest;

use super::connection::Binding;
use super::ids::{MemberId, ServerId};
use super::people::Identity;
use super::server::Sealed;
use crate::clock::Timestamp;

/// A link `https://<gateway>/connect/<ticket>`: single use, ten minutes, for one member and one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Of the ticket in the link.
    pub digest: Digest,
    pub member: MemberId,
    pub server: ServerId,
    /// What the agent that made the call says it is; self-reported, shown as such.
    pub client_name: Option<String>,
    /// The ticket in the link, sealed to [`Place::ticket`](crate::vault::Place::ticket).
    pub sealed: Option<Sealed>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSession {
    /// Of the cookie.
    pub digest: Digest,
    pub identity: Identity,
    /// What to call the person.
    pub name: String,
    /// The synchroniser token of its forms: a value derived from the cookie is compared with this.
    pub csrf: Digest,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
}

/// An authorization request that was sent off with a browser and has not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Of `state`.
    pub state: Digest,
    /// Of the flow's own cookie, which shows that the same browser comes back.
    pub cookie: Digest,
    /// Of the session's cookie that began it.
    pub session: Digest,
    pub member: MemberId,
    pub server: ServerId,
    pub binding: Binding,
    /// Everything that the redemption needs, decided before the browser left: JSON, sealed to
    /// [`Place::flow`](crate::vault::Place::flow).
    pub sealed: Sealed,
    pub expires_at: Timestamp,
}
