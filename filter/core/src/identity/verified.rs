//! Tokens that were verified before, so that no token is verified twice while anybody uses it.

use std::rc::Rc;

use portcullis_wire::digest::Digest;
use portcullis_wire::secret::SecretText;
use portcullis_wire::watch::Algorithm;

use super::Identity;
use super::budget::VerificationBudget;
use super::fault::Fault;
use super::jwt::{Judged, Judgement, is_opaque, judge};
use super::token::{Audience, VerifiedToken};
use crate::cache::Bounded;
use crate::exchange::SignatureVerifier;
use crate::registry::Registry;

/// Tokens with a wrong signature that are remembered, so that a client that repeats one costs nothing. Apart from the
/// good ones, so that bad ones cannot push them out.
const MAX_BAD_SIGNATURES: usize = 1_000;

/// What a token is judged by.
#[derive(Clone, Copy)]
pub struct Expectations<'a> {
    pub registry: &'a Registry,
    /// [`crate::path::resource_url`] of the path that is called.
    pub resource: &'a str,
    /// By the token-service's clock: [`crate::watch::Watch::service_time_ms`].
    pub now_ms: u64,
}

pub struct VerifiedTokens {
    tokens: Bounded<Digest, Entry>,
    /// Digests of the tokens, and of the issuers whose keys did not fit.
    bad_signatures: Bounded<Digest, Digest>,
    budget: VerificationBudget,
}

/// A verified token and all that its verdict rests on.
struct Entry {
    token: Rc<VerifiedToken>,
    audience: Audience,
    key_id: Option<String>,
    algorithm: Algorithm,
    key: Digest,
    settings: Digest,
    /// [`Registry::issuers_digest`] under which all that was last seen to hold.
    issuers: Digest,
}

impl VerifiedTokens {
    pub fn new(capacity: usize, verifications_per_second: u32) -> Self {
        Self {
            tokens: Bounded::new(capacity),
            bad_signatures: Bounded::new(MAX_BAD_SIGNATURES),
            budget: VerificationBudget::new(verifications_per_second),
        }
    }

    /// Applies a new configuration and keeps what is cached.
    pub fn set_bounds(&mut self, capacity: usize, verifications_per_second: u32) {
        self.budget.set_rate(verifications_per_second);
        self.tokens.set_capacity(capacity);
        while self.tokens.pop_excess().is_some() {}
    }

    /// Verifies a token, or finds that it was verified: then times, audience, issuer and key are judged anew, and only
    /// the signature is not. Nothing of a token that only its issuer can judge is remembered here: it costs a stranger
    /// nothing to make one up. `digest` is that of the [`super::Credential`].
    pub fn verify(
        &mut self,
        token: &SecretText,
        digest: Digest,
        expected: &Expectations<'_>,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Identity, Fault> {
        if let Some(entry) = self.tokens.get_mut(&digest) {
            if entry.still_holds(expected.registry) {
                return entry.judge(expected).map(Identity::Verified);
            }
            self.tokens.remove(&digest);
        }
        if expected.registry.accepts_opaque_tokens() && is_opaque(token.expose()) {
            return Ok(Identity::Opaque);
        }
        let judged = match judge(token.expose(), expected)? {
            Judgement::Signed(judged) => *judged,
            Judgement::Introspected => return Ok(Identity::Opaque),
        };
        let issuers = expected.registry.issuers_digest();
        if self.bad_signatures.get(&digest) == Some(&issuers) {
            return Err(Fault::BadSignature);
        }
        if !self.budget.take(expected.now_ms) {
            return Err(Fault::Busy);
        }
        if !verifier.verify(token.expose(), &judged.key.wire) {
            self.bad_signatures.insert(digest, issuers);
            return Err(Fault::BadSignature);
        }
        let entry = Entry::new(judged, issuers);
        let token = Rc::clone(&entry.token);
        self.tokens.insert(digest, entry);
        Ok(Identity::Verified(token))
    }

    /// Whether an issuer may be asked about one more token now. It costs more than a signature, so it counts as one.
    pub fn may_ask(&mut self, now_ms: u64) -> bool {
        self.budget.take(now_ms)
    }

    /// Forgets all tokens; they are verified anew when they come again.
    pub fn forget_all(&mut self) {
        self.tokens.clear();
        self.bad_signatures.clear();
    }

    /// How many tokens are remembered as verified.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

impl Entry {
    fn new(judged: Judged, issuers: Digest) -> Self {
        Self {
            token: Rc::new(judged.token),
            audience: judged.audience,
            key_id: judged.key_id,
            algorithm: judged.key.wire.algorithm,
            key: judged.key.digest,
            settings: judged.settings,
            issuers,
        }
    }

    /// Whether the issuer has the same settings and the token would find the same key. When nothing about any issuer
    /// changed, one comparison shows it; when another issuer or key changed, no signature has to be verified again.
    fn still_holds(&mut self, registry: &Registry) -> bool {
        if self.issuers == registry.issuers_digest() {
            return true;
        }
        let holds = registry.issuer(&self.token.issuer.issuer).is_some_and(|issuer| {
            let key = issuer.key(self.key_id.as_deref(), self.algorithm);
            issuer.settings() == self.settings && key.is_some_and(|key| key.digest == self.key)
        });
        if holds {
            self.issuers = registry.issuers_digest();
        }
        holds
    }

    fn judge(&self, expected: &Expectations<'_>) -> Result<Rc<VerifiedToken>, Fault> {
        match &self.audience {
            Audience::Resource(url) if url != expected.resource => return Err(Fault::WrongAudience),
            Audience::Resource(_) | Audience::OfIssuer => {}
        }
        self.token.judge_times(expected.now_ms)?;
        Ok(Rc::clone(&self.token))
    }
}

/// Prints sizes only.
impl std::fmt::Debug for VerifiedTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("VerifiedTokens").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}
