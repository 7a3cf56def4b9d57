//! From a request's head to its release: the order of decisions.
//!
//! Path, `Origin` and `Host`, caller, lease and server, address, body, protocol, policy, scope, limits. The first step that fails
//! answers, and nothing reaches the upstream before the last one. [`super::releasing`] says what goes where then.
//!
//! The caller comes before the server: who has no good credential is told the same of every name.

use std::rc::Rc;

use portcullis_wire::lease::DenyReason;
use portcullis_wire::unconnected::OpenedState;

use super::asker::Asker;
use super::head::{Head, Verb};
use super::limits::{judge_source, lacks_scope};
use super::message::{Rules, judge_message, read_headers};
use super::record::Record;
use super::refusals::{
    RETRY_SOON_MS, denied, insufficient_scope, no_answer, unauthenticated, unexpected_body, wrong_source,
};
use super::releasing::{Judged, Release};
use super::{ReadBody, Surroundings};
use crate::config::BodyGate;
use crate::identity::{Fault, bearer};
use crate::leases::Access;
use crate::mcp::{McpHeaders, Request};
use crate::memory::Share;
use crate::origin::SourceFault;
use crate::path;
use crate::registry::Server;
use crate::reply::LocalReply;
use crate::step::Headers;
use crate::worker::{LeaseState, Readiness, Worker};

/// A request that is not decided yet.
#[derive(Debug)]
pub(super) struct Judging {
    pub(super) head: Head,
    pub(super) asker: Asker,
    /// Gathered once somebody with access asks.
    pub(super) mcp: Option<McpHeaders>,
    body: Body,
    /// The limits have counted it.
    pub(super) is_admitted: bool,
    /// What stands behind the `requestState` of ours that the request carries; asked for once.
    pub(super) opened: Option<OpenedState>,
    /// The headers that have gone before the body.
    pub(super) parted: Option<Headers>,
    /// The body is there and was not decided on at once.
    pub(super) is_late: bool,
    /// Of what may be held, for the body behind such headers.
    pub(super) share: Option<Share>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Incomplete,
    Complete,
    /// The headers ended the stream.
    Absent,
}

/// How far the decision has come.
#[derive(Debug)]
pub(super) enum Progress {
    Waiting,
    /// The headers may go, and the body not yet.
    Parted(Headers),
    Released(Box<Release>),
}

impl Judging {
    /// Everything that the head alone decides. `source` is the verdict on `Origin` and `Host`.
    pub(super) fn begin(
        headers: Headers,
        end_of_stream: bool,
        source: Result<(), SourceFault>,
        worker: &Worker,
        record: &mut Record,
    ) -> Result<Self, LocalReply> {
        let config = worker.config();
        let head = Head::read(headers)?;
        let route = path::parse(&head.path).ok_or_else(LocalReply::unknown_server)?;
        let route = Rc::new(route);
        record.route(&route);
        record.trace(head.traceparent());
        source.map_err(wrong_source)?;
        let challenge = |fault| unauthenticated(fault, &path::metadata_url(&config.public_url, &route));
        let credential = bearer::find(&head.headers).map_err(challenge)?;
        let body = if end_of_stream { Body::Absent } else { Body::Incomplete };
        Ok(Self {
            head,
            asker: Asker::new(route, credential),
            mcp: None,
            body,
            is_admitted: false,
            opened: None,
            parted: None,
            is_late: false,
            share: None,
        })
    }

    /// Notes what has come of the body. `size` is the sum so far, in bytes.
    pub(super) fn on_body(
        &mut self,
        size: usize,
        end_of_stream: bool,
        worker: &Worker,
    ) -> Result<(), LocalReply> {
        let limit = worker.config().max_request_bytes;
        if size > limit {
            return Err(LocalReply::too_large(limit));
        }
        if self.head.verb != Verb::Post && size > 0 {
            return Err(unexpected_body());
        }
        if end_of_stream {
            self.body = Body::Complete;
            return Ok(());
        }
        self.hold_body(size, worker)
    }

