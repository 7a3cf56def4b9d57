//! The two places where people sign in. A session of one is worth nothing in the other: cookies are named apart,
//! because ports of one host share them, and what is kept of them differs.

use portcullis_wire::digest::Digest;

use crate::state::Settings;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Realm {
    /// The pages for everybody, at `public_url`.
    Public,
    /// The admin side, at `admin_url`.
    Admin,
}

impl Realm {
    /// Its origin, as browsers know it.
    pub(in crate::http) fn url(self, settings: &Settings) -> &str {
        match self {
            Self::Public => &settings.public_url,
            Self::Admin => &settings.admin_url,
        }
    }

    /// Where somebody is without wanting to be anywhere in particular.
    pub(super) fn home(self) -> &'static str {
        match self {
            Self::Public => "/connections",
            Self::Admin => "/",
        }
    }

    /// What is kept of a session's cookie.
    pub(super) fn session_digest(self, cookie: &str) -> Digest {
        let label = match self {
            Self::Public => "portcullis-browser-session-v1",
            Self::Admin => "portcullis-admin-session-v1",
        };
        Digest::of(label, &[cookie.as_bytes()])
    }

    /// The word for it in names of cookies and in what is sealed.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Public => "portcullis-",
            Self::Admin => "portcullis-admin-",
        }
    }
}
