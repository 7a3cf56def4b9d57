//! What exchanges ask the worker for: from a cache, or by a call, after which the stream is woken and asks again.

use std::rc::Rc;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{CallerProof, LeaseRequest, Rejected};
use portcullis_wire::unconnected::{OpenState, OpenedState, SessionRequest};

use super::calls::{PendingLease, PendingSession, Purpose};
use super::landing::Landing;
use super::{RETRY_AFTER_MS, Worker};
use crate::leases::{Access, Denial, Flight, Joined, Known, LeaseKey, UpstreamSession};
use crate::step::{CallOutcome, Destination, Headers};
use crate::watch::Freshness;

/// The answer to [`Worker::lease`].
#[derive(Clone, Debug)]
pub enum LeaseState {
    Known(Access),
    /// A call is in flight; the stream will be woken.
    Waiting,
    Denied(Denial),
    /// Too many new tokens at this moment to ask an issuer about one more.
    Busy,
    Unavailable {
        retry_after_ms: u64,
    },
}

/// The answer to a question that the token-service may have to be asked.
#[derive(Clone, Debug)]
pub enum Asked<T> {
    Answered(T),
    /// A call is in flight; the stream will be woken.
    Waiting,
    Unavailable {
        retry_after_ms: u64,
    },
}

/// A call on behalf of one stream.
#[derive(Debug)]
pub struct StreamCall {
    pub destination: Destination,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub timeout_ms: u64,
}

impl Worker {
    /// The lease for `key`: from the cache, or asked for once for all streams that need it.
    pub fn lease(
        &mut self,
        stream: u32,
        key: &LeaseKey,
        request: impl FnOnce() -> LeaseRequest,
        now_ms: u64,
    ) -> LeaseState {
        match self.take_lease_landing(stream) {
            // The cache is asked again: an invalidation may have come since.
            None | Some(LeaseState::Known(_)) => {}
            Some(landing) => return landing,
        }
        match self.leases.look_up(key, now_ms) {
            Known::Held(access) => return self.known(access, now_ms),
            Known::Denied(denial) => return LeaseState::Denied(denial),
            Known::Nothing => {}
        }
        self.ask_for_lease(stream, Flight::Lease(key.clone()), key, request, now_ms)
    }

    /// A lease in place of the one whose credential `rejected` names. What the cache holds counts only if it came after
    /// that; all streams whose credential of the same generation was refused share one call.
    pub fn renewed_lease(
        &mut self,
        stream: u32,
        key: &LeaseKey,
        request: impl FnOnce() -> LeaseRequest,
        rejected: &Rejected,
        now_ms: u64,
    ) -> LeaseState {
        if let Some(landing) = self.take_lease_landing(stream) {
            return landing;
        }
        if let Known::Held(access) = self.leases.look_up(key, now_ms)
            && !access.has_credential(rejected)
        {
            return self.known(access, now_ms);
        }
        let flight = Flight::Renewal(key.clone(), rejected.generation);
        self.ask_for_lease(stream, flight, key, request, now_ms)
    }

    /// What is held, unless its workspace asks for more certainty than there is.
    fn known(&self, access: Access, now_ms: u64) -> LeaseState {
        if self.may_serve(access.terms(), now_ms) {
            return LeaseState::Known(access);
        }
        LeaseState::Unavailable { retry_after_ms: RETRY_AFTER_MS }
    }

    fn ask_for_lease(
        &mut self,
        stream: u32,
        flight: Flight,
        key: &LeaseKey,
        request: impl FnOnce() -> LeaseRequest,
        now_ms: u64,
    ) -> LeaseState {
        if self.watch.freshness(now_ms) != Freshness::Fresh {
            return LeaseState::Unavailable { retry_after_ms: RETRY_AFTER_MS };
        }
        // In place of a credential that was refused there is none before the provider was asked.
        let patient = matches!(flight, Flight::Renewal(..));
        match self.flights.join(flight.clone(), stream) {
            Joined::First if patient && !self.calls.has_patience() => {
                self.flights.land(&flight);
                return LeaseState::Unavailable { retry_after_ms: RETRY_AFTER_MS };
            }
            Joined::Refused => return LeaseState::Unavailable { retry_after_ms: RETRY_AFTER_MS },
            Joined::Waiting => {}
            Joined::First => {
                let (key, request) = (key.clone(), Box::new(request()));
                // Whoever has a lease to renew is no stranger.
                let is_new_token = !patient && matches!(request.proof, CallerProof::Opaque { .. });
                if is_new_token && !self.verified.may_ask(self.watch.service_time_ms(now_ms)) {
                    self.flights.land(&flight);
                    return LeaseState::Busy;
                }
                let invalidated = self.leases.invalidated();
                let trace = self.traces.get(&stream).cloned();
                let pending =
                    PendingLease { flight, key, request, repeated: false, patient, invalidated, trace };
                self.calls.queue_lease(pending, &self.config.token_service);
            }
        }
        LeaseState::Waiting
    }

