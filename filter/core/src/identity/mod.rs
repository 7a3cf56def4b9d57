//! Who sends a request: the gateway credential in its headers, and what a token says and may say.
//!
//! [`bearer::find`] reads the one credential. An API key is shown to the token-service, which knows whether it exists;
//! a token is verified here, by [`verified::VerifiedTokens`], because its signature says all that is needed.

pub mod bearer;
pub mod budget;
pub mod fault;
pub mod jwt;
pub mod verified;

pub use bearer::{Credential, Presented};
pub use budget::VerificationBudget;
pub use fault::Fault;
pub use jwt::VerifiedToken;
pub use verified::{Expectations, VerifiedTokens};
