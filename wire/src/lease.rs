//! Leases: what the token-service hands the filter for one caller on one server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::names::Slug;
use crate::policy::{Pattern, Policy};
use crate::secret::SecretText;

/// Body of `POST /v1/leases`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaseRequest {
    pub server: Slug,
    /// From a path of the form `/{workspace}/{server}/mcp`; otherwise the caller's own workspace is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Slug>,
    pub proof: CallerProof,
    /// The credential of an earlier lease that the upstream did not take: renew it, do not hand it out again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// How long the answer may wait for a credential to be renewed, before it says that this is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// An upstream's refusal of a lease's credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    pub connection_id: String,
    /// Of the lease that was refused. Where the connection has a newer one by now, that one is the answer.
    pub generation: u64,
    /// 401, or 403 with the error `insufficient_scope`.
    pub status: u16,
    /// The upstream's `WWW-Authenticate`, at most [`MAX_CHALLENGE_BYTES`] of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
}

/// How much of a challenge is passed on.
pub const MAX_CHALLENGE_BYTES: usize = 4096;

/// How the caller showed who it is. Read strictly: what a proof says besides could be a reason to refuse it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CallerProof {
    /// An API key that is spelt right; the token-service knows whether it exists.
    ApiKey { id: String, digest: Digest },
    /// A token of a configured issuer whose signature, issuer, audience and times the filter has verified.
    Jwt {
        issuer: String,
        subject: String,
        /// The value of the issuer's workspace claim, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace_claim: Option<String>,
        /// Every value of `aud`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        audiences: Vec<String>,
        /// `iat`, seconds since the epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issued_at: Option<u64>,
        /// Those of [`crate::watch::IssuerEntry::claims`] that the token has.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        claims: BTreeMap<String, Value>,
        /// Seconds since the epoch; no lease outlives the token.
        expires_at: u64,
    },
    /// An access token that the gateway's own authorization server has issued for this very server, verified by the
    /// filter as the other kind is.
    AccessToken {
        /// The sign-in that it comes from, its claim `sid`: who that is, and whether it still holds, the token-service
        /// knows.
        session: String,
        /// The scopes of this token.
        scopes: Vec<String>,
        /// Seconds since the epoch; no lease outlives the token.
        expires_at: u64,
    },
    /// A token that only its issuer can judge (RFC 7662).
    Opaque { token: SecretText },
}

/// Answer of `POST /v1/leases`, always with status 200.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum LeaseReply {
    Granted(Box<Lease>),
    /// The caller may use the server, but first has to connect an account there.
    ConnectRequired(Box<ConnectRequired>),
    Denied {
        reason: DenyReason,
        /// What exactly decided, for the log and never for the caller: `workspace/enabled`, for example.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
        /// The commit that this answer reflects; for the log too.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
    },
    /// The credential is being renewed, and the provider takes its time: ask again, with a longer
    /// [`LeaseRequest::wait_ms`].
    Renewing,
    /// The token-service cannot decide now.
    Unavailable {
        retry_after_ms: u64,
    },
}

/// Permission to call one server as one caller, for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    pub caller: Caller,
    pub workspace: WorkspaceRef,
    /// The server's id, which stays the same when its slug changes.
    pub server_id: String,
    /// Identifies the upstream credential in use, for invalidation; `None` where the server needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// Counts the credentials that the connection has had.
    #[serde(default)]
    pub credential_generation: u64,
    pub policy: Policy,
    /// What the caller's own credential takes away besides.
    #[serde(default, skip_serializing_if = "CredentialLimits::is_empty")]
    pub limits: CredentialLimits,
    #[serde(default, skip_serializing_if = "Terms::is_empty")]
    pub terms: Terms,
    /// Set on every request to the upstream, replacing whatever the client sent under these names.
    pub credential_headers: Vec<CredentialHeader>,
    /// Binds the upstream's session ids to this caller and server, see [`crate::session`]. Absent from a token-service that
    /// knows nothing of it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<SecretText>,
    /// How long the filter may use this lease, from when it received it.
    pub ttl_ms: u64,
    /// The commit that this lease reflects.
    pub revision: u64,
}

/// A caller who has yet to connect an account. The filter judges the request as ever and sends it, in place of the
/// upstream, to [`crate::unconnected::PATH`] of the token-service, which answers it in the words of its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectRequired {
    pub caller: Caller,
    pub workspace: WorkspaceRef,
    pub server_id: String,
    /// The connection that there will be: an invalidation of it ends the use of this answer.
    pub connection_id: String,
    pub policy: Policy,
    /// What the caller's own credential takes away besides.
    #[serde(default, skip_serializing_if = "CredentialLimits::is_empty")]
    pub limits: CredentialLimits,
    #[serde(default, skip_serializing_if = "Terms::is_empty")]
    pub terms: Terms,
    /// Stands for all of the above when the request is sent to the token-service.
    pub handle: SecretText,
    /// How long the filter may use this answer, from when it received it.
    pub ttl_ms: u64,
    /// The commit that this answer reflects.
    pub revision: u64,
}

