//! What somebody writes about how to be authorised by a server, checked as a whole and turned into settings.
//!
//! `portcullis.yaml`, the admin API and presets all come through here, so that each takes and refuses the same. Every
//! fault is found at once and says where it is and what to do.

mod check;
mod fault;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

pub use self::fault::{Fault, Field, Step};
use super::server::{
    AuthorizationServerSettings, ClientAuthentication, ClientCredentialsSettings, ClientSettings,
    OAuthSettings, SealedSecret, ServerAuth,
};

/// As written. `Secret` is how a secret is given: its text, or the wish to keep the present one.
#[derive(Clone, Debug)]
pub struct AuthDraft<Secret> {
    pub kind: DraftKind,
    pub preset: Option<String>,
    pub client: Option<ClientDraft<Secret>>,
    pub scopes: Option<Vec<String>>,
    pub authorize_parameters: BTreeMap<String, String>,
    pub token_parameters: BTreeMap<String, String>,
    pub authorization_server: Option<AuthorizationServerDraft>,
    pub assume_pkce: Option<bool>,
}

/// The two kinds of [`ServerAuth`] that speak OAuth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftKind {
    OAuth,
    ClientCredentials,
}

#[derive(Clone, Debug)]
pub struct ClientDraft<Secret> {
    pub id: String,
    pub secret: Option<Secret>,
    /// PEM.
    pub private_key: Option<Secret>,
    pub key_id: Option<String>,
    /// If absent, it follows from what is given.
    pub method: Option<ClientMethod>,
}

/// The name of a way to authenticate at the token endpoint (RFC 7591, `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationServerDraft {
    pub issuer: String,
    pub authorization_endpoint: Option<String>,
    pub token_endpoint: Option<String>,
    pub registration_endpoint: Option<String>,
    pub revocation_endpoint: Option<String>,
}

/// A secret on its way in.
pub trait GivenSecret {
    /// `None` where the present one is kept: it was checked when it came.
    fn text(&self) -> Option<&str>;
}

/// A draft without faults.
#[derive(Clone, Debug)]
pub enum CheckedAuth<Secret> {
    OAuth(OAuthSettings<Secret>),
    ClientCredentials(ClientCredentialsSettings<Secret>),
}

impl GivenSecret for SecretString {
    fn text(&self) -> Option<&str> {
        Some(self.expose_secret())
    }
}

impl GivenSecret for Option<SecretString> {
    fn text(&self) -> Option<&str> {
        self.as_ref().map(SecretString::expose_secret)
    }
}

impl ClientMethod {
    pub const NAMES: &'static str = "none, client_secret_basic, client_secret_post or private_key_jwt";

    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "client_secret_basic" => Some(Self::ClientSecretBasic),
            "client_secret_post" => Some(Self::ClientSecretPost),
            "private_key_jwt" => Some(Self::PrivateKeyJwt),
            _ => None,
        }
    }

    pub fn takes_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

impl<Secret> From<&ClientAuthentication<Secret>> for ClientMethod {
    fn from(authentication: &ClientAuthentication<Secret>) -> Self {
        match authentication {
            ClientAuthentication::None => Self::None,
            ClientAuthentication::SecretBasic(_) => Self::ClientSecretBasic,
            ClientAuthentication::SecretPost(_) => Self::ClientSecretPost,
            ClientAuthentication::PrivateKeyJwt { .. } => Self::PrivateKeyJwt,
        }
    }
}

impl<Secret> AuthDraft<Secret> {
    /// Nothing but the kind.
    pub fn new(kind: DraftKind) -> Self {
        Self {
            kind,
            preset: None,
            client: None,
            scopes: None,
            authorize_parameters: BTreeMap::new(),
            token_parameters: BTreeMap::new(),
            authorization_server: None,
            assume_pkce: None,
        }
    }
}

impl<Secret> CheckedAuth<Secret> {
    pub fn client(&self) -> Option<&ClientSettings<Secret>> {
        match self {
            Self::OAuth(oauth) => oauth.client.as_ref(),
            Self::ClientCredentials(shared) => Some(&shared.client),
        }
    }

    /// What the store keeps. `seal` is told whom the secret is for.
    pub fn try_seal<E>(
        self,
        seal: impl FnOnce(&AuthorizationServerSettings, &str, Secret) -> Result<SealedSecret, E>,
    ) -> Result<ServerAuth, E> {
        let sealed = |server: &AuthorizationServerSettings, client: ClientSettings<Secret>| {
            let id = client.client_id.clone();
            client.try_map(|secret| seal(server, &id, secret))
        };
        Ok(match self {
            Self::OAuth(oauth) => ServerAuth::OAuth(Box::new(OAuthSettings {
                client: match oauth.client {
                    Some(client) => Some(sealed(&oauth.authorization_server, client)?),
                    None => None,
                },
                preset: oauth.preset,
                scopes: oauth.scopes,
                authorize_parameters: oauth.authorize_parameters,
                authorization_server: oauth.authorization_server,
                assume_pkce: oauth.assume_pkce,
            })),
            Self::ClientCredentials(shared) => {
                ServerAuth::ClientCredentials(Box::new(ClientCredentialsSettings {
                    client: sealed(&shared.authorization_server, shared.client)?,
                    scopes: shared.scopes,
                    token_parameters: shared.token_parameters,
                    authorization_server: shared.authorization_server,
                }))
            }
        })
    }
}

#[cfg(test)]
mod tests;
