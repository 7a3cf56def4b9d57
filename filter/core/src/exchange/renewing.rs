//! An upstream that refuses the credential of a connection: the credential is renewed and the request sent once more.
//!
//! ```text
//!  refused ─► a lease that renews ─► sent again ─► its answer
//!                    │                   └ refused ─► a lease that renews ─┐
//!                    └ an account has to be connected ◄────────────────────┘
//!                                └─► the token-service's answer
//! ```
//!
//! A refusal comes before anything of the body is used (RFC 9110, section 15.5.2), so sending it again carries nothing
//! out twice. It is sent again once, and two leases are asked for, at most: no upstream can make a loop of it. The
//! response that refused is held back meanwhile, and none of it reaches the client.

use std::rc::Rc;

use portcullis_wire::lease::{ConnectRequired, Lease, Rejected};

use super::Surroundings;
use super::answering::{Forwarded, Whole};
use super::forward::{self, Target, UPSTREAM_HEADER};
use super::head::Head;
use super::record::Record;
use super::refusals::{RETRY_SOON_MS, denied, not_renewed, service_failed, try_again};
use super::standing::{Doubt, Settled};
use crate::leases::{Access, Ruled, UpstreamSession};
use crate::mcp::{Method, Request};
use crate::memory::{Budget, Share};
use crate::reply::LocalReply;
use crate::response::headers::{CredentialRefusal, Refusal};
use crate::step::{CallOutcome, Destination};
use crate::worker::{LeaseState, Standing, StreamCall, Worker};

/// Longest body that is kept for sending it again, in bytes.
const MAX_KEPT_BODY: usize = 1024 * 1024;

/// How long an upstream may take over a request that is sent again. Its answer comes as a whole.
const REPLAY_TIMEOUT_MS: u64 = 300_000;

/// How long the token-service may take over an answer in the upstream's place; it may wait for the member.
const SERVICE_TIMEOUT_MS: u64 = 35_000;

/// What it takes to send a request again.
#[derive(Debug)]
pub(super) struct Renewable {
    pub(super) head: Head,
    pub(super) session: Option<Rc<UpstreamSession>>,
    /// `None` for what cannot be sent again.
    pub(super) body: Option<KeptBody>,
}

/// A request's body, counted in what the worker holds.
#[derive(Debug)]
pub(super) struct KeptBody {
    bytes: Vec<u8>,
    _share: Share,
}

impl KeptBody {
    /// `None` for GET and DELETE, for subscriptions, whose answer never ends, and for what there is no room for.
    pub(super) fn of(request: Option<&Request>, bytes: Vec<u8>, budget: &Budget) -> Option<Self> {
        let repeatable = request.is_some_and(|request| request.method != Some(Method::SubscriptionsListen));
        if !repeatable || bytes.len() > MAX_KEPT_BODY {
            return None;
        }
        let mut share = budget.share();
        share.hold(bytes.len()).then_some(Self { bytes, _share: share })
    }
}

/// A request whose credential was refused.
#[derive(Debug)]
pub(super) struct Renewing {
    forwarded: Forwarded,
    renewable: Renewable,
    stage: Stage,
    was_sent_again: bool,
    /// An answer that waits until it is known whether the caller may still have it.
    withheld: Option<CallOutcome>,
}

/// What the stream waits for.
#[derive(Debug)]
enum Stage {
    /// A lease in place of this one.
    Lease(Rejected),
    /// The upstream's answer. With the lease that the request was sent again with.
    Upstream(Rc<Ruled<Lease>>),
    /// The token-service's, in the upstream's place.
    Service,
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Outcome {
    Waiting,
    /// The gateway's own answer.
    Refused(LocalReply),
    /// The answer of the upstream, or of the token-service in its place.
    Answered(LocalReply),
    /// There was one, but the caller may not have it any more.
    Ended(LocalReply),
}

impl Renewing {
    /// `None` if the credential is none that can be renewed.
    pub(super) fn begin(mut forwarded: Forwarded, refusal: CredentialRefusal) -> Option<Self> {
        let renewable = forwarded.renewable.take()?;
        let Access::Granted(lease) = forwarded.access() else { return None };
        let stage = Stage::Lease(rejected(lease, refusal)?);
        Some(Self { forwarded, renewable, stage, was_sent_again: false, withheld: None })
    }

