//! Becoming a client: client ID metadata document, or dynamic registration (RFC 7591).

use secrecy::SecretString;

use super::AuthorizationServer;
use crate::clock::Timestamp;
use crate::egress::{EgressClient, EgressError};

/// What the gateway says about itself, in its metadata document and when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetadata {
    pub client_name: String,
    /// The gateway's public URL.
    pub client_uri: String,
    pub redirect_uri: String,
    /// `native` for a loopback redirect URI, otherwise `web`.
    pub application_type: &'static str,
    pub scopes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Registered {
    pub client_id: String,
    pub client_secret: Option<SecretString>,
    pub client_secret_expires_at: Option<Timestamp>,
    /// `token_endpoint_auth_method`, as the server decided.
    pub authentication: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    #[error("{0}")]
    Refused(String),
    /// It answered that it cannot answer now.
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Egress(#[from] EgressError),
}

impl RegistrationError {
    /// Whether the same question may have an answer later, with nobody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Unavailable(_) => true,
            Self::Egress(error) => error.may_pass(),
        }
    }
}

impl ClientMetadata {
    /// The client ID metadata document for the client that is named by its URL, `client_id`.
    pub fn document(&self, _client_id: &str) -> serde_json::Value {
        todo!()
    }
}

pub async fn register(
    _egress: &EgressClient,
    _server: &AuthorizationServer,
    _metadata: &ClientMetadata,
) -> Result<Registered, RegistrationError> {
    todo!()
}
