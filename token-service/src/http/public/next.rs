//! Where to go after signing in: one of our own pages, or the list of connections.

use portcullis_wire::names::Slug;

use crate::authorization_server::request::MAX_SEALED;

/// A page of ours. It is spelt anew from its parts, so no address that somebody made up survives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Connections,
    Setup,
    /// How to set a client up for this server, as a member of this workspace.
    SetupOf {
        workspace: Slug,
        server: Slug,
    },
    /// The link with this ticket.
    Connect(String),
    /// The consent page for this sealed request of a client.
    Authorize(String),
}

const CONSENT: &str = "/oauth/consent?request=";
const SETUP: &str = "/setup";

impl Next {
    /// Anything that is not the path of such a page is [`Next::Connections`].
    pub(super) fn read(text: &str) -> Self {
        if let Some(ticket) = text.strip_prefix("/connect/").filter(|ticket| is_ticket(ticket)) {
            return Self::Connect(ticket.to_owned());
        }
        if let Some(request) = text.strip_prefix(CONSENT).filter(|request| is_sealed(request)) {
            return Self::Authorize(request.to_owned());
        }
        if let Some(rest) = text.strip_prefix(SETUP) {
            return Self::read_setup(rest).unwrap_or(Self::Connections);
        }
        Self::Connections
    }

    fn read_setup(rest: &str) -> Option<Self> {
        if rest.is_empty() {
            return Some(Self::Setup);
        }
        let (workspace, server) = rest.strip_prefix('/')?.split_once('/')?;
        Some(Self::SetupOf { workspace: Slug::parse(workspace).ok()?, server: Slug::parse(server).ok()? })
    }

    pub(super) fn path(&self) -> String {
        match self {
            Self::Connections => "/connections".to_owned(),
            Self::Setup => SETUP.to_owned(),
            Self::SetupOf { workspace, server } => format!("{SETUP}/{workspace}/{server}"),
            Self::Connect(ticket) => format!("/connect/{ticket}"),
            Self::Authorize(request) => format!("{CONSENT}{request}"),
        }
    }

    /// The sign-in page that leads here.
    pub(super) fn sign_in(&self) -> String {
        match self {
            Self::Connections => "/sign-in".to_owned(),
            Self::Setup | Self::SetupOf { .. } => format!("/sign-in?next={}", self.path()),
            Self::Connect(ticket) => format!("/sign-in?next=/connect/{ticket}"),
            Self::Authorize(request) => format!("/sign-in?next=/oauth/consent%3Frequest%3D{request}"),
        }
    }
}

/// Whether it is spelt as sealed requests are. Whether it is one is found out when it is opened.
fn is_sealed(text: &str) -> bool {
    (1..=MAX_SEALED).contains(&text.len()) && text.bytes().all(is_base64url)
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether it is spelt as tickets and cookies are: 256 bits in Base64 without padding.
pub(super) fn is_ticket(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(is_base64url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_pages_and_no_others() {
        let link = format!("/connect/{}", "a-_9".repeat(11).split_at(43).0);
        let consent = format!("/oauth/consent?request={}", "a-_9".repeat(400));
        for page in [&link, &consent, "/setup", "/setup/core/linear"] {
            assert_eq!(Next::read(page).path(), *page);
        }
        assert_eq!(Next::read("/setup/core/linear").sign_in(), "/sign-in?next=/setup/core/linear");
        assert_eq!(
            Next::read(&consent).sign_in(),
            format!("/sign-in?next={}", consent.replace('?', "%3F").replace("t=", "t%3D"))
        );
        for other in [
            "",
            "/",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "/connect/",
            "/connect//evil.example",
            "/connect/../admin",
            "javascript:alert(1)",
            "/sign-out",
            "/setup/",
            "/setup//evil.example",
            "/setup/core",
            "/setup/core/linear/x",
            "/setup/core/linear?x",
            "/setup/../admin",
            "/setupx",
            "/oauth/consent?request=",
            "/oauth/consent?request=//evil.example",
            "/oauth/consent?request=a&next=//evil.example",
            &format!("{consent}%2f"),
            &format!("/oauth/consent?request={}", "a".repeat(MAX_SEALED + 1)),
            &format!("{link}x"),
            &format!("{link}\r\nset-cookie: a=b"),
            &format!("https://evil.example{link}"),
            &format!("/{link}"),
        ] {
            assert_eq!(Next::read(other), Next::Connections, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_out_is_a_path_of_ours(text in any::<String>()) {
            let path = Next::read(&text).path();
            prop_assert!(path == "/connections" || path == text && path.starts_with("/connect/") || path == text && path.starts_with(CONSENT) || path == text && path.starts_with(SETUP));
            prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
