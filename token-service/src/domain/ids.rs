//! Ids: one type per kind, so that a workspace's cannot be passed for a member's.
//!
//! They are made once, never reused, and mean nothing. A text that names nothing is found to be unknown when it is
//! looked up, so reading one cannot fail.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::{Entropy, random};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A server's id: `srv_` and 32 hexadecimal digits. It outlives a change of slug.
    ServerId
);
id!(
    /// A workspace's id: `wsp_` and 32 hexadecimal digits.
    WorkspaceId
);
id!(
    /// A member's id: `mem_` and 32 hexadecimal digits. One person in two workspaces is two members.
    MemberId
);
id!(
    /// An API key's id: the ten public characters inside the key itself.
    KeyId
);

id!(
    /// An administrator's id: `adm_` and 32 hexadecimal digits.
    AdministratorId
);

id!(
    /// The id of a client's sign-in: `ses_` and 32 hexadecimal digits; the claim `sid` of its access tokens.
    ClientSessionId
);

impl ClientSessionId {
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(with_prefix("ses_", entropy))
    }
}

impl ServerId {
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(with_prefix("srv_", entropy))
    }
}

impl WorkspaceId {
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(with_prefix("wsp_", entropy))
    }
}

impl MemberId {
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(with_prefix("mem_", entropy))
    }
}

impl AdministratorId {
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self(with_prefix("adm_", entropy))
    }
}

fn with_prefix(prefix: &str, entropy: &dyn Entropy) -> String {
    format!("{prefix}{:032x}", u128::from_be_bytes(random(entropy)))
}
