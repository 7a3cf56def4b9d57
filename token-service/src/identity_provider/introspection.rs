//! What an issuer says of a token, as the proof of a caller.

use std::sync::PoisonError;
use std::time::Duration;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::CallerProof;
use portcullis_wire::secret::SecretText;
use secrecy::SecretString;
use serde_json::Value;

use super::IdentityProviders;
use crate::clock::Timestamp;
use crate::domain::issuer::{Introspection, Issuer, TokenSource, WorkspaceMapping};
use crate::oauth::introspection::{ActiveToken, Question, ask};
use crate::oauth::{Authentication, Client};
use crate::state::Service;
use crate::store::StoreError;

/// How long it is remembered that a token is not good.
const REFUSAL: Duration = Duration::from_secs(2);

/// What came of asking.
pub(crate) enum Introspected {
    /// The proof stands for the token until then.
    Good { proof: CallerProof, until: Timestamp },
    /// The token is not good, or no issuer is asked about tokens.
    NotGood,
    /// The issuer has not answered within the time given.
    Slow,
    /// The issuer cannot be asked now.
    Unavailable,
}

/// What an issuer said, and how long it is believed.
pub(super) struct Answer {
    token: Option<ActiveToken>,
    until: Timestamp,
}

impl Service {
    /// Asks the issuer that is asked about tokens, or remembers what it said. `patience` is for the issuer.
    pub(crate) async fn introspect(
        &self,
        token: &SecretText,
        patience: Duration,
    ) -> Result<Introspected, StoreError> {
        let issuers = self.store.issuers().await?;
        let asked = issuers.iter().find_map(|issuer| match &issuer.source {
            TokenSource::Introspection(introspection) => Some((issuer, introspection)),
            TokenSource::Given | TokenSource::Jwks(_) => None,
        });
        let Some((issuer, introspection)) = asked else { return Ok(Introspected::NotGood) };
        let key = answer_key(issuer, introspection, token);
        if let Some(known) = self.identity_providers.recall(&key, issuer, self.clock.now()) {
            return Ok(known);
        }
        let Some(secret) = self.identity_providers.secret(&issuer.issuer) else {
            // Another process applies the configuration at this moment.
            return Ok(Introspected::Unavailable);
        };
        let token = SecretString::from(token.expose());
        let question = self.ask_about(issuer, introspection, secret, &token);
        let Ok(answer) = tokio::time::timeout(patience, question).await else {
            return Ok(Introspected::Slow);
        };
        let Some(answer) = answer else { return Ok(Introspected::Unavailable) };
        let read = answer.read(issuer, self.clock.now());
        self.identity_providers.remember(key, answer);
        Ok(read)
    }

    /// `None` if there is no answer that could be believed.
    async fn ask_about(
        &self,
        issuer: &Issuer,
        introspection: &Introspection,
        secret: SecretString,
        token: &SecretString,
    ) -> Option<Answer> {
        let authentication = if introspection.secret_post {
            Authentication::SecretPost(secret)
        } else {
            Authentication::SecretBasic(secret)
        };
        let client = Client { client_id: introspection.client_id.clone(), authentication };
        let question =
            Question { endpoint: &introspection.endpoint, client: &client, issuer: &issuer.issuer, token };
        match ask(&self.egress, &*self.entropy, &question, self.clock.now()).await {
            Ok(token) => {
                let now = self.clock.now();
                let believed = Duration::from_secs(introspection.cache);
                let until = now.plus(if token.is_some() { believed } else { REFUSAL });
                Some(Answer { token, until })
            }
            Err(error) => {
                tracing::warn!(issuer = issuer.issuer, %error, "an issuer could not be asked about a token");
                None
            }
        }
    }
}

impl IdentityProviders {
    fn recall(&self, key: &Digest, issuer: &Issuer, now: Timestamp) -> Option<Introspected> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.get(key).filter(|answer| now < answer.until)?;
        Some(answer.read(issuer, now))
    }

    fn remember(&self, key: Digest, answer: Answer) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).put(key, answer);
    }
}

impl Answer {
    fn read(&self, issuer: &Issuer, now: Timestamp) -> Introspected {
        let Some(token) = &self.token else { return Introspected::NotGood };
        let not_before = match token.claims.get("nbf") {
            None => Some(0),
            Some(value) => value.as_u64(),
        };
        let begun = not_before
            .is_some_and(|time| Timestamp::from_seconds(time) <= now.plus(issuer.clock_tolerance()));
        if !begun {
            return Introspected::NotGood;
        }
        let workspace_claim = match &issuer.workspaces {
            WorkspaceMapping::Claim(claim) => {
                token.claims.get(claim).and_then(Value::as_str).map(str::to_owned)
            }
            WorkspaceMapping::Fixed(_) | WorkspaceMapping::Membership => None,
        };
        // Without an end of its own a token is good for as long as the answer.
        let expires_at = token.expires_at.unwrap_or(self.until.as_millis().div_ceil(1_000));
        let proof = CallerProof::Jwt {
            issuer: issuer.issuer.clone(),
            subject: token.subject.clone(),
            workspace_claim,
            audiences: token.audiences.clone(),
            issued_at: token.issued_at,
            claims: token.claims.clone(),
            expires_at,
        };
        Introspected::Good { proof, until: self.until }
    }
}

/// Of the token and of all that decides who was asked, and as whom.
fn answer_key(issuer: &Issuer, introspection: &Introspection, token: &SecretText) -> Digest {
    let parts = [&issuer.issuer, introspection.endpoint.as_str(), &introspection.client_id, token.expose()];
    Digest::of("portcullis-introspected-token-v1", &parts.map(str::as_bytes))
}
