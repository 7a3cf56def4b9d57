//! How calls end: what is remembered of an answer, and which streams it wakes.

use portcullis_wire::lease::{Caller, CallerProof, DenyReason, LeaseReply};
use portcullis_wire::unconnected::{OpenedState, SessionReply};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::asking::LeaseState;
use super::calls::{self, Finished, NoAnswer, PendingLease, PendingSession, Purpose};
use super::measuring;
use super::{RETRY_AFTER_MS, Worker};
use crate::leases::{Access, Denial, Flight, Refused, ServerKey, UpstreamSession};
use crate::step::CallOutcome;

/// How often the operator is told that answers cannot be read.
const FAULTS_TOLD_EVERY_MS: u64 = 60_000;

/// What a stream that was woken finds.
#[derive(Clone, Debug)]
pub(super) enum Landing {
    Lease(LeaseState),
    State(OpenedState),
    /// It is in the cache.
    SessionFound,
    SessionUnknown,
    SessionUnavailable {
        retry_after_ms: u64,
    },
    Reply(CallOutcome),
}

impl Worker {
    /// A call has ended; returns the streams to wake.
    pub(super) fn land(&mut self, finished: Finished, outcome: CallOutcome, now_ms: u64) -> Vec<u32> {
        match &finished.purpose {
            Purpose::Lease(_) => {
                let reply = self.read(outcome, now_ms);
                self.count_call(&finished, measuring::of_lease(reply.as_ref()), now_ms);
                let Purpose::Lease(pending) = finished.purpose else { return Vec::new() };
                let lost = LeaseReply::Unavailable { retry_after_ms: RETRY_AFTER_MS };
                self.on_lease(pending, reply.unwrap_or(lost), now_ms)
            }
            Purpose::Session(pending) => {
                let reply = self.read(outcome, now_ms);
                self.count_call(&finished, measuring::of_answer(reply.as_ref()), now_ms);
                let lost = SessionReply::Unavailable { retry_after_ms: RETRY_AFTER_MS };
                self.on_session(pending, reply.unwrap_or(lost), now_ms)
            }
            Purpose::State { stream } => {
                let reply = self.read(outcome, now_ms);
                self.count_call(&finished, measuring::of_answer(reply.as_ref()), now_ms);
                let lost = OpenedState::Unavailable { retry_after_ms: RETRY_AFTER_MS };
                self.landings.insert(*stream, Landing::State(reply.unwrap_or(lost)));
                vec![*stream]
            }
            Purpose::ListNews { server } => {
                let reply = self.read::<IgnoredAny>(outcome, now_ms);
                self.count_call(&finished, measuring::of_answer(reply.as_ref()), now_ms);
                self.told_of_changed_lists(server, reply.is_some());
                Vec::new()
            }
            Purpose::Reply { stream, .. } => {
                self.count_call(&finished, measuring::of_outcome(&outcome), now_ms);
                self.landings.insert(*stream, Landing::Reply(outcome));
                vec![*stream]
            }
        }
    }

    /// The answer, if there is one. Why a token-service that is there gave none is told to the operator once a minute:
    /// it goes on until somebody updates something.
    fn read<T: DeserializeOwned>(&mut self, outcome: CallOutcome, now_ms: u64) -> Option<T> {
        let fault = match calls::read_reply(outcome) {
            Ok(reply) => return Some(reply),
            Err(fault) => fault,
        };
        let is_due =
            self.told_fault_ms.is_none_or(|told_ms| now_ms.abs_diff(told_ms) >= FAULTS_TOLD_EVERY_MS);
        if fault != NoAnswer::Lost && is_due {
            self.told_fault_ms = Some(now_ms);
            self.notices.push(fault.to_string());
        }
        None
    }

