//! Every way a page can fail, and the one mapping to status and text.
//!
//! Texts are fixed: nothing of a request, a provider or a person is in them. The incident id leads to the log, where
//! the cause is.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::{self, ProblemPage};
use super::realm::Realm;
use super::trouble_signing_in::SignInTrouble;
use crate::authorization_server::clients::ClientError;
use crate::broker::ProviderError;
use crate::clock::{Entropy, random};
use crate::connect::RedeemError;
use crate::http::error::error_chain;
use crate::oauth::token::TokenError;
use crate::store::StoreError;

/// Why there is no such page.
#[derive(Debug)]
pub(super) enum PageError {
    NotFound,
    MethodNotAllowed,
    /// The link is unknown, was used, or is over; nobody can tell which.
    LinkOver,
    /// Somebody else's link was opened. Names neither.
    WrongPerson,
    /// The server is not, or no longer, for this person.
    NoAccess,
    /// A form that does not come from a page of ours.
    Forged,
    /// A form or an address that cannot be read.
    Unreadable,
    /// A form whose sender is signed in no longer.
    SignedOut,
    /// Nobody can sign in: no method is configured.
    NoSignIn,
    /// Something about a sign-in at the company's provider.
    SigningIn(SignInTrouble),
    /// A client that nobody knows, or a request that does not name one.
    UnknownClient,
    /// A client whose metadata document cannot be used.
    ClientDocument {
        cause: String,
    },
    /// A client that wants people to be sent to where it is not.
    WrongRedirect,
    /// A client's request that is over, or was decided already.
    RequestOver,
    /// A callback of a flow that was never begun, is finished, or is over.
    UnknownFlow,
    /// A callback on the path of another server than the flow's.
    WrongServer,
    /// A callback in another browser than the one that left.
    OtherBrowser,
    /// A callback in the right browser, by another session than the one that left.
    OtherSession,
    /// A callback that another provider than the flow's made, or that does not say which.
    WrongIssuer,
    /// The member said no at the provider.
    Declined,
    /// The provider answered with an error.
    Refused {
        code: String,
    },
    /// The server has changed while the member was away.
    Changed,
    ProviderDown {
        cause: String,
    },
    /// An administrator has to act.
    Misconfigured {
        cause: String,
    },
    Unavailable {
        cause: String,
    },
    Internal {
        cause: String,
    },
}

/// A page about a failure, but for its incident id.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    name: &'static str,
    title: &'static str,
    text: &'static str,
    next: Next,
    cause: String,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Connections,
    SignIn,
}

