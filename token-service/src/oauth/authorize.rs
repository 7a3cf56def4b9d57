//! The authorization request and what comes back (RFC 6749 section 4.1, RFC 7636, RFC 8707, RFC 9207).

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use url::Url;

use super::AuthorizationServer;
use crate::clock::Entropy;

pub struct AuthorizationRequest<'a> {
    pub server: &'a AuthorizationServer,
    pub client_id: &'a str,
    pub redirect_uri: &'a str,
    pub resource: &'a str,
    pub scopes: &'a BTreeSet<String>,
    pub parameters: &'a BTreeMap<String, String>,
    pub state: &'a str,
    pub verifier: &'a SecretString,
}

/// A fresh PKCE verifier: 43 characters, 256 bits.
pub fn new_verifier(_entropy: &dyn Entropy) -> SecretString {
    todo!()
}

impl AuthorizationRequest<'_> {
    /// Where to send the browser.
    pub fn url(&self) -> Result<Url, String> {
        todo!()
    }
}

/// The query of a callback. Parameters that appear twice make it unreadable.
#[derive(Clone, Debug)]
pub struct AuthorizationResponse {
    pub state: String,
    pub iss: Option<String>,
    pub outcome: Result<SecretString, AuthorizationRefusal>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationRefusal {
    /// A code of RFC 6749, section 4.1.2.1; `other` for one that is not.
    pub error: String,
}

impl AuthorizationResponse {
    pub fn read(_query: &str) -> Option<Self> {
        todo!()
    }

    /// The table of RFC 9207 and MCP: whether this response is from `issuer`.
    pub fn is_from(&self, _issuer: &str, _iss_parameter: bool) -> bool {
        todo!()
    }
}
