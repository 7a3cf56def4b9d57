//! Being an OAuth 2.1 client of upstream MCP servers.
//!
//! [`challenge`] and [`discovery`] find the authorization server, [`registration`] makes the gateway a client of it,
//! [`authorize`] sends a browser there and reads what comes back, [`token`] fetches, renews and revokes tokens,
//! and [`account`] finds out what the account is called. [`key_set`] and [`introspection`] are for those whose tokens are shown
//! to the gateway. Each is pure code that says what to ask and what an answer means, and one thin function that asks through
//! [`EgressClient`](crate::egress::EgressClient).

pub mod account;
mod authentication;
pub mod authorize;
pub mod challenge;
pub mod discovery;
pub mod introspection;
pub(crate) mod json;
pub mod key_set;
pub mod registration;
pub mod token;

use std::collections::BTreeSet;

pub use authentication::{SigningKey, UnreadableKey};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

/// An authorization server, as its metadata describe it (RFC 8414) or as it was configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServer {
    /// Byte for byte.
    pub issuer: String,
    pub authorization_endpoint: Option<Url>,
    pub token_endpoint: Url,
    pub registration_endpoint: Option<Url>,
    pub revocation_endpoint: Option<Url>,
    /// OpenID Connect Core, section 5.3.
    pub userinfo_endpoint: Option<Url>,
    pub token_endpoint_auth_methods: Vec<String>,
    pub scopes_supported: Vec<String>,
    /// `authorization_response_iss_parameter_supported` (RFC 9207).
    pub iss_parameter: bool,
    pub client_id_metadata_document: bool,
    /// Whether S256 is among `code_challenge_methods_supported`.
    pub pkce_s256: bool,
}

/// The gateway as a client, ready to authenticate.
#[derive(Clone, Debug)]
pub struct Client {
    pub client_id: String,
    pub authentication: Authentication,
}

#[derive(Clone, Debug)]
pub enum Authentication {
    None,
    SecretBasic(SecretString),
    SecretPost(SecretString),
    /// The key in PEM.
    PrivateKeyJwt {
        key: SecretString,
        key_id: Option<String>,
    },
}

/// What is known of a server before anybody is asked anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovered {
    pub authorization_server: AuthorizationServer,
    /// RFC 8707: the canonical URI of the server, for every request.
    pub resource: String,
    /// To ask for: of the challenge, else of the metadata, else none.
    pub scopes: BTreeSet<String>,
}

/// Scopes as the parameter `scope` has them (RFC 6749, section 3.3).
fn scope_text(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn authorization_server() -> AuthorizationServer {
        let url = |path: &str| Url::parse(&format!("https://as.example{path}")).expect("a URL");
        AuthorizationServer {
            issuer: "https://as.example".to_owned(),
            authorization_endpoint: Some(url("/authorize")),
            token_endpoint: url("/token"),
            registration_endpoint: Some(url("/register")),
            revocation_endpoint: Some(url("/revoke")),
            userinfo_endpoint: None,
            token_endpoint_auth_methods: vec!["client_secret_basic".to_owned()],
            scopes_supported: Vec::new(),
            iss_parameter: true,
            client_id_metadata_document: false,
            pkce_s256: true,
        }
    }
}
