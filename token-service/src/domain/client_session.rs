//! What a member has allowed a client, and what has come of it.
//!
//! A member agrees on the consent page, which makes an [`Authorization`]; its code is redeemed for a [`ClientSession`],
//! which is what all tokens of that sign-in are about. Ending the session ends them all.

use std::time::Duration;

use portcullis_wire::digest::Digest;
use portcullis_wire::scopes;

use super::ids::{ClientSessionId, MemberId, ServerId};
use super::resource::ResourcePath;
use super::server::Sealed;
use crate::clock::Timestamp;

/// How long a client stays signed in without refreshing.
pub const IDLE: Duration = Duration::from_hours(30 * 24);

/// How much of a server a client may use. There are two scopes, and one says nothing without the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extent {
    /// `mcp:read`
    Reading,
    /// `mcp:read mcp:write`
    Everything,
}

/// Asked for by clients that want refresh tokens. Every client gets one, so it changes nothing.
const OFFLINE_ACCESS: &str = "offline_access";

impl Extent {
    /// Reads the parameter `scope`; `None` if it asks for what there is not. Who names nothing asks for everything.
    pub fn parse(scope: Option<&str>) -> Option<Self> {
        let Some(scope) = scope.filter(|scope| !scope.is_empty()) else { return Some(Self::Everything) };
        let mut names: Vec<&str> = scope.split(' ').filter(|name| *name != OFFLINE_ACCESS).collect();
        names.sort_unstable();
        names.dedup();
        match names.as_slice() {
            [scopes::READ] => Some(Self::Reading),
            [] | [scopes::READ, scopes::WRITE] => Some(Self::Everything),
            _ => None,
        }
    }

    /// Of the scopes in a token.
    pub fn of_scopes(names: &[String]) -> Option<Self> {
        let has = |name: &str| names.iter().any(|found| found == name);
        match (has(scopes::READ), has(scopes::WRITE)) {
            (true, true) => Some(Self::Everything),
            (true, false) => Some(Self::Reading),
            (false, _) => None,
        }
    }

    /// The value of `scope`.
    pub fn scope(self) -> String {
        match self {
            Self::Reading => scopes::READ.to_owned(),
            Self::Everything => scopes::ALL.join(" "),
        }
    }
}

/// A client as a member knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName {
    pub id: String,
    /// As it was shown to the member who agreed.
    pub name: String,
}

/// What a member has agreed to, until its code is redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Of the authorization request; a request is agreed to once.
    pub request: Digest,
    pub member: MemberId,
    pub server: ServerId,
    pub resource: ResourcePath,
    pub client: ClientName,
    /// As the request had it, and the token request has to repeat it.
    pub redirect_uri: String,
    /// PKCE (RFC 7636), S256.
    pub challenge: String,
    pub extent: Extent,
    pub created_at: Timestamp,
}

/// An authorization whose code was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCode {
    pub authorization: Authorization,
    pub is_used: bool,
    pub expires_at: Timestamp,
}

/// A client that is signed in as a member, for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSession {
    pub id: ClientSessionId,
    pub member: MemberId,
    pub server: ServerId,
    pub resource: ResourcePath,
    pub client: ClientName,
    pub extent: Extent,
    pub created_at: Timestamp,
    /// Written now and then, so it may be a minute old.
    pub last_used_at: Timestamp,
    /// Moves with every refresh.
    pub expires_at: Timestamp,
}

/// The refresh token that takes the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    pub digest: Digest,
    /// The token itself, for whoever lost the answer: sealed to
    /// [`Place::refresh_token`](crate::vault::Place::refresh_token) of the one before.
    pub sealed: Sealed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_two_and_in_order() {
        for (scope, expected) in [
            (None, Some(Extent::Everything)),
            (Some(""), Some(Extent::Everything)),
            (Some("mcp:read"), Some(Extent::Reading)),
            (Some("mcp:read mcp:write"), Some(Extent::Everything)),
            (Some("mcp:write mcp:read mcp:read"), Some(Extent::Everything)),
            (Some("mcp:read offline_access"), Some(Extent::Reading)),
            (Some("offline_access"), Some(Extent::Everything)),
            (Some("mcp:write"), None),
            (Some("mcp:read admin"), None),
            (Some("mcp:read  mcp:write"), None),
            (Some("MCP:READ"), None),
        ] {
            assert_eq!(Extent::parse(scope), expected, "{scope:?}");
            if let Some(extent) = expected {
                let names: Vec<String> = extent.scope().split(' ').map(str::to_owned).collect();
                assert_eq!(Extent::of_scopes(&names), Some(extent));
            }
        }
        assert_eq!(Extent::of_scopes(&["mcp:write".to_owned()]), None);
        assert!(Extent::Reading < Extent::Everything);
    }
}
