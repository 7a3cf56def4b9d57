//! Every way a sign-in at the company's provider can fail. As in [`super::trouble`], texts are fixed.

use axum::http::StatusCode;

use super::trouble::{Next, PageError};
use crate::company::CompanyError;
use crate::http::error::error_chain;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SignInTrouble {
    /// Begun in another browser, longer than ten minutes ago, or finished already.
    NotBegunHere,
    /// The answer is another provider's, or does not say whose.
    OtherIssuer,
    /// The provider, or the person there, did not allow it.
    Refused {
        cause: String,
    },
    /// What the provider says about the person does not hold.
    Untrusted {
        cause: String,
    },
    /// The provider knows the person, and nobody here does.
    Nobody,
    Down {
        cause: String,
    },
    /// An administrator has to act, here or at the provider.
    Misconfigured {
        cause: String,
    },
}

impl SignInTrouble {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotBegunHere | Self::OtherIssuer | Self::Refused { .. } => StatusCode::BAD_REQUEST,
            Self::Untrusted { .. } | Self::Nobody => StatusCode::FORBIDDEN,
            Self::Down { .. } => StatusCode::BAD_GATEWAY,
            Self::Misconfigured { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::NotBegunHere => "sign_in_not_begun_here",
            Self::OtherIssuer => "sign_in_other_issuer",
            Self::Refused { .. } => "sign_in_refused",
            Self::Untrusted { .. } => "sign_in_untrusted",
            Self::Nobody => "sign_in_nobody",
            Self::Down { .. } => "sign_in_provider_down",
            Self::Misconfigured { .. } => "sign_in_misconfigured",
        }
    }

    pub(super) fn cause(self) -> String {
        match self {
            Self::NotBegunHere | Self::OtherIssuer | Self::Nobody => String::new(),
            Self::Refused { cause }
            | Self::Untrusted { cause }
            | Self::Down { cause }
            | Self::Misconfigured { cause } => cause,
        }
    }

    /// Title, text, and what to do next.
    pub(super) fn words(&self) -> (&'static str, &'static str, Next) {
        match self {
            Self::NotBegunHere => (
                "This sign-in was not begun here",
                "It was begun in another browser, took longer than ten minutes, or is finished already. Sign in \
                 again.",
                Next::SignIn,
            ),
            Self::OtherIssuer => (
                "This answer comes from the wrong place",
                "It was made by another provider than your company's, so it was not used. Should this happen again, \
                 tell an administrator.",
                Next::SignIn,
            ),
            Self::Refused { .. } => (
                "You are not signed in",
                "Your company's sign-in, or you there, did not allow it. Try again; should it refuse again, tell an \
                 administrator.",
                Next::SignIn,
            ),
            Self::Untrusted { .. } => (
                "Your company's sign-in could not be trusted",
                "What it says about you does not hold, so you are not signed in. Try again; should this happen \
                 again, tell an administrator the number below.",
                Next::SignIn,
            ),
            Self::Nobody => (
                "You have no access to this gateway yet",
                "Your company knows you, but you belong to no workspace here. Ask whoever looks after this gateway \
                 to add you or one of your groups, then sign in again.",
                Next::SignIn,
            ),
            Self::Down { .. } => (
                "Your company's sign-in does not answer",
                "Nobody can sign in until it does. Whoever is signed in stays so. Try again in a few minutes.",
                Next::SignIn,
            ),
            Self::Misconfigured { .. } => (
                "Signing in is not set up right",
                "An administrator has to look at it; the number below leads to the cause.",
                Next::SignIn,
            ),
        }
    }
}

impl From<CompanyError> for SignInTrouble {
    fn from(error: CompanyError) -> Self {
        let cause = error_chain(&error);
        match error {
            CompanyError::Down(error) if error.may_pass() => Self::Down { cause },
            CompanyError::Down(_) | CompanyError::Unusable(_) => Self::Misconfigured { cause },
            CompanyError::Refused(_) => Self::Refused { cause },
            CompanyError::Untrusted(_) | CompanyError::Groups(_) => Self::Untrusted { cause },
        }
    }
}

impl From<SignInTrouble> for PageError {
    fn from(trouble: SignInTrouble) -> Self {
        Self::SigningIn(trouble)
    }
}

impl From<CompanyError> for PageError {
    fn from(error: CompanyError) -> Self {
        Self::SigningIn(error.into())
    }
}
