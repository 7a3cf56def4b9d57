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
    #[error(transparent)]
    Egress(#[from] EgressError),
}

pub async fn register(
    _egress: &EgressClient,
    _server: &AuthorizationServer,
    _metadata: &ClientMetadata,
) -> Result<Registered, RegistrationError> {
    todo!()
}
