//! Who watches, and how far each filter has come.
//!
//! The hub holds no truth: revisions live in the store, and a filter that reconnects starts from the cursor that it
//! sends. What is here may be lost at any time and is rebuilt within one hold.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::clock::{Clock, Timestamp};
use crate::domain::Revision;

mod delays;

use delays::Delays;
pub use delays::RevocationDelay;

/// How long after the end of its last watch a filter still counts as connected. By then the filter itself has gone
/// *unverified* and stops serving when its staleness budget is over.
pub const LAPSE: Duration = Duration::from_secs(3);

/// How long a silent filter stays in the status report.
const FORGET: Duration = Duration::from_mins(5);

/// Far above any fleet, because nobody waits for a filter that has no place here; it keeps a peer that makes up filter ids
/// from filling the memory. Each takes about 200 bytes.
const MAX_FILTERS: usize = 100_000;

/// Collects acknowledgements and wakes those who wait for them.
#[derive(Debug, Default)]
pub struct WatchHub {
    filters: Mutex<HashMap<String, Seen>>,
    /// Before this there may be filters that watched the service before this one and have yet to come back.
    complete_at: Timestamp,
    delays: Mutex<Delays>,
    /// Counts acknowledgements, so that waiters look again; the number itself means nothing.
    acknowledgements: watch::Sender<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    cursor: Revision,
    at: Timestamp,
    connected_until: Timestamp,
    /// It was this service that it watched.
    own: bool,
}

/// One filter as `GET /v1/status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FilterStatus {
    /// Chosen by the filter at start; one for each VM of each Envoy.
    pub filter: String,
    /// The last revision that it has applied.
    #[schema(value_type = u64)]
    pub cursor: Revision,
    /// Milliseconds since the epoch.
    pub last_seen_ms: u64,
    pub connected: bool,
}

impl WatchHub {
    /// The hub of a service that has started again: it knows none of the filters that watched the one before. Each is
    /// back, or has stopped being connected, when a hold and the lapse are over.
    pub fn after_restart(now: Timestamp, hold: Duration) -> Self {
        Self { complete_at: now.plus(hold).plus(LAPSE), ..Self::default() }
    }

    /// Notes a commit that filters should hear of at once.
    pub fn committed(&self, revision: Revision, now: Timestamp) {
        let filters = self.filters();
        let faster = filters.values().filter(|seen| seen.cursor >= revision && now < seen.connected_until);
        let faster: Vec<Timestamp> = faster.map(|seen| seen.at).collect();
        drop(filters);
        self.delays().committed(revision, now, faster.into_iter());
    }

    /// How long the latest commits took to be acknowledged; `None` before the first.
    pub fn delay(&self) -> Option<RevocationDelay> {
        self.delays().figures()
    }

