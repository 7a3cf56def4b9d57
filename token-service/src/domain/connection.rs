//! Connections: the upstream credentials that are obtained, renewed and lost while the gateway runs.
//!
//! ```text
//!            connect, or first fetch
//!  (none) ───────────────────────────► Active ──refused──► NeedsReauth
//!    ▲                                  │  ▲                   │
//!    │                     origin moved │  └────connect────────┤
//!    │                                  ▼                      │
//!    └── disconnect ── Disconnected  Quarantined ◄─────────────┘
//! ```
//!
//! A connection is never deleted while its server and member exist: its generation goes on counting, so that a late
//! writer is always told from a current one.

use std::collections::BTreeSet;

use portcullis_wire::digest::Digest;
use serde::{Deserialize, Serialize};

use super::Revision;
use super::ids::{MemberId, ServerId};
use super::server::Sealed;
use crate::clock::Timestamp;

/// A connection's id: `con_` and 32 hexadecimal digits, which follow from whose it is and to what. So there is an id
/// to name before there is a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(String);

impl ConnectionId {
    pub fn of(server: &ServerId, owner: &ConnectionOwner) -> Self {
        let owner: [&[u8]; 2] = match owner {
            ConnectionOwner::Member(member) => [b"member", member.as_str().as_bytes()],
            ConnectionOwner::Shared => [b"shared", b""],
        };
        let digest =
            Digest::of("portcullis-connection-v1", &[server.as_str().as_bytes(), owner[0], owner[1]]);
        let hexadecimal = digest.to_string();
        Self(format!("con_{}", &hexadecimal[..32]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ConnectionId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Display for ConnectionId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whose a connection is. A member is of one workspace, so one person in two workspaces has two connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionOwner {
    Member(MemberId),
    /// Everybody's who may use the server.
    Shared,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub id: ConnectionId,
    pub server: ServerId,
    pub owner: ConnectionOwner,
    pub state: ConnectionState,
    /// Where and as whom it was made; what the tokens are sealed to.
    pub binding: Binding,
    /// Counts the credentials that it has had, from 1. Every change of `tokens` adds one.
    pub generation: u64,
    /// `None` in `Disconnected` only.
    pub tokens: Option<SealedTokens>,
    /// Granted, as far as is known.
    pub scopes: BTreeSet<String>,
    /// What the provider calls the account, where it says; for people.
    pub account: Option<String>,
    /// The renewal under way, or the last one that ended without an answer.
    pub attempt: Option<Attempt>,
    pub step_up: StepUp,
    pub connected_at: Timestamp,
    pub refreshed_at: Timestamp,
    /// The commit that last changed it.
    pub revision: Revision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    Active,
    /// The provider no longer takes the credential, or it may be lost; the member has to connect again.
    NeedsReauth(ReauthReason),
    /// The server's URL moved to another origin: not used until an administrator decides.
    Quarantined,
    /// By the member or an administrator. The tokens are gone.
    Disconnected,
}

/// Why a member has to connect again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReauthReason {
    /// The provider answered `invalid_grant`.
    Revoked,
    /// A renewal ended without an answer, and the provider then refused the token that it was made with.
    LostRotation,
    /// It has expired, and there is no refresh token.
    Expired,
    /// The upstream refuses the credential, though it was renewed just now.
    Rejected,
    /// The server now belongs to another authorization server.
    IssuerChanged,
    /// The gateway is another client there by now: the provider had forgotten the one that the tokens were given to, or
    /// an administrator entered another.
    ClientChanged,
    /// The tokens cannot be opened.
    Unreadable,
}

/// Where a connection's tokens are from and where they may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Of the server's URL: scheme, host and port.
    pub origin: String,
    pub issuer: String,
    pub client_id: String,
}

/// The token endpoint's answer, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedTokens {
    pub access: Sealed,
    pub refresh: Option<Sealed>,
    /// `None` if the provider did not say.
    pub expires_at: Option<Timestamp>,
    /// When to renew it, ahead of `expires_at` and with jitter; `None` if it never has to be.
    pub refresh_at: Option<Timestamp>,
}

/// Who renews a connection, and until when nobody else may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Random; the fence that a late owner runs into.
    pub id: String,
    /// By the database's clock.
    pub lease_until: Timestamp,
    /// The request was sent and no answer came: the provider may have rotated the refresh token.
    pub ambiguous: bool,
}

/// Scopes that upstreams have asked for since the member consented.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    /// To be asked for at the next consent, together with those granted.
    pub wanted: BTreeSet<String>,
    /// How often since `window_start`.
    pub count: u32,
    pub window_start: Timestamp,
}

impl ConnectionState {
    /// What [`Self::as_str`] can say.
    pub const WORDS: [&'static str; 4] = ["active", "needs_reauth", "quarantined", "disconnected"];

    /// The word for it in the database, the API and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsReauth(_) => "needs_reauth",
            Self::Quarantined => "quarantined",
            Self::Disconnected => "disconnected",
        }
    }
}

impl ReauthReason {
    pub const ALL: [Self; 7] = [
        Self::Revoked,
        Self::LostRotation,
        Self::Expired,
        Self::Rejected,
        Self::IssuerChanged,
        Self::ClientChanged,
        Self::Unreadable,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::LostRotation => "lost_rotation",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::IssuerChanged => "issuer_changed",
            Self::ClientChanged => "client_changed",
            Self::Unreadable => "unreadable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_server_and_owner() {
        let (one, two) = (ServerId::from("srv_1"), ServerId::from("srv_2"));
        let ada = ConnectionOwner::Member(MemberId::from("mem_a"));
        let id = ConnectionId::of(&one, &ada);
        assert_eq!(id, ConnectionId::of(&one, &ada.clone()));
        assert_ne!(id, ConnectionId::of(&two, &ada));
        assert_ne!(id, ConnectionId::of(&one, &ConnectionOwner::Shared));
        assert!(id.as_str().starts_with("con_") && id.as_str().len() == 36);
    }
}
