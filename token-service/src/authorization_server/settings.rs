//! What the section `oauth` of the configuration says.

use std::time::Duration;

use portcullis_wire::watch::Algorithm;

use crate::domain::oauth_client::OAuthClient;

/// How long an access token is good, unless the configuration says otherwise.
const DEFAULT_TOKEN_LIFE: Duration = Duration::from_mins(5);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationSettings {
    /// ES256 or `EdDSA`.
    pub signing_algorithm: Algorithm,
    /// At most [`LONGEST_TOKEN`](crate::domain::signing::LONGEST_TOKEN).
    pub access_token_life: Duration,
    /// Web pages of these origins may ask the token endpoint.
    pub browser_origins: Vec<String>,
    /// Clients that an administrator has registered.
    pub clients: Vec<OAuthClient>,
    /// Whether anybody may register a client (RFC 7591).
    pub dynamic_registration: bool,
}

impl Default for AuthorizationSettings {
    fn default() -> Self {
        Self {
            signing_algorithm: Algorithm::Es256,
            access_token_life: DEFAULT_TOKEN_LIFE,
            browser_origins: Vec::new(),
            clients: Vec::new(),
            dynamic_registration: false,
        }
    }
}
