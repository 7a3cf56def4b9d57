//! How a request says that the gateway is to authenticate to a server.

use std::collections::BTreeMap;

use portcullis_wire::secret::SecretText;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::auth_draft::{AuthorizationServerDraft, ClientMethod};

/// How the gateway authenticates to the server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthBody {
    /// Not at all.
    None {},
    /// The same headers on every request, whoever calls.
    Headers { headers: Vec<HeaderBody> },
    /// With an account that each member connects.
    Oauth(OAuthBody),
    /// With one token for everybody, which the gateway fetches with its own client.
    ClientCredentials(ClientCredentialsBody),
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderBody {
    pub name: String,
    /// Sealed on arrival and never shown again. May be absent in a change, to keep the present value.
    #[schema(value_type = Option<String>, write_only)]
    pub value: Option<SecretText>,
}

/// Nothing of it is needed for a server that describes itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuthBody {
    /// Fills what is not given; `GET /v1/presets` lists them.
    pub preset: Option<String>,
    /// A client that was registered with the provider by hand.
    pub client: Option<ClientBody>,
    /// Asked for in place of what the server names; an empty list asks for none.
    pub scopes: Option<Vec<String>>,
    /// Added to the authorization request. OAuth's own parameters are refused; do not put secrets here.
    #[serde(default)]
    pub authorize_parameters: BTreeMap<String, String>,
    pub authorization_server: Option<AuthorizationServerBody>,
    /// Goes on where the provider's metadata do not say that it knows PKCE.
    pub assume_pkce: Option<bool>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentialsBody {
    pub client: ClientBody,
    pub scopes: Option<Vec<String>>,
    /// Added to the token request. OAuth's own parameters are refused; do not put secrets here.
    #[serde(default)]
    pub token_parameters: BTreeMap<String, String>,
    pub authorization_server: Option<AuthorizationServerBody>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientBody {
    pub id: String,
    /// Sealed on arrival and never shown again. May be absent in a change, to keep the present one.
    #[schema(value_type = Option<String>, write_only)]
    pub secret: Option<SecretText>,
    /// In place of a secret: PEM, PKCS #8. Treated like it.
    #[schema(value_type = Option<String>, write_only)]
    pub private_key: Option<SecretText>,
    /// The name of the private key at the provider, if it has one.
    pub key_id: Option<String>,
    /// If absent: as it is, for the same client id; otherwise what fits to that which is given.
    pub method: Option<MethodBody>,
}

/// How a client authenticates at the token endpoint.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MethodBody {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

/// Where the server does not name its authorization server. With the issuer alone its metadata are read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationServerBody {
    /// Byte for byte as in the provider's metadata.
    pub issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
}

impl From<MethodBody> for ClientMethod {
    fn from(body: MethodBody) -> Self {
        match body {
            MethodBody::None => Self::None,
            MethodBody::ClientSecretBasic => Self::ClientSecretBasic,
            MethodBody::ClientSecretPost => Self::ClientSecretPost,
            MethodBody::PrivateKeyJwt => Self::PrivateKeyJwt,
        }
    }
}

impl From<ClientMethod> for MethodBody {
    fn from(method: ClientMethod) -> Self {
        match method {
            ClientMethod::None => Self::None,
            ClientMethod::ClientSecretBasic => Self::ClientSecretBasic,
            ClientMethod::ClientSecretPost => Self::ClientSecretPost,
            ClientMethod::PrivateKeyJwt => Self::PrivateKeyJwt,
        }
    }
}

impl From<AuthorizationServerBody> for AuthorizationServerDraft {
    fn from(body: AuthorizationServerBody) -> Self {
        Self {
            issuer: body.issuer,
            authorization_endpoint: body.authorization_endpoint,
            token_endpoint: body.token_endpoint,
            registration_endpoint: body.registration_endpoint,
            revocation_endpoint: body.revocation_endpoint,
        }
    }
}