    /// A lease call has ended: tells every stream that waited for it.
    fn on_lease(&mut self, pending: PendingLease, reply: LeaseReply, now_ms: u64) -> Vec<u32> {
        let overtaken = pending.invalidated != self.leases.invalidated();
        let answer = match reply {
            LeaseReply::Denied { .. } if overtaken && !pending.repeated => {
                self.ask_again(pending);
                return Vec::new();
            }
            LeaseReply::Granted(lease) => Ok(Access::granted(*lease, &mut self.policies)),
            LeaseReply::ConnectRequired(connect) => {
                Ok(Access::connect_required(*connect, &mut self.policies))
            }
            LeaseReply::Denied { reason, because, revision } => {
                let denial = Denial { reason, because: because.map(Into::into), revision };
                Err(self.on_denial(&pending, denial, now_ms))
            }
            LeaseReply::Renewing if !pending.patient && self.calls.has_patience() => {
                let again = PendingLease { patient: true, ..pending };
                self.calls.queue_lease(again, &self.config.token_service);
                return Vec::new();
            }
            LeaseReply::Renewing => Err(LeaseState::Unavailable { retry_after_ms: RETRY_AFTER_MS }),
            LeaseReply::Unavailable { retry_after_ms } => Err(LeaseState::Unavailable { retry_after_ms }),
        };
        let access = match answer {
            Ok(access) => access,
            Err(landing) => return self.wake(&pending.flight, &Landing::Lease(landing)),
        };
        let unavailable = LeaseState::Unavailable { retry_after_ms: RETRY_AFTER_MS };
        if !is_about(&pending.request.proof, access.caller()) {
            self.notices.push("a lease was for another caller than asked for; it was refused".into());
            return self.wake(&pending.flight, &Landing::Lease(unavailable));
        }
        // An answer that is not to be kept is for those who waited for it. Who looks into the cache finds nothing there,
        // and asking again would not end.
        let for_the_waiting = matches!(pending.flight, Flight::Renewal(..));
        if access.ttl_ms() == 0 && !for_the_waiting {
            return self.wake(&pending.flight, &Landing::Lease(unavailable));
        }
        self.guesses.trust(pending.key.credential);
        let is_new = !pending.was_refused(&access);
        let landing = match self.leases.grant(pending.key.clone(), access, now_ms) {
            // What is held was decided later, by somebody who did not know that the credential was refused.
            Ok(held) if is_new && pending.was_refused(&held) && !pending.repeated => {
                self.ask_again(pending);
                return Vec::new();
            }
            Ok(access) => LeaseState::Known(access),
            Err(Refused::Outdated) if !pending.repeated => {
                self.ask_again(pending);
                return Vec::new();
            }
            Err(Refused::Outdated) => unavailable,
            // The watch will bring that server.
            Err(Refused::Mismatched) if matches!(pending.key.server, ServerKey::Unlisted(_)) => unavailable,
            Err(Refused::Mismatched) => {
                self.notices.push(
                    "a lease was for another server or workspace than asked for; it was refused".into(),
                );
                unavailable
            }
        };
        self.wake(&pending.flight, &Landing::Lease(landing))
    }

    /// Something overtook the answer: what was decided before it does not count.
    fn ask_again(&mut self, pending: PendingLease) {
        let invalidated = self.leases.invalidated();
        let again = PendingLease { repeated: true, invalidated, ..pending };
        self.calls.queue_lease(again, &self.config.token_service);
    }

    fn on_denial(&mut self, pending: &PendingLease, denial: Denial, now_ms: u64) -> LeaseState {
        // About what this one call would need; others do with what there is. What may be outdated is not kept.
        let overtaken = pending.invalidated != self.leases.invalidated();
        if denial.reason != DenyReason::TooManyScopes && !overtaken {
            self.leases.deny(pending.key.clone(), denial.clone(), now_ms);
        }
        LeaseState::Denied(denial)
    }

    fn on_session(&mut self, pending: &PendingSession, reply: SessionReply, now_ms: u64) -> Vec<u32> {
        let unavailable = |retry_after_ms| Landing::SessionUnavailable { retry_after_ms };
        let landing = match reply {
            SessionReply::Opened { session_id, protocol_version, ttl_ms } => {
                match UpstreamSession::new(session_id, protocol_version) {
                    Some(upstream) if ttl_ms > 0 => {
                        self.leases.keep_session(&pending.key, pending.session, upstream, ttl_ms, now_ms);
                        Landing::SessionFound
                    }
                    _ => unavailable(RETRY_AFTER_MS),
                }
            }
            SessionReply::Unknown => Landing::SessionUnknown,
            SessionReply::Unavailable { retry_after_ms } => unavailable(retry_after_ms),
        };
        self.wake(&pending.flight, &landing)
    }

    fn wake(&mut self, flight: &Flight, landing: &Landing) -> Vec<u32> {
        let streams = self.flights.land(flight);
        self.landings.extend(streams.iter().map(|stream| (*stream, landing.clone())));
        streams
    }
}

/// Whether an answer is about the credential that was asked about, as far as it names one: nobody gets what is somebody
/// else's because a token-service, or something on the way, has mixed up its answers.
fn is_about(proof: &CallerProof, caller: &Caller) -> bool {
    match proof {
        CallerProof::ApiKey { id, .. } => caller.key_id.as_ref() == Some(id),
        CallerProof::AccessToken { session, .. } => caller.session_id.as_ref() == Some(session),
        // Who is behind these the token-service alone knows.
        CallerProof::Jwt { .. } | CallerProof::Opaque { .. } => {
            caller.key_id.is_none() && caller.session_id.is_none()
        }
    }
}
