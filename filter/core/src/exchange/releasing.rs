//! A request that policy allows, on its way: to its upstream, or to the token-service in the upstream's place.
//!
//! What the token-service said to a client before the account was connected is taken back here: its session and its
//! `requestState` mean nothing to the upstream.

use std::rc::Rc;
use std::task::Poll;

use portcullis_wire::lease::Lease;
use portcullis_wire::session;
use portcullis_wire::unconnected::{OpenedState, SESSION_PREFIX};

use super::Surroundings;
use super::answering::Expected;
use super::asker::Asker;
use super::forward::{self, Target};
use super::judging::{Judging, Progress};
use super::refusals::{RETRY_SOON_MS, no_answer, stale_state, unknown_session};
use super::renewing::{KeptBody, Renewable};
use crate::leases::{Access, Ruled, UpstreamSession};
use crate::mcp::{Era, Id, Request};
use crate::registry::Server;
use crate::reply::LocalReply;
use crate::step::Headers;
use crate::worker::{Asked, Worker};

/// A request on its way.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) headers: Headers,
    /// In place of the client's.
    pub(super) body: Option<Vec<u8>>,
    pub(super) expected: Expected,
    /// What is needed, besides the head, to send it again with a renewed credential.
    pub(super) kept: Option<Kept>,
}

#[derive(Debug)]
pub(super) struct Kept {
    body: Option<KeptBody>,
    session: Option<Rc<UpstreamSession>>,
}

/// Who asks for a session.
pub(super) struct SessionAsked<'a> {
    /// Modern requests stand for themselves; a GET or DELETE, which has no message, is of a legacy session.
    pub(super) is_of_session: bool,
    pub(super) id: Option<&'a Id>,
}

/// A request that policy allows.
pub(super) struct Judged<'a> {
    pub(super) server: &'a Rc<Server>,
    pub(super) request: Option<Request>,
    pub(super) bytes: Vec<u8>,
}

impl Judging {
    /// Lets the request go to its upstream, once what the token-service said to the client before is taken back.
    pub(super) fn release_upstream(
        &mut self,
        stream: u32,
        worker: &mut Worker,
        judged: Judged<'_>,
        lease: Rc<Ruled<Lease>>,
        around: &Surroundings<'_>,
    ) -> Result<Progress, LocalReply> {
        let Judged { server, request, bytes } = judged;
        let asked = SessionAsked::by(request.as_ref());
        let Poll::Ready(session) = self.session(stream, worker, server, &asked, &lease, around)? else {
            return Ok(Progress::Waiting);
        };
        let Poll::Ready(replaced) = self.restored(stream, worker, request.as_ref(), &bytes, around)? else {
            return Ok(Progress::Waiting);
        };
        let destination = Target::upstream(&server.upstream, &lease.credential_headers, session.as_deref());
        let headers = forward::headers(&self.head, &destination, replaced.as_ref().map(Vec::len));
        // Only a connection's credential can be renewed; but whatever it is, a body that cannot follow its headers is sent
        // by a call.
        let goes_late = self.parted.is_some() && !self.follows(&headers, replaced.is_some());
        let kept = (goes_late || lease.connection_id.is_some()).then(|| {
            let sent = replaced.clone().unwrap_or(bytes);
            Kept { body: KeptBody::of(request.as_ref(), sent, worker.held()), session: session.clone() }
        });
        let keeps_session = session.as_ref().is_some_and(|session| session.protocol_version.is_some());
        let (server, access) = (Rc::clone(server), Access::Granted(lease));
        let expected = Expected { server, access, request, keeps_session };
        Ok(Progress::Released(Box::new(Release { headers, body: replaced, expected, kept })))
    }

