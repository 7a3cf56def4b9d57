//! What the worker counts, and how it does.

use portcullis_wire::lease::LeaseReply;

use super::Worker;
use super::calls::{Finished, PendingLease, Purpose};
use crate::metrics::{Condition, Metric, Metrics, Sample, Tag};
use crate::shared::SharedData;
use crate::step::{CallOutcome, Destination};

/// The results of calls that are answered, or not.
const OK: &str = "ok";
const FAILED: &str = "failed";

impl Worker {
    /// Hands over what was counted since the last time. For each tick.
    pub fn hand_over_metrics(&mut self, take: impl FnMut(Sample<'_>)) {
        self.metrics.hand_over(take);
    }

    /// Adds what `count` has to say of a request. It is told, too, which servers there are.
    pub(crate) fn count_request(&mut self, count: impl FnOnce(&mut Metrics, &dyn Fn(&str) -> bool)) {
        let registry = self.registry.as_deref();
        count(&mut self.metrics, &|slug| registry.is_some_and(|registry| registry.has_server(slug)));
    }

    /// Tells the other workers how this one does, and sets the gauges for all; with every tick.
    pub fn beat(&mut self, shared: &dyn SharedData, now_ms: u64) {
        let condition = Condition {
            heard_ms: self.watch.answered_ms(),
            revision: self.watch.cursor(),
            is_unverified: self.is_unverified(now_ms),
        };
        self.pulse.beat(condition, &mut self.metrics, shared, now_ms);
    }

    pub(super) fn count_watch(&mut self, is_answered: bool) {
        let result = if is_answered { OK } else { FAILED };
        self.metrics.count(Metric::Calls, &[(Tag::Call, "watch"), (Tag::Result, result)]);
    }

    /// Counts a call that has ended `now_ms`; `result` is what came of it.
    pub(super) fn count_call(&mut self, finished: &Finished, result: &'static str, now_ms: u64) {
        let call = (Tag::Call, name(&finished.purpose));
        self.metrics.count(Metric::Calls, &[call, (Tag::Result, result)]);
        if let Some(sent_ms) = finished.sent_ms {
            self.metrics.measure(Metric::CallTime, &[call], now_ms.saturating_sub(sent_ms));
        }
    }
}

/// What a call is for.
fn name(purpose: &Purpose) -> &'static str {
    match purpose {
        Purpose::Lease(PendingLease { patient: true, .. }) => "renewal",
        Purpose::Lease(_) => "lease",
        Purpose::Session(_) => "session",
        Purpose::State { .. } => "state",
        Purpose::ListNews { .. } => "lists_changed",
        Purpose::Reply { destination: Destination::Upstream, .. } => "replay",
        Purpose::Reply { destination: Destination::TokenService, .. } => "unconnected",
    }
}

/// What came of a call for a lease.
pub(super) fn of_lease(reply: Option<&LeaseReply>) -> &'static str {
    match reply {
        None => FAILED,
        Some(LeaseReply::Granted(_)) => "granted",
        Some(LeaseReply::ConnectRequired(_)) => "connect_required",
        Some(LeaseReply::Denied { .. }) => "denied",
        Some(LeaseReply::Renewing) => "renewing",
        Some(LeaseReply::Unavailable { .. }) => "unavailable",
    }
}

/// What came of a call whose answer is read, or could not be.
pub(super) fn of_answer<T>(answer: Option<&T>) -> &'static str {
    if answer.is_some() { OK } else { FAILED }
}

/// What came of a call whose answer is passed on.
pub(super) fn of_outcome(outcome: &CallOutcome) -> &'static str {
    match outcome {
        CallOutcome::Replied { .. } => OK,
        CallOutcome::TooLarge => "too_large",
        CallOutcome::Failed => FAILED,
    }
}
