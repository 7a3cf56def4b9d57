//! Who sends a request: the gateway credential in its headers, and what a token says and may say.
//!
//! [`bearer::find`] reads the one credential. An API key is shown to the token-service, which knows whether it exists;
//! a JWT is verified here, by [`verified::VerifiedTokens`], because its signature says all that is needed. A token that
//! only its issuer can judge is shown to the token-service, which asks the issuer.

use std::rc::Rc;

use portcullis_wire::lease::CallerProof;
use portcullis_wire::scopes;

pub mod bearer;
pub mod budget;
mod claims;
pub mod fault;
pub mod guesses;
pub mod jwt;
pub mod token;
pub mod verified;

pub use bearer::{Credential, Presented};
pub use budget::VerificationBudget;
pub use fault::Fault;
pub use guesses::{Guesses, Source};
pub use token::{Grant, VerifiedToken};
pub use verified::{Expectations, VerifiedTokens};

/// What is known of a credential that is good as far as that can be found out here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    ApiKey,
    Verified(Rc<VerifiedToken>),
    /// Only its issuer can judge it.
    Opaque,
}

impl Identity {
    /// Whether every request with it is refused, because even reading takes a scope that it lacks.
    pub fn judge_scope(&self) -> Result<(), Fault> {
        let Self::Verified(token) = self else { return Ok(()) };
        match &token.grant {
            Some(grant) if !grant.scopes.iter().any(|scope| scope == scopes::READ) => {
                Err(Fault::InsufficientScope)
            }
            _ => Ok(()),
        }
    }

    /// What a lease is asked for with. `credential` is the one that was identified.
    pub fn proof(&self, credential: &Credential) -> CallerProof {
        match (&credential.presented, self) {
            (Presented::ApiKey(key), _) => CallerProof::ApiKey { id: key.id.clone(), digest: key.digest },
            (Presented::Token(text), Self::Verified(token)) => token.proof(text),
            (Presented::Token(text), _) => CallerProof::Opaque { token: text.clone() },
        }
    }
}
