//! The emergency brake: a member, a key or a server that is switched off at once, whoever declared it.
//!
//! It is not what becomes of connections when their server moves to another origin; that is decided per connection
//! ([`crate::quarantine`]).

use super::Revision;
use super::ids::{KeyId, MemberId, ServerId};
use crate::clock::Timestamp;

/// What can be switched off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuarantineTarget {
    /// Refused like a disabled member, on every way.
    Member(MemberId),
    /// Refused like a disabled key.
    Key(KeyId),
    /// Looks as if it did not exist.
    Server(ServerId),
}

/// That something is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    pub target: QuarantineTarget,
    /// For people.
    pub reason: String,
    /// Whether somebody has set it who looks after the organization: nobody below ends it.
    pub by_administrator: bool,
    pub at: Timestamp,
    /// The commit that last changed it.
    pub revision: Revision,
}

impl QuarantineTarget {
    /// The word for its kind in the API and in the audit log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Member(_) => "member",
            Self::Key(_) => "key",
            Self::Server(_) => "server",
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Self::Member(id) => id.as_str(),
            Self::Key(id) => id.as_str(),
            Self::Server(id) => id.as_str(),
        }
    }
}