/// How much a caller may ask of a server, and how sure the gateway has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// All of them count and have to admit a request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<Rate>,
    /// How many requests to the server may be under way at once through one Envoy, whoever makes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How long this may be used while the token-service is silent, in milliseconds; absent means as long as the filter's own
    /// configuration says, and it is never longer than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serve_stale_ms: Option<u64>,
}

impl Terms {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// So many requests in so much time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Names the counter: callers that share the limit have the same. No secret, and no longer than 64 bytes.
    pub counter: String,
    /// Names the limit in logs: `workspace/limits:writes`.
    pub name: String,
    /// Calls of these tools are counted; empty means every request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Pattern>,
    pub requests: u32,
    pub window_ms: u64,
    /// Each tool is counted apart, under the counter's name; then only calls of tools are counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_tool: bool,
}

/// Who makes the request, as logged and as named by invalidations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The member's id; for a service key the key's own.
    pub id: String,
    /// What a person calls this caller: a member's display name or a service key's name.
    pub name: String,
    pub credential: CredentialKind,
    /// The API key's id where one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The sign-in's id where an access token of the gateway was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The OAuth client that an access token of the gateway was issued to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// What a credential takes away, on top of policy. Like a policy it can only remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialLimits {
    /// The networks that it may be used from, as CIDR; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The tools that an access token without [`crate::scopes::WRITE`] may call: those that are known to read only. `None` if
    /// its scopes leave all. Lists show the others all the same, because the client can ask for the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading_tools: Option<Vec<String>>,
}

impl CredentialLimits {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Which kind of gateway credential the caller showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    MemberKey,
    ServiceKey,
    /// A token of the company's identity provider, verified here.
    Jwt,
    /// A token that the identity provider was asked about.
    OpaqueToken,
    /// A token of the gateway's own authorization server.
    AccessToken,
}

impl CredentialKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MemberKey => "member_key",
            Self::ServiceKey => "service_key",
            Self::Jwt => "jwt",
            Self::OpaqueToken => "opaque_token",
            Self::AccessToken => "access_token",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceRef {
    pub id: String,
    pub slug: Slug,
}

/// A header that authenticates the gateway to the upstream. The name is lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialHeader {
    pub name: String,
    pub value: SecretText,
}

/// Why there is no lease. The filter turns each into an answer that tells the caller no more than it may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenyReason {
    /// No such key or member.
    UnknownCredential,
    /// It was valid once.
    ExpiredCredential,
    /// Switched off by an administrator.
    DisabledCredential,
    /// The token is good, but for another audience than this server's rules ask for.
    WrongAudience,
    /// The token is good, but its claims are not what this server's rules ask for.
    NotForThisServer,
    /// The credential belongs to another workspace than the path names.
    WrongWorkspace,
    /// No such server for this caller: unknown, disabled, or not provisioned; callers cannot tell which.
    UnknownServer,
    /// The server's upstream credential is missing or cannot be opened; an administrator has to act.
    CredentialUnavailable,
    /// The server wants an account of each member, and no person is behind a service key.
    MemberRequired,
    /// The upstream has asked for further scopes so often of late that the member is not asked again for now.
    TooManyScopes,
}

impl DenyReason {
    /// As callers are told and the response-code details say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCredential => "unknown_credential",
            Self::ExpiredCredential => "credential_expired",
            Self::DisabledCredential => "disabled_credential",
            Self::WrongAudience => "wrong_audience",
            Self::NotForThisServer => "not_for_this_server",
            Self::WrongWorkspace => "wrong_workspace",
            Self::UnknownServer => "unknown_server",
            Self::CredentialUnavailable => "credential_unavailable",
            Self::MemberRequired => "member_required",
            Self::TooManyScopes => "too_many_scopes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_travel() {
        let json = r#"{"result":"granted","caller":{"id":"m1","name":"Ada","credential":"member_key","key_id":"k1"},
            "workspace":{"id":"w1","slug":"core"},"server_id":"s1","policy":{"levels":[]},"later":true,
            "credential_headers":[{"name":"authorization","value":"Bearer x"}],"ttl_ms":1000,"revision":7}"#;
        let LeaseReply::Granted(lease) = serde_json::from_str(json).expect("reads") else {
            panic!("granted")
        };
        assert_eq!(lease.credential_headers[0].value.expose(), "Bearer x");
        assert!(!format!("{lease:?}").contains("Bearer x"));
        assert!(serde_json::to_string(&LeaseReply::Granted(lease)).expect("writes").contains("Bearer x"));
    }
}