impl PageError {
    /// For replies of others that have to become a page.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable { cause: "see above".to_owned() },
            other => Self::Internal { cause: format!("status {}", other.as_u16()) },
        }
    }

    fn trouble(self) -> Trouble {
        let name = self.name();
        let status = self.status();
        let (title, text, next) = self.words();
        Trouble { status, name, title, text, next, cause: self.cause() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::SigningIn(trouble) => trouble.status(),
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::LinkOver | Self::RequestOver => StatusCode::GONE,
            Self::WrongPerson
            | Self::NoAccess
            | Self::Forged
            | Self::SignedOut
            | Self::OtherBrowser
            | Self::OtherSession => StatusCode::FORBIDDEN,
            Self::Unreadable
            | Self::UnknownClient
            | Self::ClientDocument { .. }
            | Self::WrongRedirect
            | Self::UnknownFlow
            | Self::WrongServer
            | Self::WrongIssuer
            | Self::Declined
            | Self::Refused { .. } => StatusCode::BAD_REQUEST,
            Self::Changed => StatusCode::CONFLICT,
            Self::ProviderDown { .. } => StatusCode::BAD_GATEWAY,
            Self::NoSignIn | Self::Misconfigured { .. } | Self::Unavailable { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The word for it in the log.
    fn name(&self) -> &'static str {
        match self {
            Self::SigningIn(trouble) => trouble.name(),
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::LinkOver => "link_over",
            Self::WrongPerson => "wrong_person",
            Self::NoAccess => "no_access",
            Self::Forged => "forged_form",
            Self::Unreadable => "unreadable",
            Self::SignedOut => "signed_out",
            Self::NoSignIn => "no_sign_in",
            Self::UnknownClient => "unknown_client",
            Self::ClientDocument { .. } => "client_document",
            Self::WrongRedirect => "wrong_redirect",
            Self::RequestOver => "request_over",
            Self::UnknownFlow => "unknown_flow",
            Self::WrongServer => "wrong_server",
            Self::OtherBrowser => "other_browser",
            Self::OtherSession => "other_session",
            Self::WrongIssuer => "wrong_issuer",
            Self::Declined => "declined",
            Self::Refused { .. } => "refused",
            Self::Changed => "changed",
            Self::ProviderDown { .. } => "provider_down",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Unavailable { .. } => "unavailable",
            Self::Internal { .. } => "internal",
        }
    }

    fn cause(self) -> String {
        match self {
            Self::SigningIn(trouble) => trouble.cause(),
            Self::Refused { code: cause }
            | Self::ClientDocument { cause }
            | Self::ProviderDown { cause }
            | Self::Misconfigured { cause }
            | Self::Unavailable { cause }
            | Self::Internal { cause } => cause,
            _ => String::new(),
        }
    }

    /// Title, text, and what to do next.
    fn words(&self) -> (&'static str, &'static str, Next) {
        match self {
            Self::NotFound => {
                ("There is no such page", "Check the address for a typing mistake.", Next::Connections)
            }
            Self::MethodNotAllowed => {
                ("This page does not work that way", "Open it by a link or a button.", Next::Connections)
            }
            Self::LinkOver => (
                "This link no longer works",
                "A link is good for ten minutes and for one use. Let your agent try again: it gets a new one.",
                Next::Connections,
            ),
            Self::WrongPerson => (
                "This link was made for somebody else",
                "It has been made useless, and nothing was connected. If your own agent gave it to you, you are \
                 signed in here as somebody else than it works for: sign in as the right person, and let the agent \
                 try again.",
                Next::SignIn,
            ),
            Self::NoAccess => (
                "This server is not available to you",
                "You are not, or no longer, allowed to use it. Ask an administrator of the gateway.",
                Next::Connections,
            ),
            Self::Forged => (
                "This form could not be accepted",
                "It was not sent from a page of this gateway, or the page was too old. Nothing was changed. Open the \
                 page again and repeat what you did.",
                Next::Connections,
            ),
            Self::Unreadable => (
                "This request cannot be read",
                "Nothing was changed. Go back and try again.",
                Next::Connections,
            ),
            Self::SignedOut => (
                "You are no longer signed in",
                "Nothing was changed. Sign in and repeat what you did.",
                Next::SignIn,
            ),
            Self::NoSignIn => (
                "Nobody can sign in here yet",
                "This gateway has no way of signing in. An administrator has to configure one.",
                Next::Nothing,
            ),
            Self::SigningIn(trouble) => trouble.words(),
            other => other.words_of_clients(),
        }
    }

    /// [`Self::words`] for what clients do wrong.
    fn words_of_clients(&self) -> (&'static str, &'static str, Next) {
        match self {
            Self::UnknownClient => (
                "This gateway does not know the program that sent you here",
                "You were not signed in to anything. If the program has an id of its own, an administrator can \
                 register it; if it had registered itself, remove the server from it and add it again.",
                Next::Connections,
            ),
            Self::ClientDocument { .. } => (
                "The program that sent you here cannot be identified",
                "What it says about itself at its address could not be read, or is not in order. You were not signed \
                 in to anything. Try again; should it happen again, tell whoever makes the program.",
                Next::Connections,
            ),
            Self::WrongRedirect => (
                "You would have been sent to the wrong place",
                "The program that sent you here wants you to go on to an address that is not registered for it. You \
                 were not signed in to anything. Do not go on if you did not expect to be here.",
                Next::Connections,
            ),
            Self::RequestOver => (
                "This request is over",
                "It was decided already, or you took longer than twenty minutes. Begin again in the program that sent \
                 you here.",
                Next::Connections,
            ),
            other => other.words_of_flows(),
        }
    }

    /// [`Self::words`] for what happens on the way to the provider and back.
    fn words_of_flows(&self) -> (&'static str, &'static str, Next) {
        match self {
            Self::UnknownFlow => (
                "This answer was not expected",
                "The connection was not begun here, took longer than ten minutes, or is finished already. Nothing \
                 was changed.",
                Next::Connections,
            ),
            Self::WrongServer | Self::WrongIssuer => (
                "This answer comes from the wrong place",
                "It was made by another provider than the one that you were sent to, so it was not used. Should this \
                 happen again, tell an administrator.",
                Next::Connections,
            ),
            Self::OtherBrowser => (
                "This was not begun in this browser",
                "To keep somebody else's account from being connected as yours, a connection has to be finished \
                 where it was begun. Nothing was connected.",
                Next::Connections,
            ),
            Self::OtherSession => (
                "You have signed in or out in between",
                "A connection has to be finished in the session in which it was begun. Nothing was connected; begin \
                 again.",
                Next::Connections,
            ),
            Self::Declined => (
                "Nothing was connected",
                "You, or the provider for you, did not allow it.",
                Next::Connections,
            ),
            Self::Refused { .. } => (
                "The provider refused",
                "It answered with an error, and nothing was connected. Try again; should it refuse again, tell an \
                 administrator.",
                Next::Connections,
            ),
            Self::Changed => (
                "The server has changed in the meantime",
                "Its settings are not what they were when you left for the provider. Nothing was connected; begin \
                 again.",
                Next::Connections,
            ),
            Self::ProviderDown { .. } => (
                "The provider does not answer",
                "Nothing was connected. Try again in a few minutes.",
                Next::Connections,
            ),
            Self::Misconfigured { .. } => (
                "This server is not set up right",
                "An administrator has to look at it; the number below leads to the cause.",
                Next::Connections,
            ),
            Self::Unavailable { .. } => {
                ("The gateway is busy with itself", "Try again in a moment.", Next::Nothing)
            }
            _ => {
                ("Something went wrong on our side", "Nothing was changed as far as we know.", Next::Nothing)
            }
        }
    }
}

impl Trouble {
    /// Logs what happened under an incident id, and shows the page with it.
    pub(super) fn into_page(self, entropy: &dyn Entropy, realm: Realm) -> Response {
        let incident = format!("{:010x}", u64::from_be_bytes(random(entropy)) >> 24);
        let Self { status, name, title, text, next, cause } = self;
        if status.is_server_error() {
            tracing::error!(incident, trouble = name, cause, "a page failed");
        } else if status == StatusCode::NOT_FOUND || status == StatusCode::METHOD_NOT_ALLOWED {
            tracing::debug!(incident, trouble = name, "no such page");
        } else {
            tracing::warn!(incident, trouble = name, cause, "a page was refused");
        }
        let next = match next {
            Next::Nothing => None,
            Next::Connections if realm == Realm::Admin => Some((realm.home(), "The admin side")),
            Next::Connections => Some((realm.home(), "Your connections")),
            Next::SignIn => Some(("/sign-in", "Sign in")),
        };
        page::html(status, &ProblemPage { title, text, next, incident: &incident })
    }
}

/// Becomes a page in [`super::headers::dress`], which knows where to take an incident id from.
impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let trouble = self.trouble();
        let mut response = trouble.status.into_response();
        response.extensions_mut().insert(trouble);
        response
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => Self::Unavailable { cause: error_chain(&error) },
            // Deleted since it was looked at.
            StoreError::Missing { .. } => Self::NoAccess,
            StoreError::Stale => Self::Changed,
            error => Self::Internal { cause: error_chain(&error) },
        }
    }
}

impl From<ClientError> for PageError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unknown => Self::UnknownClient,
            ClientError::Document(error) => Self::ClientDocument { cause: error_chain(&error) },
            ClientError::Store(error) => error.into(),
        }
    }
}

impl From<ProviderError> for PageError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Misconfigured(cause) => Self::Misconfigured { cause },
            ProviderError::Unavailable => Self::ProviderDown { cause: "it cannot be asked".to_owned() },
            ProviderError::Store(error) => error.into(),
        }
    }
}

impl From<RedeemError> for PageError {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Changed => Self::Changed,
            RedeemError::Provider(error) => error.into(),
            RedeemError::Token(error) => error.into(),
            RedeemError::Unseal(error) => Self::Internal { cause: error_chain(&error) },
            RedeemError::Store(error) => error.into(),
        }
    }
}

impl From<TokenError> for PageError {
    fn from(error: TokenError) -> Self {
        let cause = error_chain(&error);
        match error {
            TokenError::InvalidGrant => Self::Refused { code: "invalid_grant".to_owned() },
            TokenError::Refused { .. } | TokenError::Unusable(_) => Self::Misconfigured { cause },
            TokenError::NotDone { .. } | TokenError::Ambiguous => Self::ProviderDown { cause },
        }
    }
}
