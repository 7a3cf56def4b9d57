//! Signing in at the company's OpenID Connect provider.
//!
//! 1. [`Company::depart`]: where to send the browser, and what has to come back with it (state, nonce, PKCE verifier).
//! 2. [`Company::arrive`]: redeems the code and verifies the ID token. Whoever it names is somebody by issuer and
//!    subject; names and addresses say nothing.
//!
//! The protocol is the `openidconnect` crate's, over [`EgressClient`]; time and chance are passed in. What the crate
//! leaves to its callers (`azp`, `at_hash`, algorithms, group claims) is in [`token`].

mod outside;
mod provider;
mod token;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::CoreAuthenticationFlow;
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier, Scope};
use portcullis_wire::secret::SecretText;
use serde::{Deserialize, Serialize};
use url::Url;

use self::provider::Provider;
use crate::clock::{Clock, Entropy, Timestamp, random};
use crate::config::CompanySignIn;
use crate::domain::people::Identity;
use crate::egress::{EgressClient, EgressError};

/// The company's provider, as it is configured and as it describes itself.
#[derive(Debug)]
pub struct Company {
    config: CompanySignIn,
    provider: Provider,
}

/// What a sign-in needs of the world.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    pub egress: &'a EgressClient,
    pub clock: &'a dyn Clock,
    pub entropy: &'a dyn Entropy,
}

/// What has to come back, unseen by anybody.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Departure {
    pub state: SecretText,
    nonce: SecretText,
    verifier: SecretText,
}

/// Somebody whom the provider knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub identity: Identity,
    /// For people.
    pub name: String,
    pub groups: BTreeSet<String>,
}

/// Why nobody came in. Nothing of the provider's own words is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompanyError {
    #[error("the provider cannot be asked: {0}")]
    Down(EgressError),
    /// It answers, and what it answers cannot be used.
    #[error("the provider's {0}")]
    Unusable(&'static str),
    /// It did not take the code.
    #[error("the provider refused the code: {0}")]
    Refused(&'static str),
    #[error("the ID token {0}")]
    Untrusted(&'static str),
    #[error("the claim of the groups {0}")]
    Groups(&'static str),
}

impl Company {
    pub fn new(config: CompanySignIn) -> Self {
        Self { config, provider: Provider::default() }
    }

    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    pub fn config(&self) -> &CompanySignIn {
        &self.config
    }

    /// The address to send a browser to, which comes back to `redirect_uri`.
    pub async fn depart(
        &self,
        outside: Outside<'_>,
        redirect_uri: &str,
    ) -> Result<(Url, Departure), CompanyError> {
        let metadata = self.provider.known(&self.config, outside).await?;
        let client = provider::client(&self.config, metadata, redirect_uri)?;
        let secret = || SecretText::new(URL_SAFE_NO_PAD.encode(random::<32>(outside.entropy)));
        let departure = Departure { state: secret(), nonce: secret(), verifier: secret() };
        let verifier = PkceCodeVerifier::new(departure.verifier.expose().to_owned());
        let (state, nonce) = (departure.state.expose().to_owned(), departure.nonce.expose().to_owned());
        let (url, ..) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                || CsrfToken::new(state),
                || Nonce::new(nonce),
            )
            .add_scopes(self.config.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok((url, departure))
    }

    /// Whether the provider promises to name itself in its responses (RFC 9207).
    pub async fn names_itself(&self, outside: Outside<'_>) -> Result<bool, CompanyError> {
        Ok(self.provider.known(&self.config, outside).await?.additional_metadata().names_itself())
    }

    /// Redeems the code, once, and verifies what comes for it.
    pub async fn arrive(
        &self,
        outside: Outside<'_>,
        redirect_uri: &str,
        code: &str,
        departure: &Departure,
    ) -> Result<Arrival, CompanyError> {
        let metadata = self.provider.known(&self.config, outside).await?;
        let client = provider::client(&self.config, metadata, redirect_uri)?;
        let tokens = provider::redeem(&client, outside, code, departure.verifier.expose()).await?;
        let now = outside.clock.now();
        let nonce = Nonce::new(departure.nonce.expose().to_owned());
        let claims = match token::verified(&client, &tokens, &nonce, now) {
            // The provider may have a new key since it was last asked.
            Err(token::Fault::Signature) => {
                let metadata = self.provider.asked_again(&self.config, outside).await?;
                let client = provider::client(&self.config, metadata, redirect_uri)?;
                token::verified(&client, &tokens, &nonce, now)
            }
            other => other,
        }
        .map_err(|fault| CompanyError::Untrusted(fault.words()))?;
        token::arrival(&self.config, &claims)
    }
}

/// How far clocks may differ.
const TOLERANCE: std::time::Duration = std::time::Duration::from_secs(30);

fn moment(time: Timestamp) -> chrono::DateTime<chrono::Utc> {
    let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    chrono::DateTime::from_timestamp_millis(milliseconds).unwrap_or(chrono::DateTime::<chrono::Utc>::MAX_UTC)
}