    /// Sends a request whose headers went before it was decided, and whose body came too late to follow them. `None` if it
    /// cannot be sent by a call.
    pub(super) fn of_late(mut forwarded: Forwarded, stream: u32, worker: &mut Worker) -> Option<Self> {
        let renewable = forwarded.renewable.take().filter(|renewable| renewable.body.is_some())?;
        let Access::Granted(lease) = forwarded.access() else { return None };
        let lease = Rc::clone(lease);
        forwarded.is_late = true;
        let stage = Stage::Upstream(Rc::clone(&lease));
        let mut renewing = Self { forwarded, renewable, stage, was_sent_again: false, withheld: None };
        renewing.send(lease, stream, worker);
        Some(renewing)
    }

    /// Goes as far as it can go now.
    pub(super) fn advance(
        &mut self,
        stream: u32,
        worker: &mut Worker,
        record: &mut Record,
        around: &Surroundings<'_>,
    ) -> Outcome {
        if let Stage::Lease(_) = self.stage {
            return self.on_lease(stream, worker, record, around.now_ms);
        }
        let Some(outcome) = self.withheld.take().or_else(|| worker.take_reply(stream)) else {
            return Outcome::Waiting;
        };
        if self.forwarded.standing(worker) != Standing::Sound {
            match self.forwarded.settle(stream, worker, around) {
                Settled::Sound => {}
                Settled::Over(reply) => {
                    record.cut(&reply);
                    return Outcome::Ended(reply);
                }
                Settled::Waiting => {
                    self.withheld = Some(outcome);
                    self.forwarded.doubt.get_or_insert_with(|| Doubt::new(worker, around.now_ms));
                    return Outcome::Waiting;
                }
            }
        }
        self.forwarded.doubt = None;
        match &self.stage {
            Stage::Upstream(lease) => {
                let lease = Rc::clone(lease);
                self.on_upstream(&lease, outcome, stream, worker, record, around.now_ms)
            }
            Stage::Lease(_) | Stage::Service => self.on_reply(outcome, worker, record),
        }
    }

    fn on_lease(&mut self, stream: u32, worker: &mut Worker, record: &mut Record, now_ms: u64) -> Outcome {
        let id = self.forwarded.request_id();
        let (Stage::Lease(rejected), Some(proven)) = (&self.stage, self.forwarded.asker.proven()) else {
            return Outcome::Refused(try_again(id));
        };
        let key = self.forwarded.asker.key(Some(self.forwarded.server()));
        let request = || proven.lease(Some(rejected));
        match worker.renewed_lease(stream, &key, request, rejected, now_ms) {
            LeaseState::Waiting => Outcome::Waiting,
            LeaseState::Denied(denial) => {
                record.lease_denied(&denial, proven.who());
                let metadata = self.forwarded.asker.metadata_url(worker.config());
                Outcome::Refused(denied(denial.reason, &metadata))
            }
            LeaseState::Busy => Outcome::Refused(not_renewed(id, RETRY_SOON_MS)),
            LeaseState::Unavailable { retry_after_ms } => Outcome::Refused(not_renewed(id, retry_after_ms)),
            LeaseState::Known(access) if access.has_credential(rejected) => {
                Outcome::Refused(self.forwarded.refuse(Refusal::RefusedCredential))
            }
            LeaseState::Known(Access::Granted(lease)) => self.send_again(lease, stream, worker, record),
            LeaseState::Known(Access::ConnectRequired(connect)) => {
                self.send_to_service(connect, stream, worker, record)
            }
        }
    }