    /// Notes a watch that begins `now` and may be held for `hold`; its `cursor` acknowledges all up to it.
    pub fn acknowledge(&self, filter: &str, cursor: Revision, now: Timestamp, hold: Duration) {
        let mut filters = self.filters();
        make_room(&mut filters, filter);
        let connected_until = now.plus(hold).plus(LAPSE);
        let before = filters.insert(filter.to_owned(), Seen { cursor, at: now, connected_until, own: true });
        drop(filters);
        // A filter that is new here, or starts over, has nothing cached that could be late.
        if let Some(before) = before.filter(|before| before.cursor > Revision::default()) {
            self.delays().acknowledged(before.cursor, cursor, now);
        }
        self.acknowledgements.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Notes what another replica has heard of a filter, unless something newer is known here.
    pub(crate) fn hear_of(&self, filter: &str, cursor: Revision, at: Timestamp, connected_until: Timestamp) {
        let mut filters = self.filters();
        if filters.get(filter).is_some_and(|seen| seen.at >= at) {
            return;
        }
        make_room(&mut filters, filter);
        filters.insert(filter.to_owned(), Seen { cursor, at, connected_until, own: false });
        drop(filters);
        self.acknowledgements.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The connected filters that this service has heard of itself: cursor, when, and until when they are connected.
    pub(crate) fn own(&self, now: Timestamp) -> Vec<(String, Revision, Timestamp, Timestamp)> {
        let filters = self.filters();
        let own = filters.iter().filter(|(_, seen)| seen.own && now < seen.connected_until);
        own.map(|(name, seen)| (name.clone(), seen.cursor, seen.at, seen.connected_until)).collect()
    }

    /// How many filters there is something known of.
    pub(crate) fn len(&self) -> usize {
        self.filters().len()
    }

    /// Every filter heard of lately, by name.
    pub fn status(&self, now: Timestamp) -> Vec<FilterStatus> {
        let mut filters = self.filters();
        filters.retain(|_, seen| seen.at.until(now) < FORGET);
        let mut status: Vec<_> = filters
            .iter()
            .map(|(filter, seen)| FilterStatus {
                filter: filter.clone(),
                cursor: seen.cursor,
                last_seen_ms: seen.at.as_millis(),
                connected: now < seen.connected_until,
            })
            .collect();
        drop(filters);
        status.sort_by(|one, other| one.filter.cmp(&other.filter));
        status
    }

    /// Waits until every filter that is connected has acknowledged `revision`; answers how many those are. Soon after a
    /// restart it waits, too, until all that were connected before have had the time to come back.
    ///
    /// # Errors
    ///
    /// The filters that have not, when `timeout` is over or all of them have fallen silent; none if filters may be missing
    /// that are not known yet. A filter that falls silent meanwhile is an error and not ignored: it may be cut off and
    /// still serve what it has cached.
    pub async fn applied(
        &self,
        revision: Revision,
        clock: &dyn Clock,
        timeout: Duration,
    ) -> Result<usize, Vec<String>> {
        let deadline = tokio::time::Instant::now() + timeout;
        let until_complete = clock.now().until(self.complete_at);
        if until_complete > timeout {
            return Err(Vec::new());
        }
        tokio::time::sleep(until_complete).await;
        let mut acknowledgements = self.acknowledgements.subscribe();
        let mut missing = self.connected(clock.now());
        let connected = missing.len();
        loop {
            acknowledgements.mark_unchanged();
            // The last of them alone: were all looked at with every acknowledgement, many filters would take longer to
            // be looked at than to acknowledge.
            let mut until_lapse = self.until_lapse(&mut missing, revision, clock.now());
            if until_lapse == Some(Duration::ZERO) {
                // Another may have come back meanwhile, and count for longer.
                missing = self.still_missing(missing, revision);
                until_lapse = self.until_lapse(&mut missing, revision, clock.now());
            }
            let wake_at = match until_lapse {
                None => return Ok(connected),
                Some(Duration::ZERO) => return Err(sorted(missing)),
                Some(until_lapse) => deadline.min(tokio::time::Instant::now() + until_lapse),
            };
            let woken = tokio::time::timeout_at(wake_at, acknowledgements.changed()).await;
            if woken.is_err() && tokio::time::Instant::now() >= deadline {
                let missing = self.still_missing(missing, revision);
                return if missing.is_empty() { Ok(connected) } else { Err(sorted(missing)) };
            }
        }
    }

    /// The connected filters, the one last that counts as connected for longest.
    fn connected(&self, now: Timestamp) -> Vec<String> {
        let filters = self.filters();
        let connected = filters.iter().filter(|(_, seen)| now < seen.connected_until);
        let mut connected: Vec<(Timestamp, String)> =
            connected.map(|(name, seen)| (seen.connected_until, name.clone())).collect();
        drop(filters);
        connected.sort_unstable();
        connected.into_iter().map(|(_, name)| name).collect()
    }

    /// Takes those off the end that have acknowledged `revision`; how long the last that is left counts as connected, and
    /// `None` if none is left.
    fn until_lapse(&self, missing: &mut Vec<String>, revision: Revision, now: Timestamp) -> Option<Duration> {
        let filters = self.filters();
        while let Some(name) = missing.last() {
            match filters.get(name) {
                Some(seen) if seen.cursor >= revision => drop(missing.pop()),
                Some(seen) => return Some(now.until(seen.connected_until)),
                None => return Some(Duration::ZERO),
            }
        }
        None
    }

    /// Those that have not acknowledged `revision`, the one last that counts as connected for longest.
    fn still_missing(&self, missing: Vec<String>, revision: Revision) -> Vec<String> {
        let filters = self.filters();
        let seen = missing.into_iter().map(|name| (filters.get(&name).copied(), name));
        let mut missing: Vec<(Option<Timestamp>, String)> = seen
            .filter(|(seen, _)| seen.is_none_or(|seen| seen.cursor < revision))
            .map(|(seen, name)| (seen.map(|seen| seen.connected_until), name))
            .collect();
        drop(filters);
        missing.sort_unstable();
        missing.into_iter().map(|(_, name)| name).collect()
    }

    fn delays(&self) -> MutexGuard<'_, Delays> {
        self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn filters(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        // A panic while the lock was held leaves at worst one entry out of date.
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For one more, if it is one more.
fn make_room(filters: &mut HashMap<String, Seen>, filter: &str) {
    if filters.len() >= MAX_FILTERS && !filters.contains_key(filter) {
        let longest_silent = filters.iter().min_by_key(|(_, seen)| seen.at);
        if let Some(name) = longest_silent.map(|(name, _)| name.clone()) {
            filters.remove(&name);
        }
    }
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(10);
    const START: Timestamp = Timestamp(0);

    struct Fixed(Timestamp);

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[tokio::test]
    async fn applied_when_all_connected_filters_have_acknowledged() {
        let hub = WatchHub::default();
        let clock = Fixed(START);
        assert_eq!(hub.applied(Revision(2), &clock, PATIENCE).await, Ok(0), "nobody to wait for");

        hub.acknowledge("a", Revision(1), START, HOLD);
        hub.acknowledge("b", Revision(2), START, HOLD);
        let waiting = hub.applied(Revision(2), &clock, PATIENCE);
        let news = async { hub.acknowledge("a", Revision(2), START, HOLD) };
        let (applied, ()) = tokio::join!(waiting, news);
        assert_eq!(applied, Ok(2));
    }

    #[tokio::test]
    async fn a_filter_that_keeps_an_old_cursor_is_named() {
        let hub = WatchHub::default();
        let clock = Fixed(START);
        hub.acknowledge("behind", Revision(1), START, HOLD);
        hub.acknowledge("done", Revision(2), START, HOLD);
        let applied = hub.applied(Revision(2), &clock, Duration::ZERO).await;
        assert_eq!(applied, Err(vec!["behind".to_owned()]));
    }

    #[tokio::test]
    async fn a_silent_filter_is_connected_for_one_hold_and_the_lapse() {
        let hub = WatchHub::default();
        hub.acknowledge("a", Revision(1), START, HOLD);
        let connected = |now| hub.status(now).iter().map(|status| status.connected).collect::<Vec<_>>();
        let lapsed = START.plus(HOLD).plus(LAPSE);
        assert_eq!(connected(Timestamp(lapsed.0 - 1)), [true]);
        assert_eq!(connected(lapsed), [false]);
        assert_eq!(
            hub.applied(Revision(2), &Fixed(lapsed), PATIENCE).await,
            Ok(0),
            "it is not waited for any more"
        );
        assert!(hub.status(START.plus(FORGET)).is_empty(), "and forgotten in the end");
    }

    #[tokio::test]
    async fn after_a_restart_nobody_is_taken_for_gone_before_all_had_time_to_come_back() {
        let hub = WatchHub::after_restart(START, HOLD);
        let too_soon = hub.applied(Revision(2), &Fixed(START), HOLD).await;
        assert_eq!(too_soon, Err(Vec::new()), "nobody is known, and somebody may be missing");
        // Just before all have had their time.
        let clock = Fixed(Timestamp(START.plus(HOLD).plus(LAPSE).0 - 20));
        let waiting = hub.applied(Revision(2), &clock, Duration::from_millis(50));
        // Comes back while it is waited for, and has not heard of the change.
        let back = async { hub.acknowledge("a", Revision(1), clock.now(), HOLD) };
        let (applied, ()) = tokio::join!(waiting, back);
        assert_eq!(applied, Err(vec!["a".to_owned()]));
        let hub = WatchHub::after_restart(START, HOLD);
        let complete = Fixed(START.plus(HOLD).plus(LAPSE));
        assert_eq!(hub.applied(Revision(2), &complete, Duration::ZERO).await, Ok(0), "all had their time");
    }

    #[test]
    fn delays_are_those_of_connected_filters() {
        let hub = WatchHub::default();
        hub.acknowledge("known", Revision(1), START, HOLD);
        hub.committed(Revision(2), START);
        hub.acknowledge("known", Revision(2), Timestamp(40), HOLD);
        hub.acknowledge("new", Revision(2), Timestamp(900), HOLD);
        hub.acknowledge("started", Revision(0), Timestamp(900), HOLD);
        hub.acknowledge("started", Revision(2), Timestamp(950), HOLD);
        let figures = hub.delay().expect("measured");
        assert_eq!((figures.count, figures.max), (1, 40));
    }

    #[tokio::test]
    async fn what_another_replica_has_heard_counts_if_it_is_newer() {
        let hub = WatchHub::default();
        let clock = Fixed(Timestamp(100));
        hub.acknowledge("moved", Revision(1), Timestamp(50), HOLD);
        hub.hear_of("moved", Revision(2), Timestamp(60), Timestamp(5_000));
        hub.hear_of("elsewhere", Revision(1), Timestamp(70), Timestamp(5_000));
        hub.acknowledge("here", Revision(2), Timestamp(80), HOLD);
        hub.hear_of("here", Revision(1), Timestamp(79), Timestamp(5_000));
        let applied = hub.applied(Revision(2), &clock, Duration::ZERO).await;
        assert_eq!(applied, Err(vec!["elsewhere".to_owned()]));
        let own: Vec<String> = hub.own(Timestamp(100)).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(own, ["here"], "of the others others tell");
        let waiting = hub.applied(Revision(2), &clock, PATIENCE);
        let news = async { hub.hear_of("elsewhere", Revision(2), Timestamp(90), Timestamp(5_000)) };
        let (applied, ()) = tokio::join!(waiting, news);
        assert_eq!(applied, Ok(3));
    }

    #[test]
    fn made_up_filters_do_not_fill_the_memory() {
        let hub = WatchHub::default();
        for number in 0..=MAX_FILTERS {
            hub.acknowledge(&number.to_string(), Revision(1), START, HOLD);
        }
        assert_eq!(hub.status(START).len(), MAX_FILTERS);
    }
}