    fn take_lease_landing(&mut self, stream: u32) -> Option<LeaseState> {
        match self.landings.remove(&stream)? {
            Landing::Lease(state) => Some(state),
            other => {
                self.landings.insert(stream, other);
                None
            }
        }
    }

    /// Opens a `requestState` of the token-service's making.
    pub fn open_state(
        &mut self,
        stream: u32,
        request: impl FnOnce() -> OpenState,
        now_ms: u64,
    ) -> Asked<OpenedState> {
        match self.landings.remove(&stream) {
            Some(Landing::State(OpenedState::Unavailable { retry_after_ms })) => {
                return Asked::Unavailable { retry_after_ms };
            }
            Some(Landing::State(opened)) => return Asked::Answered(opened),
            Some(other) => drop(self.landings.insert(stream, other)),
            None => {}
        }
        if self.calls.is_asking(stream) {
            return Asked::Waiting;
        }
        if self.watch.freshness(now_ms) != Freshness::Fresh {
            return Asked::Unavailable { retry_after_ms: RETRY_AFTER_MS };
        }
        let trace = self.traces.get(&stream).map(Rc::as_ref);
        self.calls.queue_state(stream, &request(), &self.config.token_service, trace);
        Asked::Waiting
    }

    /// The upstream's session behind one of the token-service's; `None` if there is no such session.
    pub fn session(
        &mut self,
        stream: u32,
        key: &LeaseKey,
        session: &str,
        request: impl FnOnce() -> SessionRequest,
        now_ms: u64,
    ) -> Asked<Option<Rc<UpstreamSession>>> {
        match self.landings.remove(&stream) {
            Some(Landing::SessionUnknown) => return Asked::Answered(None),
            Some(Landing::SessionUnavailable { retry_after_ms }) => {
                return Asked::Unavailable { retry_after_ms };
            }
            // Found: the cache is asked, because the lease may have ended since.
            Some(Landing::SessionFound) | None => {}
            Some(other) => drop(self.landings.insert(stream, other)),
        }
        let digest = Digest::of("session", &[session.as_bytes()]);
        if let Some(found) = self.leases.session(key, &digest, now_ms) {
            return Asked::Answered(Some(found));
        }
        if self.watch.freshness(now_ms) != Freshness::Fresh {
            return Asked::Unavailable { retry_after_ms: RETRY_AFTER_MS };
        }
        let flight = Flight::Session(key.clone(), digest);
        match self.flights.join(flight.clone(), stream) {
            Joined::Refused => return Asked::Unavailable { retry_after_ms: RETRY_AFTER_MS },
            Joined::Waiting => {}
            Joined::First => {
                let pending = PendingSession { flight, key: key.clone(), session: digest };
                let trace = self.traces.get(&stream).map(Rc::as_ref);
                self.calls.queue_session(pending, &request(), &self.config.token_service, trace);
            }
        }
        Asked::Waiting
    }

    /// Sends a call for this stream alone; [`Self::take_reply`] has its outcome when the stream is woken.
    pub fn send(&mut self, stream: u32, call: StreamCall) {
        let purpose = Purpose::Reply { stream, destination: call.destination };
        self.calls.queue(purpose, Some(stream), call);
    }

    pub fn take_reply(&mut self, stream: u32) -> Option<CallOutcome> {
        match self.landings.remove(&stream)? {
            Landing::Reply(outcome) => Some(outcome),
            other => {
                self.landings.insert(stream, other);
                None
            }
        }
    }
}
