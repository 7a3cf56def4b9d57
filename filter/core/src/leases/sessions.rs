//! Which session of the upstream stands behind a session that the token-service opened.

use std::rc::Rc;

use portcullis_wire::digest::Digest;

use crate::cache::Bounded;

/// Sessions of one caller on one server that are remembered; a caller with more asks again.
const MAX_SESSIONS: usize = 16;

/// What a request in a session says to the upstream in place of the client's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSession {
    /// None where the upstream has no sessions.
    pub id: Option<String>,
    /// What the upstream agreed to; `None` where the client agreed to it itself.
    pub protocol_version: Option<String>,
}

/// The sessions found under one lease. They end with it, whatever ends it.
#[derive(Debug)]
pub(super) struct Sessions(Bounded<Digest, (Rc<UpstreamSession>, u64)>);

impl Default for Sessions {
    fn default() -> Self {
        Self(Bounded::new(MAX_SESSIONS))
    }
}

impl Sessions {
    pub(super) fn get(&mut self, session: &Digest, now_ms: u64) -> Option<Rc<UpstreamSession>> {
        let (found, expires_ms) = self.0.get(session)?;
        (now_ms < *expires_ms).then(|| Rc::clone(found))
    }

    pub(super) fn insert(&mut self, session: Digest, upstream: UpstreamSession, expires_ms: u64) {
        self.0.insert(session, (Rc::new(upstream), expires_ms));
    }
}

impl UpstreamSession {
    /// `None` for what cannot be sent in a header.
    pub fn new(id: Option<String>, protocol_version: String) -> Option<Self> {
        let is_visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = is_visible(&protocol_version) && id.as_deref().is_none_or(is_visible);
        fits.then_some(Self { id, protocol_version: Some(protocol_version) })
    }

    /// One that the client has opened itself.
    pub fn of_client(id: String) -> Self {
        Self { id: Some(id), protocol_version: None }
    }
}
