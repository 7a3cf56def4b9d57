//! A verified token, as it is remembered and shown to the token-service.

use std::rc::Rc;

use portcullis_wire::lease::CallerProof;
use portcullis_wire::secret::SecretText;
use portcullis_wire::watch::IssuerEntry;

use super::claims::Shown;
use super::fault::Fault;

/// How far the clock of an issuer may be off, in seconds, where its settings do not say.
pub const CLOCK_TOLERANCE_S: u32 = 30;

/// A token whose signature, issuer, audience and times are right.
///
/// What the token-service alone judges is not kept but read again out of the text when a lease is asked for: a worker
/// remembers many tokens, and each may hold kilobytes of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The settings by which it was judged, without keys.
    pub issuer: Rc<IssuerEntry>,
    pub subject: String,
    /// The value of the issuer's workspace claim, where the issuer has one and the token too.
    pub workspace_claim: Option<String>,
    /// Of a token that the gateway itself has issued, and of no other.
    pub grant: Option<Grant>,
    pub times: Times,
}

/// What an access token of the gateway stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The sign-in that it comes from (`sid`).
    pub session: String,
    pub scopes: Vec<String>,
}

/// When a token may be used, in seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub expires_at: u64,
    /// The later of `nbf` and `iat`; 0 without both.
    pub not_before: u64,
}

/// For whom a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// For an audience that its issuer's settings accept, so for every server, as far as the token-service agrees.
    OfIssuer,
    /// For the one resource with this URL.
    Resource(String),
}

impl Times {
    /// Judges them by the token-service's clock.
    pub(super) fn judge(self, issuer: &IssuerEntry, now_ms: u64) -> Result<(), Fault> {
        let tolerance_ms =
            u64::from(issuer.clock_tolerance.unwrap_or(CLOCK_TOLERANCE_S)).saturating_mul(1_000);
        if now_ms >= self.expires_at.saturating_mul(1_000).saturating_add(tolerance_ms) {
            return Err(Fault::Expired);
        }
        if now_ms.saturating_add(tolerance_ms) < self.not_before.saturating_mul(1_000) {
            return Err(Fault::NotYetValid);
        }
        Ok(())
    }
}

impl VerifiedToken {
    pub(super) fn judge_times(&self, now_ms: u64) -> Result<(), Fault> {
        self.times.judge(&self.issuer, now_ms)
    }

    /// What a lease is asked for with. `text` is the token's.
    pub fn proof(&self, text: &SecretText) -> CallerProof {
        let expires_at = self.times.expires_at;
        if let Some(Grant { session, scopes }) = &self.grant {
            return CallerProof::AccessToken { session: session.clone(), scopes: scopes.clone(), expires_at };
        }
        // It was readable when it was judged. Should it not be now, nothing is shown, and what a rule asks for is missing.
        let Shown { audiences, issued_at, claims } =
            Shown::out_of(text.expose(), &self.issuer.claims).unwrap_or_default();
        CallerProof::Jwt {
            issuer: self.issuer.issuer.clone(),
            subject: self.subject.clone(),
            workspace_claim: self.workspace_claim.clone(),
            audiences,
            issued_at,
            claims,
            expires_at,
        }
    }
}