    fn send_again(
        &mut self,
        lease: Rc<Ruled<Lease>>,
        stream: u32,
        worker: &mut Worker,
        record: &mut Record,
    ) -> Outcome {
        if self.was_sent_again || self.renewable.body.is_none() {
            return Outcome::Refused(try_again(self.forwarded.request_id()));
        }
        record.renewed();
        self.was_sent_again = true;
        self.forwarded.adopt(Access::Granted(Rc::clone(&lease)), worker.invalidations());
        self.send(lease, stream, worker);
        Outcome::Waiting
    }

    /// By a call, which no filter is in the way of.
    fn send(&mut self, lease: Rc<Ruled<Lease>>, stream: u32, worker: &mut Worker) {
        let Renewable { head, session, body } = &self.renewable;
        let bytes = body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default();
        let upstream = &self.forwarded.server().upstream;
        let target = Target::upstream(upstream, &lease.credential_headers, session.as_deref());
        let mut headers = forward::headers(head, &target, Some(bytes.len()));
        if worker.config().replays_directly() {
            // No route takes it off on the way.
            headers.retain(|(name, _)| name != UPSTREAM_HEADER.as_bytes());
        }
        let call = StreamCall {
            destination: Destination::Upstream,
            headers,
            body: bytes,
            timeout_ms: REPLAY_TIMEOUT_MS,
        };
        worker.send(stream, call);
        self.stage = Stage::Upstream(lease);
    }

    fn send_to_service(
        &mut self,
        connect: Rc<Ruled<ConnectRequired>>,
        stream: u32,
        worker: &mut Worker,
        record: &mut Record,
    ) -> Outcome {
        let Some(body) = &self.renewable.body else {
            return Outcome::Refused(try_again(self.forwarded.request_id()));
        };
        let target = Target::service(&worker.config().token_service.authority, &connect.handle);
        let mut headers = forward::headers(&self.renewable.head, &target, Some(body.bytes.len()));
        headers.retain(|(name, _)| name != UPSTREAM_HEADER.as_bytes());
        let call = StreamCall {
            destination: Destination::TokenService,
            headers,
            body: body.bytes.clone(),
            timeout_ms: SERVICE_TIMEOUT_MS,
        };
        worker.send(stream, call);
        record.connect_required();
        self.forwarded.adopt(Access::ConnectRequired(connect), worker.invalidations());
        self.stage = Stage::Service;
        Outcome::Waiting
    }

    /// The second answer of the upstream.
    fn on_upstream(
        &mut self,
        lease: &Lease,
        outcome: CallOutcome,
        stream: u32,
        worker: &mut Worker,
        record: &mut Record,
        now_ms: u64,
    ) -> Outcome {
        if let CallOutcome::Replied { headers, .. } = &outcome
            && let Some(rejected) =
                CredentialRefusal::of(headers).and_then(|refusal| rejected(lease, refusal))
        {
            self.stage = Stage::Lease(rejected);
            return self.on_lease(stream, worker, record, now_ms);
        }
        self.on_reply(outcome, worker, record)
    }

    fn on_reply(&mut self, outcome: CallOutcome, worker: &Worker, record: &mut Record) -> Outcome {
        let whole = match outcome {
            CallOutcome::Replied { headers, body } => self.forwarded.on_whole(worker, &headers, &body),
            CallOutcome::TooLarge => Whole::Refused(self.forwarded.refuse(Refusal::TooLarge)),
            CallOutcome::Failed if matches!(self.stage, Stage::Service) => {
                Whole::Refused(service_failed(self.forwarded.request_id()))
            }
            CallOutcome::Failed => Whole::Refused(self.forwarded.failed(Refusal::STATUS)),
        };
        match whole {
            Whole::Refused(reply) => Outcome::Refused(reply),
            Whole::Answered(reply) => {
                self.forwarded.complete(record);
                Outcome::Answered(reply)
            }
        }
    }
}

/// `None` for a lease without a connection, whose credential only an administrator can renew.
fn rejected(lease: &Lease, refusal: CredentialRefusal) -> Option<Rejected> {
    Some(Rejected {
        connection_id: lease.connection_id.clone()?,
        generation: lease.credential_generation,
        status: refusal.status,
        challenge: refusal.challenge,
    })
}
