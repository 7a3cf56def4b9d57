//! Consideration for providers: not too many renewals at once, and none while one has asked for a pause.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Renewals ahead of time at one provider at once. Those that somebody waits for are not counted.
const AT_ONCE: usize = 8;

/// A provider cannot stop renewals for longer by asking for it once.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// By issuer.
#[derive(Debug, Default)]
pub(super) struct Pacing(Mutex<HashMap<String, Pace>>);

#[derive(Debug)]
struct Pace {
    permits: Arc<Semaphore>,
    paused_until: Option<Instant>,
}

impl Pacing {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provider has asked to be left alone (429 or 503 with `Retry-After`).
    pub(super) fn pause(&self, issuer: &str, pause: Duration) {
        let until = Instant::now() + pause.min(LONGEST_PAUSE);
        let mut paces = self.lock();
        let pace = paces.entry(issuer.to_owned()).or_insert_with(Pace::new);
        pace.paused_until = pace.paused_until.max(Some(until));
    }

    /// How long the provider is still to be left alone.
    pub(super) fn paused(&self, issuer: &str) -> Option<Duration> {
        let until = self.lock().get(issuer)?.paused_until?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// A place among the renewals ahead of time, if there is one.
    pub(super) fn permit(&self, issuer: &str) -> Option<OwnedSemaphorePermit> {
        let mut paces = self.lock();
        let pace = paces.entry(issuer.to_owned()).or_insert_with(Pace::new);
        Arc::clone(&pace.permits).try_acquire_owned().ok()
    }
}

impl Pace {
    fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), paused_until: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_paced_one_by_one() {
        let pacing = Pacing::default();
        let permits: Vec<_> = (0..AT_ONCE).map(|_| pacing.permit("a").expect("a place")).collect();
        assert!(pacing.permit("a").is_none() && pacing.permit("b").is_some());
        drop(permits);
        assert!(pacing.permit("a").is_some());

        assert_eq!(pacing.paused("a"), None);
        pacing.pause("a", Duration::MAX);
        pacing.pause("a", Duration::ZERO);
        assert!(pacing.paused("a").is_some_and(|left| left > LONGEST_PAUSE / 2 && left <= LONGEST_PAUSE));
        assert_eq!(pacing.paused("b"), None);
    }
}
