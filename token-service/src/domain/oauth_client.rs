//! MCP clients that sign in at the gateway's own authorization server.

use portcullis_wire::digest::Digest;
use subtle::ConstantTimeEq as _;

use super::redirect_uri;
use crate::clock::Timestamp;

/// How the ids of clients that register themselves begin. Those of metadata documents begin with `https://`, so none
/// can be taken for another.
pub const DYNAMIC_PREFIX: &str = "dyn_";

/// The longest client id that is read, in bytes.
pub const MAX_CLIENT_ID: usize = 256;

/// Whoever asks for tokens on a member's behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthClient {
    pub id: String,
    /// Made presentable; only as true as [`Self::known_by`] makes it.
    pub name: String,
    /// Each passed [`redirect_uri::check`].
    pub redirect_uris: Vec<String>,
    pub authentication: SecretCheck,
    pub known_by: KnownBy,
}

/// Where what is known of a client comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// `portcullis.yaml`.
    Configuration,
    /// A document that this host serves at the URL which is the client's id.
    Document { host: String },
    /// Nobody but the client itself.
    Registration { at: Timestamp },
}

/// How a client shows the token endpoint who it is. Of secrets only digests are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretCheck {
    /// A public client.
    None,
    Basic(Digest),
    Post(Digest),
}

/// A client that has registered itself (RFC 7591), as it is kept. It has no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicClient {
    /// [`DYNAMIC_PREFIX`] and 32 hexadecimal digits.
    pub id: String,
    pub name: String,
    pub redirect_uris: Vec<String>,
    pub created_at: Timestamp,
    /// When a member first signed in with it; `None` until then.
    pub used_at: Option<Timestamp>,
}

/// What is kept of a client's secret. Secrets are long and random, or the configuration refuses them, so that a slow
/// digest would only slow us down.
pub fn secret_digest(client_id: &str, secret: &str) -> Digest {
    Digest::of("portcullis-oauth-client-secret-v1", &[client_id.as_bytes(), secret.as_bytes()])
}

impl OAuthClient {
    /// Whether it may be sent back to `given`.
    pub fn redirects_to(&self, given: &str) -> bool {
        self.redirect_uris.iter().any(|registered| redirect_uri::matches(registered, given))
    }

    /// Whether anybody has vouched for the name: an administrator, or the host that is shown with it.
    pub fn is_verified(&self) -> bool {
        !matches!(self.known_by, KnownBy::Registration { .. })
    }
}

impl SecretCheck {
    pub fn is_secret(&self, client_id: &str, presented: &str) -> bool {
        match self {
            Self::None => false,
            Self::Basic(digest) | Self::Post(digest) => {
                secret_digest(client_id, presented).as_bytes().ct_eq(digest.as_bytes()).into()
            }
        }
    }
}

impl From<DynamicClient> for OAuthClient {
    fn from(client: DynamicClient) -> Self {
        Self {
            id: client.id,
            name: client.name,
            redirect_uris: client.redirect_uris,
            authentication: SecretCheck::None,
            known_by: KnownBy::Registration { at: client.created_at },
        }
    }
}
