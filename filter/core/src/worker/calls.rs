//! Calls, most of them to the token-service: how they are spelt, which are queued, which are in flight.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::LeaseRequest;
use portcullis_wire::unconnected::{OpenState, SESSIONS_PATH, STATES_PATH, SessionRequest};
use portcullis_wire::{CONTRACT_VERSION, LEASES_PATH, MARKER_HEADER};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::asking::StreamCall;
use crate::config::TokenService;
use crate::leases::{Access, Flight, LeaseKey};
use crate::step::{Call, CallOutcome, Destination, Headers};

/// How long after its time-out a call without any report counts as lost: the host forgets the calls of a root context
/// that a configuration update replaced.
const LOST_AFTER_MS: u64 = 1_000;

/// For a lease that has to wait for a provider: the token-service gives it ten seconds.
const RENEWAL_TIMEOUT_MS: u64 = 12_000;

/// What is left of a time-out for the way there and back.
const ON_THE_WAY_MS: u64 = 300;

/// So many leases may wait for providers at a time: a slow one must not take the place of callers whose lease would be
/// there at once.
const MAX_PATIENT: usize = 32;

/// How long opening a session may take: the token-service shakes hands with the upstream for it.
const SESSION_TIMEOUT_MS: u64 = 10_000;

/// How much is told of what is wrong with an answer, in characters.
const LONGEST_FAULT: usize = 200;

/// A lease that is being asked for.
#[derive(Clone, Debug)]
pub(super) struct PendingLease {
    pub(super) flight: Flight,
    pub(super) key: LeaseKey,
    pub(super) request: Box<LeaseRequest>,
    /// Whether this is the second try, after something overtook the first answer.
    pub(super) repeated: bool,
    /// Whether it waits for a provider.
    pub(super) patient: bool,
    /// [`LeaseCache::invalidated`](crate::leases::LeaseCache::invalidated) when it was asked for.
    pub(super) invalidated: u64,
    /// The trace that it belongs to.
    pub(super) trace: Option<Rc<str>>,
}

impl PendingLease {
    /// Whether it is the lease in whose place another one is asked for.
    pub(super) fn was_refused(&self, access: &Access) -> bool {
        self.request.rejected.as_ref().is_some_and(|rejected| access.has_credential(rejected))
    }
}

/// A session that is being asked for.
#[derive(Clone, Debug)]
pub(super) struct PendingSession {
    pub(super) flight: Flight,
    pub(super) key: LeaseKey,
    pub(super) session: Digest,
}

/// What a call is for.
#[derive(Debug)]
pub(super) enum Purpose {
    Lease(PendingLease),
    Session(PendingSession),
    State {
        stream: u32,
    },
    /// Tells that a server's lists changed.
    ListNews {
        server: Box<str>,
    },
    /// The stream takes the reply as it is.
    Reply {
        stream: u32,
        destination: Destination,
    },
}

/// A call that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) purpose: Purpose,
    /// `None` if it never was.
    pub(super) sent_ms: Option<u64>,
}

/// Calls from when a stream needs one to when its outcome is known. Numbers all calls, the watch's too.
#[derive(Debug, Default)]
pub(super) struct Calls {
    last_id: u64,
    queued: Vec<Call>,
    pending: HashMap<u64, Pending>,
    /// The one call that a stream has for itself.
    own: HashMap<u32, u64>,
}

#[derive(Debug)]
struct Pending {
    purpose: Purpose,
    timeout_ms: u64,
    /// `None` until it is.
    sent_ms: Option<u64>,
}

impl Pending {
    fn overdue_at_ms(&self) -> Option<u64> {
        Some(self.sent_ms?.saturating_add(self.timeout_ms).saturating_add(LOST_AFTER_MS))
    }
}

impl Calls {
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    pub(super) fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Whether one more lease may wait for a provider.
    pub(super) fn has_patience(&self) -> bool {
        let patient =
            |call: &&Pending| matches!(&call.purpose, Purpose::Lease(PendingLease { patient: true, .. }));
        self.pending.values().filter(patient).count() < MAX_PATIENT
    }

    pub(super) fn queue_lease(&mut self, mut pending: PendingLease, service: &TokenService) {
        let timeout_ms = if pending.patient { RENEWAL_TIMEOUT_MS } else { service.timeout_ms };
        pending.request.wait_ms = Some(timeout_ms.saturating_sub(ON_THE_WAY_MS).max(timeout_ms / 2));
        let call = question(service, LEASES_PATH, &pending.request, timeout_ms);
        let call = traced(call, pending.trace.as_deref());
        self.queue(Purpose::Lease(pending), None, call);
    }

