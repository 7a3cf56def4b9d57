//! What people and models are told.

use super::handle::Handle;
use crate::domain::connection::ReauthReason;

/// Why the member is asked, in the words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// What the registry calls the server.
    server: String,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    First,
    Again(ReauthReason),
    Scopes,
}

impl Words {
    pub(super) fn new(server: &str, handle: &Handle) -> Self {
        let why = match handle.reason {
            _ if handle.missing_scopes => Why::Scopes,
            Some(reason) => Why::Again(reason),
            None => Why::First,
        };
        Self { server: server.to_owned(), why }
    }

    /// What is the matter, in one sentence.
    fn matter(&self) -> String {
        let server = &self.server;
        match self.why {
            Why::First => format!("{server} is not connected to your account yet."),
            Why::Scopes => format!("{server} needs a permission for this that you have not given yet."),
            Why::Again(reason) => {
                let because = match reason {
                    ReauthReason::Revoked | ReauthReason::Rejected => "no longer accepts it",
                    ReauthReason::Expired => "let it expire",
                    ReauthReason::LostRotation | ReauthReason::Unreadable | ReauthReason::ClientChanged => {
                        "has to confirm it anew"
                    }
                    ReauthReason::IssuerChanged => "has moved its sign-in",
                };
                format!("Your connection to {server} has ended: {server} {because}.")
            }
        }
    }

    /// For a dialogue that shows the link itself.
    pub(super) fn question(&self) -> String {
        format!("{} Open the link, sign in and allow access; then this call goes on.", self.matter())
    }

    /// For a text that has to hold the link.
    pub(super) fn invitation(&self, link: &str) -> String {
        format!(
            "{} Open {link} in a browser, sign in and allow access, then make this call again.",
            self.matter()
        )
    }

    pub(super) fn declined(&self) -> String {
        format!(
            "{} is not connected, because you declined; nothing was sent to it. Make this call again to be asked again.",
            self.server
        )
    }

    pub(super) fn connected(&self) -> String {
        format!("{} is connected now, and this call was not sent to it yet. Make it again.", self.server)
    }
}