    /// Decides as far as it can be decided now.
    pub(super) fn decide(
        &mut self,
        stream: u32,
        gate: BodyGate,
        worker: &mut Worker,
        record: &mut Record,
        body: ReadBody<'_>,
        around: &Surroundings<'_>,
    ) -> Result<Progress, LocalReply> {
        let registry = match worker.readiness(stream, around.now_ms) {
            Readiness::Ready(registry) => registry,
            Readiness::Waiting => return Ok(Progress::Waiting),
            Readiness::Unready => return Err(no_answer(RETRY_SOON_MS)),
        };
        self.asker.prove(worker, &registry, around)?;
        let listed = registry.server(&self.asker.route.server);
        let Some(access) = self.access(stream, worker, listed.map(Rc::as_ref), record, around)? else {
            return Ok(Progress::Waiting);
        };
        let server = listed.ok_or_else(LocalReply::unknown_server)?;
        record.caller(&access);
        if worker.is_unverified(around.now_ms) {
            record.stale();
        }
        judge_source(access.limits(), around)?;
        let mcp = if let Some(mcp) = &self.mcp {
            mcp
        } else {
            let mcp = read_headers(&self.head, record, worker.config().max_request_bytes)?;
            self.mcp.insert(mcp)
        };
        if self.body == Body::Incomplete {
            return Ok(match gate {
                BodyGate::Hold => Progress::Waiting,
                BodyGate::Stream => self.part(stream, worker, server, &access, record, around),
            });
        }
        let (request, bytes) = match self.head.verb {
            Verb::Post => {
                let bytes = self.body.read(body)?;
                let rules =
                    Rules { policy: access.policy(), is_unverified: worker.is_unverified(around.now_ms) };
                let request = judge_message(&bytes, mcp, server, &rules, record)?;
                if let Some(trace) = request.trace.as_deref().filter(|_| self.head.traceparent().is_none()) {
                    record.trace(Some(trace));
                    worker.note_trace(stream, trace);
                }
                self.judge_scope(&request, &access, worker)?;
                self.admit(stream, worker, &request, &access, record, around)?;
                (Some(request), bytes)
            }
            Verb::Get | Verb::Delete => (None, Vec::new()),
        };
        let judged = Judged { server, request, bytes };
        match access {
            Access::Granted(lease) => self.release_upstream(stream, worker, judged, lease, around),
            Access::ConnectRequired(_) => {
                Ok(Progress::Released(Box::new(self.release_to_service(worker, judged, access))))
            }
        }
    }

    /// The lease for this request, if it is there. Asked for again after every wait, so that a revocation which
    /// arrives while the body is under way still counts. `server` is what the registry has under the name in the path.
    fn access(
        &self,
        stream: u32,
        worker: &mut Worker,
        server: Option<&Server>,
        record: &mut Record,
        around: &Surroundings<'_>,
    ) -> Result<Option<Access>, LocalReply> {
        let Some(proven) = self.asker.proven() else { return Ok(None) };
        let metadata = |worker: &Worker| self.asker.metadata_url(worker.config());
        match worker.lease(stream, &self.asker.key(server), || proven.lease(None), around.now_ms) {
            LeaseState::Known(access) => {
                record.measured.lease_cached();
                Ok(Some(access))
            }
            LeaseState::Waiting => {
                record.measured.lease_asked_for();
                Ok(None)
            }
            LeaseState::Denied(denial) => {
                record.measured.lease_cached();
                if denial.reason == DenyReason::UnknownCredential {
                    self.asker.note_guess(worker, around);
                }
                record.lease_denied(&denial, proven.who());
                Err(denied(denial.reason, &metadata(worker)))
            }
            LeaseState::Busy => {
                record.measured.lease_missing();
                Err(unauthenticated(Fault::Busy, &metadata(worker)))
            }
            LeaseState::Unavailable { retry_after_ms } => {
                record.measured.lease_missing();
                Err(no_answer(retry_after_ms))
            }
        }
    }

    /// Policy allows the request; do the scopes of the token?
    fn judge_scope(&self, request: &Request, access: &Access, worker: &Worker) -> Result<(), LocalReply> {
        if lacks_scope(access.limits(), request) {
            return Err(insufficient_scope(request.id.as_ref(), &self.asker.metadata_url(worker.config())));
        }
        Ok(())
    }
}

impl Body {
    fn read(self, body: ReadBody<'_>) -> Result<Vec<u8>, LocalReply> {
        if self == Self::Absent {
            return Ok(Vec::new());
        }
        let message = "The gateway could not read the request body. Try again.";
        body().ok_or_else(|| LocalReply::unavailable("body_unreadable", message, RETRY_SOON_MS))
    }
}
