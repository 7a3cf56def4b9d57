//! Calls to the token-service: how they are spelt, which are queued, which are in flight.

use std::collections::HashMap;

use portcullis_wire::lease::{LeaseReply, LeaseRequest};
use portcullis_wire::{CONTRACT_VERSION, LEASES_PATH, MARKER_HEADER};

use crate::leases::LeaseKey;
use crate::step::{Call, CallOutcome, Headers};

/// How long after its time-out a call without any report counts as lost: the host forgets the calls of a root context
/// that a configuration update replaced.
const LOST_AFTER_MS: u64 = 1_000;

/// What a caller is told to wait after a failed call.
const RETRY_AFTER_MS: u64 = 2_000;

/// A lease that is being asked for.
#[derive(Clone, Debug)]
pub(super) struct PendingLease {
    pub(super) key: LeaseKey,
    pub(super) request: LeaseRequest,
    /// Whether this is the second try, after an invalidation overtook the first answer.
    pub(super) repeated: bool,
}

/// Lease calls from when a stream needs one to when its outcome is known. Numbers all calls, the watch's too.
#[derive(Debug, Default)]
pub(super) struct Calls {
    last_id: u64,
    queued: Vec<Call>,
    pending: HashMap<u64, Pending>,
}

#[derive(Debug)]
struct Pending {
    lease: PendingLease,
    timeout_ms: u64,
    /// `None` until it is sent.
    overdue_at_ms: Option<u64>,
}

impl Calls {
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    pub(super) fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    pub(super) fn queue(&mut self, lease: PendingLease, authority: &str, timeout_ms: u64) {
        let id = self.next_id();
        self.queued.push(call(id, "POST", authority, LEASES_PATH, body(&lease.request), timeout_ms));
        self.pending.insert(id, Pending { lease, timeout_ms, overdue_at_ms: None });
    }

    /// The queued calls, which are sent now.
    pub(super) fn take_queued(&mut self, now_ms: u64) -> Vec<Call> {
        for call in &self.queued {
            if let Some(pending) = self.pending.get_mut(&call.id) {
                let overdue_at_ms = now_ms.saturating_add(pending.timeout_ms).saturating_add(LOST_AFTER_MS);
                pending.overdue_at_ms = Some(overdue_at_ms);
            }
        }
        std::mem::take(&mut self.queued)
    }

    pub(super) fn finish(&mut self, id: u64) -> Option<PendingLease> {
        self.pending.remove(&id).map(|pending| pending.lease)
    }

    /// Gives up the calls whose outcome the host never reported.
    pub(super) fn overdue(&mut self, now_ms: u64) -> Vec<PendingLease> {
        let is_overdue = |pending: &Pending| pending.overdue_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        let ids: Vec<u64> =
            self.pending.iter().filter(|(_, call)| is_overdue(call)).map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| self.finish(id)).collect()
    }
}

fn body(request: &LeaseRequest) -> Vec<u8> {
    // Plain structs of strings and numbers: serialising them cannot fail, and an empty body would be refused.
    serde_json::to_vec(request).unwrap_or_default()
}

/// The call that waits for changes.
pub(super) fn watch(id: u64, authority: &str, path_with_query: &str, timeout_ms: u64) -> Call {
    call(id, "GET", authority, path_with_query, Vec::new(), timeout_ms)
}

fn call(id: u64, method: &str, authority: &str, path: &str, body: Vec<u8>, timeout_ms: u64) -> Call {
    let length = body.len().to_string();
    let mut pairs =
        vec![(":method", method), (":path", path), (":authority", authority), ("accept", "application/json")];
    if !body.is_empty() {
        pairs.extend([("content-type", "application/json"), ("content-length", length.as_str())]);
    }
    let headers = pairs
        .into_iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    Call { id, headers, body, timeout_ms }
}

/// What a lease call brought. Anything but a marked, readable answer counts as no answer: Envoy makes up replies when
/// it cannot reach the token-service, and those decide nothing.
pub(super) fn read_lease_reply(outcome: CallOutcome) -> LeaseReply {
    let unavailable = LeaseReply::Unavailable { retry_after_ms: RETRY_AFTER_MS };
    let CallOutcome::Replied { headers, body } = outcome else { return unavailable };
    let is = |name: &str, expected: &str| value(&headers, name) == Some(expected.as_bytes());
    if !is(MARKER_HEADER, CONTRACT_VERSION) || !is(":status", "200") {
        return unavailable;
    }
    serde_json::from_slice(&body).unwrap_or(unavailable)
}

fn value<'headers>(headers: &'headers Headers, name: &str) -> Option<&'headers [u8]> {
    headers.iter().find(|(header, _)| header == name.as_bytes()).map(|(_, value)| value.as_slice())
}

#[cfg(test)]
mod tests {
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
        assert!(matches!(read_lease_reply(replied(Some("1"), "200", denied)), LeaseReply::Denied { .. }));
        for outcome in [
            replied(None, "200", denied),
            replied(Some("2"), "200", denied),
            replied(Some("1"), "503", denied),
            replied(Some("1"), "200", "{"),
            replied(Some("1"), "200", r#"{"result":"something_new"}"#),
            CallOutcome::Failed,
        ] {
            assert!(matches!(read_lease_reply(outcome), LeaseReply::Unavailable { .. }));
        }
    }
}