    pub(super) fn queue_session(
        &mut self,
        pending: PendingSession,
        request: &SessionRequest,
        service: &TokenService,
        trace: Option<&str>,
    ) {
        let call = traced(question(service, SESSIONS_PATH, request, SESSION_TIMEOUT_MS), trace);
        self.queue(Purpose::Session(pending), None, call);
    }

    pub(super) fn queue_state(
        &mut self,
        stream: u32,
        request: &OpenState,
        service: &TokenService,
        trace: Option<&str>,
    ) {
        let call = traced(question(service, STATES_PATH, request, service.timeout_ms), trace);
        self.queue(Purpose::State { stream }, Some(stream), call);
    }

    /// `stream` is whose own call it is.
    pub(super) fn queue(&mut self, purpose: Purpose, stream: Option<u32>, call: StreamCall) {
        let id = self.next_id();
        let StreamCall { destination, headers, body, timeout_ms } = call;
        self.queued.push(Call { id, destination, headers, body, timeout_ms });
        self.pending.insert(id, Pending { purpose, timeout_ms, sent_ms: None });
        if let Some(stream) = stream {
            self.own.insert(stream, id);
        }
    }

    /// Whether a call of this stream's own is under way.
    pub(super) fn is_asking(&self, stream: u32) -> bool {
        self.own.contains_key(&stream)
    }

    /// Whether the reply to a call is passed on as it is; `None` if the call is not known any more.
    pub(super) fn is_passed_on(&self, id: u64) -> Option<bool> {
        Some(matches!(self.pending.get(&id)?.purpose, Purpose::Reply { .. }))
    }

    /// The stream is over, and nobody waits for the call of its own.
    pub(super) fn leave(&mut self, stream: u32) {
        if let Some(id) = self.own.remove(&stream) {
            self.pending.remove(&id);
            self.queued.retain(|call| call.id != id);
        }
    }

    /// The queued calls, which are sent now.
    pub(super) fn take_queued(&mut self, now_ms: u64) -> Vec<Call> {
        for call in &self.queued {
            if let Some(pending) = self.pending.get_mut(&call.id) {
                pending.sent_ms = Some(now_ms);
            }
        }
        std::mem::take(&mut self.queued)
    }

    pub(super) fn finish(&mut self, id: u64) -> Option<Finished> {
        let Pending { purpose, sent_ms, .. } = self.pending.remove(&id)?;
        if let Purpose::State { stream } | Purpose::Reply { stream, .. } = purpose {
            self.own.remove(&stream);
        }
        Some(Finished { purpose, sent_ms })
    }

    /// Gives up the calls whose outcome the host never reported.
    pub(super) fn overdue(&mut self, now_ms: u64) -> Vec<Finished> {
        let is_overdue = |pending: &Pending| pending.overdue_at_ms().is_some_and(|at_ms| at_ms <= now_ms);
        let ids: Vec<u64> =
            self.pending.iter().filter(|(_, call)| is_overdue(call)).map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| self.finish(id)).collect()
    }
}

/// The call that waits for changes.
pub(super) fn watch(id: u64, authority: &str, path_with_query: &str, timeout_ms: u64) -> Call {
    let headers = headers("GET", authority, path_with_query, 0);
    Call { id, destination: Destination::TokenService, headers, body: Vec::new(), timeout_ms }
}

pub(super) fn question(
    service: &TokenService,
    path: &str,
    request: &impl Serialize,
    timeout_ms: u64,
) -> StreamCall {
    // Plain structs of strings and numbers: serialising them cannot fail, and an empty body would be refused.
    let body = serde_json::to_vec(request).unwrap_or_default();
    let headers = headers("POST", &service.authority, path, body.len());
    StreamCall { destination: Destination::TokenService, headers, body, timeout_ms }
}

/// As a part of a trace.
fn traced(mut call: StreamCall, traceparent: Option<&str>) -> StreamCall {
    if let Some(traceparent) = traceparent {
        call.headers.push((b"traceparent".to_vec(), traceparent.as_bytes().to_vec()));
    }
    call
}

