//! From a server's URL to its authorization server.

use super::challenge::BearerChallenge;
use super::{AuthorizationServer, Discovered};
use crate::domain::server::AuthorizationServerSettings;
use crate::domain::url::ServerUrl;
use crate::egress::{EgressClient, EgressError};

/// Why a server cannot be connected to. Each says what an administrator can do.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("{0}")]
    Refused(String),
    /// It answered that it cannot answer now.
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Egress(#[from] EgressError),
}

impl DiscoveryError {
    /// Whether the same question may have an answer later, with nobody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Unavailable(_) => true,
            Self::Egress(error) => error.may_pass(),
        }
    }
}

/// Finds out how `url` wants to be authorised. Without a challenge the server is asked for one.
pub async fn discover(
    _egress: &EgressClient,
    _url: &ServerUrl,
    _settings: &AuthorizationServerSettings,
    _challenge: Option<&BearerChallenge>,
) -> Result<Discovered, DiscoveryError> {
    todo!()
}

/// The metadata of one issuer.
pub async fn authorization_server(
    _egress: &EgressClient,
    _issuer: &str,
) -> Result<AuthorizationServer, DiscoveryError> {
    todo!()
}
