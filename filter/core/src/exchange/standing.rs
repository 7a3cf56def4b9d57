//! A response that is under way when its caller's access changes.
//!
//! ```text
//!  an event of the response ─► nothing has changed ─────────────► goes on
//!            │ something that the lease rests on was invalidated
//!            ▼
//!    held back, a lease is asked for ─► granted ─► goes on
//!                                   └─► anything else ─► ends
//! ```
//!
//! The first question costs two comparisons, and streams are registered nowhere. What is held back counts in what the
//! worker holds. While the token-service is silent the rest waits, but not for longer than the caller's workspace lets a
//! lease be used without it.

use super::Surroundings;
use super::answering::Forwarded;
use super::limits::{judge_source, lacks_scope};
use super::refusals::{RETRY_SOON_MS, revoked, standing_unknown};
use crate::leases::Access;
use crate::memory::Share;
use crate::reply::LocalReply;
use crate::response::pipeline::Last;
use crate::step::Headers;
use crate::worker::{LeaseState, Standing, Worker};

/// How long a response waits for a token-service that answers, but not this question.
const PATIENCE_MS: u64 = 10_000;

/// How soon it is asked again.
const ASK_AGAIN_MS: u64 = 1_000;

/// What waits until it is known whether it may go on.
#[derive(Debug)]
pub(super) struct Doubt {
    begun_ms: u64,
    /// The head as it came, and whether it was all. `None` if the head was judged before.
    pub(super) head: Option<(Headers, bool)>,
    /// `None` as long as none came.
    pub(super) body: Option<Vec<u8>>,
    pub(super) ended: bool,
    limit: usize,
    share: Share,
}

/// What has come of a doubt.
#[derive(Debug)]
pub(super) enum Settled {
    Waiting,
    Sound,
    /// The response ends, with this as its answer.
    Over(LocalReply),
}

/// How a response ends that may not go on.
#[derive(Debug)]
pub(super) enum Ending {
    /// Nothing of it has gone.
    Reply(LocalReply),
    Last(Last),
    Cut,
}

impl Doubt {
    pub(super) fn new(worker: &Worker, now_ms: u64) -> Self {
        let (limit, share) = (worker.config().max_list_bytes, worker.held().share());
        Self { begun_ms: now_ms, head: None, body: None, ended: false, limit, share }
    }

    /// `false` if there is no room for so much.
    pub(super) fn withhold(&mut self, chunk: &[u8], end_of_stream: bool) -> bool {
        let body = self.body.get_or_insert_default();
        let length = body.len().saturating_add(chunk.len());
        if length > self.limit || !self.share.hold(length) {
            return false;
        }
        body.extend_from_slice(chunk);
        self.ended |= end_of_stream;
        true
    }
}

impl Forwarded {
    /// Whether the response may go on, as far as that is known without asking.
    pub(super) fn standing(&mut self, worker: &Worker) -> Standing {
        let standing = worker.standing(&self.access, self.seen);
        if standing == Standing::Sound {
            self.seen = worker.invalidations();
        }
        standing
    }

    /// Asks whether the response may go on.
    pub(super) fn settle(&mut self, stream: u32, worker: &mut Worker, around: &Surroundings<'_>) -> Settled {
        let now_ms = around.now_ms;
        let waits_since_ms = self.doubt.as_ref().map_or(now_ms, |doubt| doubt.begun_ms);
        let Some(proven) = self.asker.proven().filter(|_| worker.may_serve(self.access.terms(), now_ms))
        else {
            return Settled::Over(self.cannot_wait());
        };
        let key = self.asker.key(Some(self.server()));
        match worker.lease(stream, &key, || proven.lease(None), now_ms) {
            LeaseState::Known(access) => self.judge(access, worker, around),
            LeaseState::Waiting => Settled::Waiting,
            LeaseState::Denied(_) => Settled::Over(revoked(self.request_id())),
            LeaseState::Busy | LeaseState::Unavailable { .. }
                if now_ms.saturating_sub(waits_since_ms) < PATIENCE_MS =>
            {
                worker.wake_later(stream, now_ms.saturating_add(ASK_AGAIN_MS));
                Settled::Waiting
            }
            LeaseState::Busy | LeaseState::Unavailable { .. } => Settled::Over(self.cannot_wait()),
        }
    }

    /// Judges the request again, by the lease that it would get now.
    fn judge(&mut self, access: Access, worker: &Worker, around: &Surroundings<'_>) -> Settled {
        let is_allowed = self.request.as_ref().is_none_or(|request| {
            let mut targets = request.targets.iter();
            targets.all(|target| access.policy().decide(target.kind, &target.name).is_allowed())
                && !lacks_scope(access.limits(), request)
        });
        // The token-service's own answer may well be about the account that has been connected meanwhile.
        let has_account = self.is_from_service() || matches!(access, Access::Granted(_));
        if !is_allowed || !has_account || judge_source(access.limits(), around).is_err() {
            return Settled::Over(revoked(self.request_id()));
        }
        if !self.is_from_service() {
            self.access = access;
        }
        self.seen = worker.invalidations();
        Settled::Sound
    }

    /// The answer where the gateway cannot wait for certainty.
    pub(super) fn cannot_wait(&self) -> LocalReply {
        standing_unknown(self.request_id(), RETRY_SOON_MS)
    }

    /// Ends the response, with `reply` as its answer where the client can still be given one.
    pub(super) fn end(&mut self, reply: LocalReply) -> Ending {
        let has_begun = self.doubt.as_ref().is_none_or(|doubt| doubt.head.is_none()) && self.held.is_none();
        let Some(pipeline) = self.pipeline.as_mut().filter(|_| has_begun) else {
            return Ending::Reply(reply);
        };
        pipeline.end_with(&reply.body).map_or(Ending::Cut, Ending::Last)
    }
}