fn headers(method: &str, authority: &str, path: &str, body_length: usize) -> Headers {
    let length = body_length.to_string();
    let mut pairs =
        vec![(":method", method), (":path", path), (":authority", authority), ("accept", "application/json")];
    if body_length > 0 {
        pairs.extend([("content-type", "application/json"), ("content-length", length.as_str())]);
    }
    pairs.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// Why a call to the token-service brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// It was not the token-service that replied, if anybody did, or the token-service could not.
    Lost,
    /// The token-service does not take the question; the status, from 400 to 499.
    Refused(u16),
    /// The token-service answered, in words that are not known here; which, as far as that gives nothing away.
    Unreadable(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => formatter.write_str("the token-service gave no answer"),
            Self::Refused(status) => write!(
                formatter,
                "the token-service refuses a question with status {status}; if it is of an earlier version than the \
                 filter, update it"
            ),
            Self::Unreadable(how) => write!(
                formatter,
                "an answer of the token-service cannot be read, so nothing is granted by it ({how}); if the \
                 token-service is of a later version, update the filter"
            ),
        }
    }
}

/// What a call to the token-service brought. Anything but a marked, readable answer is none: Envoy makes up replies when
/// it cannot reach the token-service, and those decide nothing.
pub(super) fn read_reply<T: DeserializeOwned>(outcome: CallOutcome) -> Result<T, NoAnswer> {
    let CallOutcome::Replied { headers, body } = outcome else { return Err(NoAnswer::Lost) };
    if value(&headers, MARKER_HEADER) != Some(CONTRACT_VERSION.as_bytes()) {
        return Err(NoAnswer::Lost);
    }
    let status = value(&headers, ":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    match status {
        Some(200) => {
            serde_json::from_slice(&body).map_err(|error| NoAnswer::Unreadable(what_is_wrong(&error)))
        }
        Some(status @ 400..500) => Err(NoAnswer::Refused(status)),
        _ => Err(NoAnswer::Lost),
    }
}

/// Names of fields and variants only: other messages repeat values, and answers hold secrets.
fn what_is_wrong(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let names = ["unknown field", "unknown variant", "missing field"];
    if names.iter().any(|beginning| text.starts_with(beginning)) {
        return text.chars().take(LONGEST_FAULT).collect();
    }
    "it has another form".into()
}

fn value<'headers>(headers: &'headers Headers, name: &str) -> Option<&'headers [u8]> {
    headers.iter().find(|(header, _)| header == name.as_bytes()).map(|(_, value)| value.as_slice())
}

#[cfg(test)]
mod tests {
    use portcullis_wire::lease::LeaseReply;

    use super::*;

    fn replied(marker: Option<&str>, status: &str, body: &str) -> CallOutcome {
        let marker = marker.map(|marker| (MARKER_HEADER, marker));
        let headers = [(":status", status)].into_iter().chain(marker);
        CallOutcome::Replied {
            headers: headers.map(|(name, value)| (name.into(), value.into())).collect(),
            body: body.into(),
        }
    }

    #[test]
    fn only_a_marked_answer_counts() {
        let denied = r#"{"result":"denied","reason":"unknown_server"}"#;
        assert!(matches!(read_reply(replied(Some("1"), "200", denied)), Ok(LeaseReply::Denied { .. })));
        let unreadable = |how: &str| NoAnswer::Unreadable(how.into());
        let unknown = "unknown variant `something_new`, expected one of `granted`, `connect_required`, `denied`, \
                       `renewing`, `unavailable` at line 1 column 25";
        for (outcome, expected) in [
            (replied(None, "200", denied), NoAnswer::Lost),
            (replied(Some("2"), "200", denied), NoAnswer::Lost),
            (replied(Some("1"), "503", denied), NoAnswer::Lost),
            (replied(Some("1"), "x", denied), NoAnswer::Lost),
            (replied(Some("1"), "422", denied), NoAnswer::Refused(422)),
            (replied(Some("1"), "200", "{"), unreadable("it has another form")),
            (replied(Some("1"), "200", r#"{"result":"something_new"}"#), unreadable(unknown)),
            (replied(Some("1"), "200", r#"{"result":{"secret":1}}"#), unreadable("it has another form")),
            (CallOutcome::Failed, NoAnswer::Lost),
            (CallOutcome::TooLarge, NoAnswer::Lost),
        ] {
            assert_eq!(read_reply::<LeaseReply>(outcome), Err(expected));
        }
    }
}
