//! Who changed what: written by the store in the transaction of the change itself, and only ever added to.

use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::people::Identity;

/// On whose behalf a change is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds the admin token.
    AdminToken,
    /// `portcullis.yaml`.
    Configuration,
    /// A member's first request with a token, or what a sign-in at the company's provider says about somebody.
    SignIn,
    /// A signed-in member, in a browser; which, the entry does not say.
    Member,
    /// Somebody signed in.
    Person(Identity),
    /// The service itself; handles that were not told otherwise.
    #[default]
    System,
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Counts from 1 without gaps.
    pub sequence: u64,
    pub at: Timestamp,
    pub actor: Actor,
    /// Such as `server.create`.
    pub action: String,
    /// The id of the object; never a secret.
    pub object: String,
    pub revision: Revision,
}

impl Actor {
    /// The word for it in the database and in the API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::AdminToken => "admin_token",
            Self::Configuration => "configuration",
            Self::SignIn => "sign_in",
            Self::Member => "member",
            Self::Person(_) => "person",
            Self::System => "system",
        }
    }

    /// `person`: who it was, if it was one.
    pub fn read(text: &str, person: Option<Identity>) -> Option<Self> {
        if let Some(person) = person {
            return (text == "person").then_some(Self::Person(person));
        }
        [Self::AdminToken, Self::Configuration, Self::SignIn, Self::Member, Self::System]
            .into_iter()
            .find(|actor| actor.as_str() == text)
    }

    pub fn person(&self) -> Option<&Identity> {
        match self {
            Self::Person(identity) => Some(identity),
            _ => None,
        }
    }
}
