//! Being an OAuth 2.1 client of upstream MCP servers.

pub mod authorize;
pub mod challenge;
pub mod discovery;
pub mod registration;
pub mod token;

use std::collections::BTreeSet;

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
    PrivateKeyJwt { key: SecretString, key_id: Option<String> },
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
