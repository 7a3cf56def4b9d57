//! Token and revocation requests, and their answers told apart.

mod answer;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::authentication::{Form, UnreadableKey};
use super::{AuthorizationServer, Client};
use crate::clock::{Entropy, Timestamp};
use crate::domain::auth_text::is_reserved_parameter;
use crate::egress::{EgressClient, EgressError};

/// The largest answer that is read, in bytes: room for two tokens of the largest size and an ID token.
const MAX_ANSWER: usize = 64 * 1024;

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
    /// Further parameters, such as `audience`. One that OAuth itself defines does not replace ours.
    pub parameters: &'a BTreeMap<String, String>,
    pub now: Timestamp,
}

/// What the token endpoint gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Visible ASCII, at most 16 KiB.
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    /// `None` if it did not say, or said something that is no lifetime, such as 0.
    pub expires_in: Option<Duration>,
    /// `None` if it did not say: then as asked for.
    pub scopes: Option<BTreeSet<String>>,
    /// What the answer calls the account, if it does; for people.
    pub account: Option<String>,
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// A structured `invalid_grant`: this code or refresh token is of no more use.
    #[error("the provider no longer takes the grant")]
    InvalidGrant,
    /// A structured error about us or about the request, such as `invalid_client`. The code is one of a list, or
    /// `other`: nothing that the provider made up is repeated.
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

impl From<EgressError> for TokenError {
    fn from(error: EgressError) -> Self {
        if error.may_have_arrived() { Self::Ambiguous } else { Self::NotDone { retry_after: None } }
    }
}

impl From<UnreadableKey> for TokenError {
    fn from(_: UnreadableKey) -> Self {
        Self::Refused { code: "private_key_unreadable".to_owned() }
    }
}

/// Asks once; never repeats a request by itself.
pub async fn request(
    egress: &EgressClient,
    entropy: &dyn Entropy,
    request: &TokenRequest<'_>,
) -> Result<Tokens, TokenError> {
    let mut form = form(request);
    form.authenticate(request.client, &request.server.issuer, entropy, request.now)?;
    let reply = egress.fetch(form.post(&request.server.token_endpoint, MAX_ANSWER)).await?;
    answer::read(&reply, request.now)
}

fn form(request: &TokenRequest<'_>) -> Form {
    let mut form = Form::default();
    match request.grant {
        Grant::Code { code, redirect_uri, verifier } => {
            form.add("grant_type", "authorization_code");
            form.add("code", code.expose_secret());
            form.add("redirect_uri", redirect_uri);
            form.add("code_verifier", verifier.expose_secret());
        }
        Grant::Refresh { token } => {
            form.add("grant_type", "refresh_token");
            form.add("refresh_token", token.expose_secret());
        }
        Grant::ClientCredentials => form.add("grant_type", "client_credentials"),
    }
    if let Some(resource) = request.resource {
        form.add("resource", resource);
    }
    if !request.scopes.is_empty() {
        form.add("scope", &super::scope_text(request.scopes));
    }
    for (name, value) in request.parameters {
        if !is_reserved_parameter(name) {
            form.add(name, value);
        }
    }
    form
}

/// RFC 7009, best effort: says whether the provider confirmed.
pub async fn revoke(
    egress: &EgressClient,
    entropy: &dyn Entropy,
    server: &AuthorizationServer,
    client: &Client,
    token: &SecretString,
    now: Timestamp,
) -> bool {
    let Some(endpoint) = &server.revocation_endpoint else { return false };
    post_revocation(egress, entropy, server, client, token, now, endpoint).await.unwrap_or(false)
}

async fn post_revocation(
    egress: &EgressClient,
    entropy: &dyn Entropy,
    server: &AuthorizationServer,
    client: &Client,
    token: &SecretString,
    now: Timestamp,
    endpoint: &Url,
) -> Result<bool, TokenError> {
    let mut form = Form::default();
    form.add("token", token.expose_secret());
    form.authenticate(client, &server.issuer, entropy, now)?;
    let reply = egress.fetch_head(form.post(endpoint, 0)).await?;
    Ok(reply.status == 200)
}
