//! A registered upstream MCP server.

use std::collections::BTreeMap;
use std::fmt;

use portcullis_wire::names::Slug;
use portcullis_wire::watch::ServerEntry;
use serde::{Deserialize, Serialize};

use super::header::HeaderName;
use super::ids::ServerId;
use super::payload::PayloadSettings;
use super::url::ServerUrl;
use super::{Origin, Revision};

/// A registry entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub id: ServerId,
    /// Fixed when the server is made: it is in the URL that people have put into their clients.
    pub slug: Slug,
    pub settings: ServerSettings,
    pub origin: Origin,
    /// The commit that last changed it.
    pub revision: Revision,
    /// Taken away from everybody in an emergency.
    pub quarantined: bool,
}

/// What can be changed about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    pub name: String,
    pub url: ServerUrl,
    pub auth: ServerAuth,
    pub payload: PayloadSettings,
    /// Whether a workspace made later gets this server. It says nothing about those that exist.
    pub provision_new_workspaces: bool,
    /// How many requests may be under way at once through one Envoy; at least 1.
    pub concurrency: Option<u32>,
}

/// How the gateway authenticates to the server. A further kind is a further variant, with its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAuth {
    None,
    /// The same headers on every request, whoever calls. Names differ from each other.
    Headers(Vec<SealedHeader>),
    /// Each member connects an account of their own.
    OAuth(Box<OAuthSettings>),
    /// One access token for everybody, fetched with the gateway's own client credentials.
    ClientCredentials(Box<ClientCredentialsSettings>),
}

/// How the gateway becomes a client of the authorization server of an `oauth` server. The default is right for a
/// server that describes itself (RFC 9728, RFC 8414). `Secret` is what its secret is at the time: given, or sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthSettings<Secret = SealedSecret> {
    /// The preset that these settings were made from, for people.
    pub preset: Option<String>,
    /// Registered by hand at the provider; otherwise the gateway uses its metadata document or registers itself.
    pub client: Option<ClientSettings<Secret>>,
    /// Asked for in place of what the server's challenge or metadata names.
    pub scopes: Option<Vec<String>>,
    /// Added to the authorization request, such as `access_type=offline`. Never a parameter that OAuth itself defines.
    pub authorize_parameters: BTreeMap<String, String>,
    pub authorization_server: AuthorizationServerSettings,
    /// Takes PKCE with S256 for granted where the metadata does not say so. An administrator's decision, logged.
    pub assume_pkce: bool,
}

/// How the gateway fetches the shared token of a `client_credentials` server (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCredentialsSettings<Secret = SealedSecret> {
    pub client: ClientSettings<Secret>,
    pub scopes: Option<Vec<String>>,
    /// Added to the token request, such as `audience`.
    pub token_parameters: BTreeMap<String, String>,
    pub authorization_server: AuthorizationServerSettings,
}

/// Where the authorization server's addresses come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthorizationServerSettings {
    /// From the server's protected resource metadata.
    #[default]
    Discovered,
    /// From the metadata of this issuer, whatever the server says.
    Issuer { issuer: String },
    /// From here, for providers without metadata, or with such that contradict themselves.
    Fixed {
        issuer: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorization_endpoint: Option<String>,
        token_endpoint: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        registration_endpoint: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revocation_endpoint: Option<String>,
    },
}

/// An OAuth client that somebody registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings<Secret = SealedSecret> {
    pub client_id: String,
    pub authentication: ClientAuthentication<Secret>,
}

/// How a client shows the token endpoint who it is (RFC 7591, `token_endpoint_auth_method`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuthentication<Secret = SealedSecret> {
    /// A public client.
    None,
    SecretBasic(Secret),
    SecretPost(Secret),
    /// RFC 7523, with a private key in PEM (PKCS #8): ES256 for a P-256 key, RS256 for an RSA key, `EdDSA` for Ed25519.
    PrivateKeyJwt {
        key: Secret,
        key_id: Option<String>,
    },
}

impl<Secret> ClientAuthentication<Secret> {
    /// The name of the method in OAuth metadata.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
            Self::PrivateKeyJwt { .. } => "private_key_jwt",
        }
    }

    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::None => None,
            Self::SecretBasic(secret) | Self::SecretPost(secret) => Some(secret),
            Self::PrivateKeyJwt { key, .. } => Some(key),
        }
    }

    /// The same with another secret in place of this one.
    pub fn try_map<Other, E>(
        self,
        secret: impl FnOnce(Secret) -> Result<Other, E>,
    ) -> Result<ClientAuthentication<Other>, E> {
        Ok(match self {
            Self::None => ClientAuthentication::None,
            Self::SecretBasic(value) => ClientAuthentication::SecretBasic(secret(value)?),
            Self::SecretPost(value) => ClientAuthentication::SecretPost(secret(value)?),
            Self::PrivateKeyJwt { key, key_id } => {
                ClientAuthentication::PrivateKeyJwt { key: secret(key)?, key_id }
            }
        })
    }
}

impl<Secret> ClientSettings<Secret> {
    /// The same with another secret in place of this one.
    pub fn try_map<Other, E>(
        self,
        secret: impl FnOnce(Secret) -> Result<Other, E>,
    ) -> Result<ClientSettings<Other>, E> {
        let authentication = self.authentication.try_map(secret)?;
        Ok(ClientSettings { client_id: self.client_id, authentication })
    }
}

impl<Secret> Default for OAuthSettings<Secret> {
    fn default() -> Self {
        Self {
            preset: None,
            client: None,
            scopes: None,
            authorize_parameters: BTreeMap::new(),
            authorization_server: AuthorizationServerSettings::default(),
            assume_pkce: false,
        }
    }
}

/// A secret of a server's settings, sealed to [`Place::client_secret`](crate::vault::Place::client_secret).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// Counts the values that it has had; part of what the value is sealed to.
    pub generation: u64,
    pub value: Sealed,
}

impl ServerAuth {
    /// The word for it in configuration, API and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Headers(_) => "headers",
            Self::OAuth(_) => "oauth",
            Self::ClientCredentials(_) => "client_credentials",
        }
    }

    /// The client that an administrator gave, and the authorization server that it is registered with.
    pub fn client(&self) -> Option<(&ClientSettings, &AuthorizationServerSettings)> {
        match self {
            Self::None | Self::Headers(_) => None,
            Self::OAuth(oauth) => Some((oauth.client.as_ref()?, &oauth.authorization_server)),
            Self::ClientCredentials(shared) => Some((&shared.client, &shared.authorization_server)),
        }
    }
}

/// A credential header whose value only the vault can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedHeader {
    pub name: HeaderName,
    /// Counts the values this header has had; part of what the value is sealed to.
    pub generation: u64,
    pub value: Sealed,
}

/// A sealed secret, as the store keeps it. The layout is the vault's business.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[sealed, {} bytes]", self.0.len())
    }
}

impl Server {
    /// What every filter is told about it.
    pub fn entry(&self, tools: Vec<String>) -> ServerEntry {
        let (payload, capture) = self.settings.payload.told();
        ServerEntry {
            id: self.id.to_string(),
            slug: self.slug.clone(),
            upstream: self.settings.url.upstream(),
            payload,
            capture,
            tools,
        }
    }
}
