//! Token and revocation requests, and their answers told apart.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::SecretString;

use super::{AuthorizationServer, Client};
use crate::clock::{Entropy, Timestamp};
use crate::egress::EgressClient;

pub enum Grant<'a> {
    Code { code: &'a SecretString, redirect_uri: &'a str, verifier: &'a SecretString },
    Refresh { token: &'a SecretString },
    ClientCredentials,
}

pub struct TokenRequest<'a> {
    pub server: &'a AuthorizationServer,
    pub client: &'a Client,
    pub grant: Grant<'a>,
    pub resource: Option<&'a str>,
    /// Empty: none are named.
    pub scopes: &'a BTreeSet<String>,
    pub parameters: &'a BTreeMap<String, String>,
    pub now: Timestamp,
}

/// What the token endpoint gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    pub expires_in: Option<Duration>,
    /// `None` if it did not say: then as asked for.
    pub scopes: Option<BTreeSet<String>>,
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// A structured `invalid_grant`: this code or refresh token is of no more use.
    #[error("the provider no longer takes the grant")]
    InvalidGrant,
    /// A structured error about us or about the request, such as `invalid_client`.
    #[error("the provider refuses the request: {code}")]
    Refused { code: String },
    /// The provider certainly did nothing: not reached, or told us to come later.
    #[error("the provider could not be asked")]
    NotDone { retry_after: Option<Duration> },
    /// Sent, and no answer that says what became of it.
    #[error("the provider gave no usable answer")]
    Ambiguous,
    /// A success that cannot be used: not a Bearer token, or one that no header can carry.
    #[error("the provider's token cannot be used: {0}")]
    Unusable(&'static str),
}

/// Asks once; never repeats a request by itself.
pub async fn request(
    _egress: &EgressClient,
    _entropy: &dyn Entropy,
    _request: &TokenRequest<'_>,
) -> Result<Tokens, TokenError> {
    todo!()
}

/// RFC 7009, best effort: says whether the provider confirmed.
pub async fn revoke(
    _egress: &EgressClient,
    _entropy: &dyn Entropy,
    _server: &AuthorizationServer,
    _client: &Client,
    _token: &SecretString,
    _now: Timestamp,
) -> bool {
    todo!()
}
