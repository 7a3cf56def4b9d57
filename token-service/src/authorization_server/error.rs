//! Every way a request to the token, revocation, introspection or registration endpoint can fail.

use crate::authorization_server::keys::BrokenKey;
use crate::http::error::error_chain;
use crate::store::StoreError;

/// RFC 6749, section 5.2; RFC 7591, section 3.2.2; RFC 8707. Descriptions are fixed texts.
#[derive(Debug)]
pub enum OAuthError {
    InvalidRequest(&'static str),
    /// `basic`: the client tried the `Authorization` header.
    InvalidClient {
        basic: bool,
    },
    InvalidGrant(&'static str),
    UnsupportedGrantType,
    InvalidScope,
    InvalidTarget,
    InvalidRedirectUri(String),
    InvalidClientMetadata(&'static str),
    UnapprovedSoftwareStatement,
    /// Too many clients have registered.
    TooMany,
    TooLarge,
    /// The database cannot be used now. The cause is logged.
    Unavailable,
    /// Our fault. The cause is logged.
    Server,
}

impl OAuthError {
    /// RFC 6749's word for it, or that of an extension.
    pub fn word(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::TooLarge => "invalid_request",
            Self::InvalidClient { .. } => "invalid_client",
            Self::InvalidGrant(_) => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidRedirectUri(_) => "invalid_redirect_uri",
            Self::InvalidClientMetadata(_) => "invalid_client_metadata",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::TooMany | Self::Unavailable => "temporarily_unavailable",
            Self::Server => "server_error",
        }
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        match error {
            // Deleted since it was looked at.
            StoreError::Missing { .. } => Self::InvalidGrant("what was allowed is no longer there"),
            StoreError::Unavailable { .. } => {
                tracing::error!(error = error_chain(&error), "the store failed");
                Self::Unavailable
            }
            error => {
                tracing::error!(error = error_chain(&error), "a request of an OAuth client failed");
                Self::Server
            }
        }
    }
}

impl From<BrokenKey> for OAuthError {
    fn from(error: BrokenKey) -> Self {
        tracing::error!(%error, "no access token can be signed");
        Self::Server
    }
}
