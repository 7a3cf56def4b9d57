//! The watch: how every filter learns of the servers, the verification keys, and what to forget.
//!
//! A filter asks `GET /v1/watch?cursor=N&filter=ID`. The token-service answers at once when something after `N` is
//! committed, otherwise when the hold is over. The cursor that a filter sends acknowledges all up to it.

use serde::{Deserialize, Serialize};

use crate::names::Slug;
use crate::payload::Capture;

mod later;

/// Query of `GET /v1/watch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchQuery {
    /// The last revision that this filter has applied; 0 asks for everything.
    pub cursor: u64,
    /// Tells the VMs of all Envoys apart, for acknowledgements; chosen by the filter at start.
    pub filter: String,
}

/// Answer of `GET /v1/watch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchReply {
    /// Everything up to this revision is in the reply or was before.
    pub cursor: u64,
    /// Forget all leases: the token-service cannot tell what was missed since the cursor asked for.
    #[serde(default)]
    pub reset: bool,
    /// The token-service's clock, milliseconds since the epoch.
    pub now_ms: u64,
    /// How long the token-service holds a watch without news; silence for longer means it is gone.
    pub hold_ms: u64,
    /// The whole registry, present when any of it changed after the cursor asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalidations: Vec<Invalidation>,
}

/// What a filter knows before any request comes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "later::ReadRegistry")]
pub struct Registry {
    pub servers: Vec<ServerEntry>,
    pub issuers: Vec<IssuerEntry>,
    /// Whether a bearer token that is no JWT may be one that an issuer can be asked about.
    pub accepts_opaque_tokens: bool,
    /// Issuers and keys that came, and are left out because something in them is not known here: `issuer
    /// https://idp.example, key 1`. Never sent.
    #[serde(skip)]
    pub unread: Vec<String>,
}

/// One server, as far as the filter needs to know it. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerEntry {
    pub id: String,
    pub slug: Slug,
    pub upstream: Upstream,
    /// By which filters go that do not know [`Self::capture`]. It never shows more than that does. One that is not known
    /// is read as [`PayloadPolicy::Off`].
    #[serde(default, deserialize_with = "later::payload")]
    pub payload: PayloadPolicy,
    /// In place of [`Self::payload`], where there is more to say. One that is not known as a whole is read as one that
    /// shows nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "later::capture")]
    pub capture: Option<Capture>,
    /// Tools that the server is known to have, sorted: the names that may become labels of metrics. Nothing is allowed or
    /// denied by them. At most [`MAX_LABELLED_TOOLS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
}

/// Of more tools than that, metrics do not tell one from the other.
pub const MAX_LABELLED_TOOLS: usize = 64;

/// Where a server's MCP endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// `https`, or plain `http` where the registry allows it.
    pub tls: bool,
    /// `host` or `host:port`, as it goes into the `Host` header.
    pub authority: String,
    /// Path and query of the endpoint, kept exactly; starts with `/`.
    pub path: String,
}

/// How much of a request's parameters and response its access-log record holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadPolicy {
    /// Nothing.
    Off,
    /// A SHA-256 digest and the size.
    Digest,
    /// The payload with secrets masked.
    #[default]
    Redacted,
    /// The payload as it is.
    Full,
}

/// An issuer whose tokens are accepted. Read strictly: a setting that is not known could be a reason to refuse a token.
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own, and none rules out another")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerEntry {
    /// Compared byte for byte with the token's `iss`.
    pub issuer: String,
    /// Accepted values of `aud`; empty means the URL of the server path that is called.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Whether the token's `typ` must be `at+jwt` (RFC 9068); otherwise `JWT` or none is accepted too.
    #[serde(default)]
    pub require_at_jwt: bool,
    /// The claim that names the caller's workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_claim: Option<String>,
    /// Further claims that are handed over with the proof, for the token-service to judge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// Whether the URL of the server path that is called is accepted as `aud` besides [`Self::audiences`].
    #[serde(default)]
    pub accepts_resource: bool,
    /// How far the issuer's clock may be off, in seconds; 30 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_tolerance: Option<u32>,
    /// Its tokens are not verified by the filter: they are handed to the token-service, which asks the issuer.
    #[serde(default)]
    pub introspected: bool,
    /// The gateway itself. Its tokens are for one server each, and name the sign-in (`sid`) and the scopes.
    #[serde(default)]
    pub gateway: bool,
    pub keys: Vec<VerificationKey>,
}

/// A public key. The algorithm is a property of the key, never of a token. Read strictly, as the issuer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationKey {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    pub algorithm: Algorithm,
    /// DER of the `SubjectPublicKeyInfo` (RFC 5280), standard Base64.
    pub spki: String,
}

/// Signature algorithms by their JWA names (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    #[serde(rename = "EdDSA")]
    EdDsa,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// Which leases to forget. Ids are those of the lease. A kind that is not known is read as [`Self::All`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case", try_from = "later::ReadInvalidation")]
pub enum Invalidation {
    Member(String),
    Key(String),
    /// A sign-in of an OAuth client.
    Session(String),
    Workspace(String),
    Server(String),
    Connection(String),
    /// Every lease, for a change that touches all: the organization's policy, for example.
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_reply_is_small_and_reads_back() {
        let reply = WatchReply {
            cursor: 3,
            reset: false,
            now_ms: 1,
            hold_ms: 1000,
            registry: None,
            invalidations: vec![Invalidation::Member("m1".into()), Invalidation::All],
        };
        let json = serde_json::to_string(&reply).expect("writes");
        assert_eq!(
            json,
            r#"{"cursor":3,"reset":false,"now_ms":1,"hold_ms":1000,"invalidations":[{"kind":"member","id":"m1"},{"kind":"all"}]}"#
        );
        assert_eq!(serde_json::from_str::<WatchReply>(&json).expect("reads"), reply);
    }
}