    /// Lets the request go to the token-service, which answers it in the upstream's place.
    pub(super) fn release_to_service(&self, worker: &Worker, judged: Judged<'_>, access: Access) -> Release {
        let headers = match &access {
            Access::ConnectRequired(connect) => {
                let authority = &worker.config().token_service.authority;
                forward::headers(&self.head, &Target::service(authority, &connect.handle), None)
            }
            Access::Granted(_) => Headers::new(),
        };
        let Judged { server, request, .. } = judged;
        let expected = Expected { server: Rc::clone(server), access, request, keeps_session: false };
        Release { headers, body: None, expected, kept: None }
    }

    /// The upstream's session behind the client's: one that the token-service opened, or one that the upstream gave this
    /// very caller.
    pub(super) fn session(
        &self,
        stream: u32,
        worker: &mut Worker,
        server: &Server,
        asked: &SessionAsked<'_>,
        lease: &Lease,
        around: &Surroundings<'_>,
    ) -> Result<Poll<Option<Rc<UpstreamSession>>>, LocalReply> {
        let session = self.mcp.as_ref().and_then(|mcp| mcp.session_id.as_deref());
        let (Some(session), Some(proven)) = (session, self.asker.proven()) else {
            return Ok(Poll::Ready(None));
        };
        if !session.starts_with(SESSION_PREFIX) {
            let Some(key) = lease.session_key.as_ref().filter(|_| asked.is_of_session) else {
                return Ok(Poll::Ready(None));
            };
            return match session::unbind(key, session) {
                Some(id) => Ok(Poll::Ready(Some(Rc::new(UpstreamSession::of_client(id.to_owned()))))),
                None => Err(unknown_session(asked.id)),
            };
        }
        let key = self.asker.key(Some(server));
        match worker.session(stream, &key, session, || proven.session(session), around.now_ms) {
            Asked::Answered(None) => Err(unknown_session(asked.id)),
            Asked::Answered(session) => Ok(Poll::Ready(session)),
            Asked::Waiting => Ok(Poll::Pending),
            Asked::Unavailable { retry_after_ms } => Err(no_answer(retry_after_ms)),
        }
    }

    /// The body for the upstream, if the client's carries a `requestState` that the token-service made.
    fn restored(
        &mut self,
        stream: u32,
        worker: &mut Worker,
        request: Option<&Request>,
        bytes: &[u8],
        around: &Surroundings<'_>,
    ) -> Result<Poll<Option<Vec<u8>>>, LocalReply> {
        let Some((request, retry)) = request.and_then(|request| Some((request, request.retry.as_ref()?)))
        else {
            return Ok(Poll::Ready(None));
        };
        if self.opened.is_none() {
            let Some(proven) = self.asker.proven() else { return Ok(Poll::Pending) };
            let question = || proven.state(&retry.state, request, bytes);
            match worker.open_state(stream, question, around.now_ms) {
                Asked::Answered(opened) => self.opened = Some(opened),
                Asked::Waiting => return Ok(Poll::Pending),
                Asked::Unavailable { retry_after_ms } => return Err(no_answer(retry_after_ms)),
            }
        }
        let Some(OpenedState::Opened { request_state, input_responses }) = &self.opened else {
            return Err(stale_state(request.id.as_ref()));
        };
        match retry.restore(bytes, request_state.as_deref(), input_responses.as_deref()) {
            Some(restored) => Ok(Poll::Ready(Some(restored))),
            None => Err(no_answer(RETRY_SOON_MS)),
        }
    }

    /// What is left of a request that was let go: who asked, and what it takes to send it again.
    pub(super) fn into_parts(self, kept: Option<Kept>) -> (Asker, Option<Renewable>) {
        let Self { head, asker, .. } = self;
        let renewable = kept.map(|Kept { session, body }| Renewable { head, session, body });
        (asker, renewable)
    }
}

impl<'a> SessionAsked<'a> {
    fn by(request: Option<&'a Request>) -> Self {
        let is_of_session = request.is_none_or(|request| request.era != Era::Modern);
        Self { is_of_session, id: request.and_then(|request| request.id.as_ref()) }
    }
}
