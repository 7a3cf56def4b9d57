//! Where to go after signing in: one of our own pages, or the list of connections.

/// A page of ours. It is spelt anew from its parts, so no address that somebody made up survives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Connections,
    /// The link with this ticket.
    Connect(String),
}

impl Next {
    /// Anything that is not the path of such a page is [`Next::Connections`].
    pub(super) fn read(text: &str) -> Self {
        match text.strip_prefix("/connect/") {
            Some(ticket) if is_ticket(ticket) => Self::Connect(ticket.to_owned()),
            _ => Self::Connections,
        }
    }

    pub(super) fn path(&self) -> String {
        match self {
            Self::Connections => "/connections".to_owned(),
            Self::Connect(ticket) => format!("/connect/{ticket}"),
        }
    }

    /// The sign-in page that leads here.
    pub(super) fn sign_in(&self) -> String {
        match self {
            Self::Connections => "/sign-in".to_owned(),
            Self::Connect(ticket) => format!("/sign-in?next=/connect/{ticket}"),
        }
    }
}

/// Whether it is spelt as tickets and cookies are: 256 bits in Base64 without padding.
pub(super) fn is_ticket(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_pages_and_no_others() {
        let link = format!("/connect/{}", "a-_9".repeat(11).split_at(43).0);
        assert_eq!(Next::read(&link).path(), link);
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
            prop_assert!(path == "/connections" || path == text && path.starts_with("/connect/"));
            prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
