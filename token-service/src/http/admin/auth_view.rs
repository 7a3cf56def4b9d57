//! Showing how the gateway authenticates to a server. Secrets are not shown, only how many there have been.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::auth_body::{AuthorizationServerBody, MethodBody};
use crate::credentials;
use crate::domain::auth_draft::ClientMethod;
use crate::domain::server::{
    AuthorizationServerSettings, ClientAuthentication, ClientSettings, Server, ServerAuth,
};

/// How the gateway authenticates to the server.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct AuthView {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The names of the credential headers; their values are never shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub authorize_parameters: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub token_parameters: BTreeMap<String, String>,
    /// Absent if the server itself names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_server: Option<AuthorizationServerBody>,
    /// Only where it is set.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub assume_pkce: bool,
    /// To be entered at the provider, for a client that is registered there by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct HeaderView {
    pub name: String,
    /// Counts the values that this header has had.
    pub generation: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClientView {
    pub id: String,
    pub method: MethodBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Counts the secrets or private keys that there have been; absent for a public client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

impl AuthView {
    /// `public_url`: of the gateway.
    pub(super) fn of(server: &Server, public_url: &str) -> Self {
        let auth = &server.settings.auth;
        let view = Self { kind: auth.as_str(), ..Self::default() };
        match auth {
            ServerAuth::None => view,
            ServerAuth::Headers(_) => Self {
                headers: credentials::sealed(auth)
                    .iter()
                    .map(|header| HeaderView { name: header.name.to_string(), generation: header.generation })
                    .collect(),
                ..view
            },
            ServerAuth::OAuth(oauth) => Self {
                preset: oauth.preset.clone(),
                client: oauth.client.as_ref().map(ClientView::of),
                scopes: oauth.scopes.clone(),
                authorize_parameters: oauth.authorize_parameters.clone(),
                authorization_server: authorization_server(&oauth.authorization_server),
                assume_pkce: oauth.assume_pkce,
                callback_url: Some(format!("{public_url}/callback/{}", server.id)),
                ..view
            },
            ServerAuth::ClientCredentials(shared) => Self {
                client: Some(ClientView::of(&shared.client)),
                scopes: shared.scopes.clone(),
                token_parameters: shared.token_parameters.clone(),
                authorization_server: authorization_server(&shared.authorization_server),
                ..view
            },
        }
    }
}

impl ClientView {
    fn of(client: &ClientSettings) -> Self {
        let key_id = match &client.authentication {
            ClientAuthentication::PrivateKeyJwt { key_id, .. } => key_id.clone(),
            _ => None,
        };
        Self {
            id: client.client_id.clone(),
            method: ClientMethod::from(&client.authentication).into(),
            key_id,
            generation: client.authentication.secret().map(|secret| secret.generation),
        }
    }
}

fn authorization_server(settings: &AuthorizationServerSettings) -> Option<AuthorizationServerBody> {
    match settings.clone() {
        AuthorizationServerSettings::Discovered => None,
        AuthorizationServerSettings::Issuer { issuer } => Some(AuthorizationServerBody {
            issuer,
            authorization_endpoint: None,
            token_endpoint: None,
            registration_endpoint: None,
            revocation_endpoint: None,
        }),
        AuthorizationServerSettings::Fixed {
            issuer,
            authorization_endpoint,
            token_endpoint,
            registration_endpoint,
            revocation_endpoint,
        } => Some(AuthorizationServerBody {
            issuer,
            authorization_endpoint,
            token_endpoint: Some(token_endpoint),
            registration_endpoint,
            revocation_endpoint,
        }),
    }
}
