//! How all workers of one Envoy do, as gauges that one metric can say for all.
//!
//! A gauge has one value for all workers, so a worker that set its own figure would hide the others'. Each keeps its
//! figures among those of the others, as [`crate::running`] does, and the gauges say the worst of them. The figures of a
//! worker whose VM has failed count for [`FRESH_MS`] and no longer.

use portcullis_wire::digest::Digest;

use super::{Metric, Metrics};
use crate::shared::{self, SharedData};

/// How long figures count that are not renewed.
const FRESH_MS: u64 = 10_000;

/// How often a worker says how it does.
const EVERY_MS: u64 = 1_000;

const KEY: &str = "portcullis.pulse";

/// How one worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// When the token-service was last heard of; `None` if it never was.
    pub heard_ms: Option<u64>,
    /// The last revision that is applied.
    pub revision: u64,
    /// Nobody knows at present whether what is cached still holds.
    pub is_unverified: bool,
}

#[derive(Debug)]
pub struct Pulse {
    worker: u64,
    born_ms: Option<u64>,
    said: Option<Said>,
}

/// What the others were told last.
#[derive(Clone, Copy, Debug)]
struct Said {
    at_ms: u64,
    is_unverified: bool,
}

impl Pulse {
    /// `filter_id` tells this worker's VM apart from all others.
    pub fn new(filter_id: &str) -> Self {
        let digest = Digest::of("pulse", &[filter_id.as_bytes()]);
        let worker = digest.as_bytes().first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default();
        Self { worker, born_ms: None, said: None }
    }

    /// Tells the others how this worker does, and sets the gauges for all. With every tick; it does so once in a while, and
    /// when it is verified or no longer.
    /// Where nothing is shared, the gauges are this worker's own.
    pub fn beat(
        &mut self,
        condition: Condition,
        metrics: &mut Metrics,
        shared: &dyn SharedData,
        now_ms: u64,
    ) {
        let born_ms = *self.born_ms.get_or_insert(now_ms);
        let is_unverified = condition.is_unverified;
        let is_known =
            |said: Said| said.is_unverified == is_unverified && now_ms.abs_diff(said.at_ms) < EVERY_MS;
        if self.said.is_some_and(is_known) {
            return;
        }
        self.said = Some(Said { at_ms: now_ms, is_unverified });
        let heard_ms = condition.heard_ms.unwrap_or(born_ms);
        let own = [self.worker, now_ms, heard_ms, condition.revision, u64::from(is_unverified)];
        let all = shared::update(shared, KEY, |value| {
            let others = shared::records::<5>(value).filter(|[worker, said_ms, ..]| {
                *worker != self.worker && said_ms.saturating_add(FRESH_MS) > now_ms
            });
            let all: Vec<[u64; 5]> = others.chain([own]).collect();
            (Some(shared::bytes(all.iter().copied())), all)
        });
        let all = all.unwrap_or_else(|_| vec![own]);
        let figures = |place: fn(&[u64; 5]) -> u64| all.iter().map(place);
        let heard_ms = figures(|[_, _, heard_ms, ..]| *heard_ms).min().unwrap_or(heard_ms);
        let revision = figures(|[_, _, _, revision, _]| *revision).min().unwrap_or(0);
        let unverified = figures(|[.., unverified]| *unverified).sum();
        metrics.set(Metric::Vms, u64::try_from(all.len()).unwrap_or(u64::MAX));
        metrics.set(Metric::UnverifiedVms, unverified);
        metrics.set(Metric::WatchAge, now_ms.saturating_sub(heard_ms));
        metrics.set(Metric::Revision, revision);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;
    use crate::shared::{Unavailable, Versioned};

    #[derive(Default)]
    struct Map(RefCell<BTreeMap<String, Versioned>>);

    impl SharedData for Map {
        fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
            Ok(self.0.borrow().get(key).cloned())
        }

        fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
            let next = Versioned { value: value.to_vec(), version: version.unwrap_or(0) + 1 };
            self.0.borrow_mut().insert(key.to_owned(), next);
            Ok(true)
        }
    }

    struct Nothing;

    impl SharedData for Nothing {
        fn get(&self, _key: &str) -> Result<Option<Versioned>, Unavailable> {
            Err(Unavailable)
        }

        fn replace(&self, _key: &str, _value: &[u8], _version: Option<u32>) -> Result<bool, Unavailable> {
            Err(Unavailable)
        }
    }

    fn gauges(metrics: &mut Metrics) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        metrics.hand_over(|sample| {
            all.insert(sample.name.to_owned(), sample.value);
        });
        all
    }

    fn expected(vms: u64, unverified: u64, age: u64, revision: u64) -> BTreeMap<String, u64> {
        [
            (Metric::Vms, vms),
            (Metric::UnverifiedVms, unverified),
            (Metric::WatchAge, age),
            (Metric::Revision, revision),
        ]
        .map(|(metric, value)| (metric.name().to_owned(), value))
        .into()
    }

    fn well(heard_ms: u64, revision: u64) -> Condition {
        Condition { heard_ms: Some(heard_ms), revision, is_unverified: false }
    }

    #[test]
    fn the_worst_worker_is_told_of_and_a_dead_one_is_forgotten() {
        let (shared, mut metrics) = (Map::default(), Metrics::default());
        let (mut one, mut other) = (Pulse::new("one"), Pulse::new("other"));
        one.beat(well(99_000, 7), &mut metrics, &shared, 100_000);
        assert_eq!(gauges(&mut metrics), expected(1, 0, 1_000, 7));
        let silent = Condition { heard_ms: Some(90_000), revision: 5, is_unverified: true };
        other.beat(silent, &mut metrics, &shared, 100_100);
        assert_eq!(gauges(&mut metrics), expected(2, 1, 10_100, 5));
        one.beat(well(101_000, 8), &mut metrics, &shared, 101_000);
        assert_eq!(gauges(&mut metrics), expected(2, 1, 11_000, 5), "whoever says it");
        one.beat(well(101_400, 8), &mut metrics, &shared, 101_500);
        assert_eq!(gauges(&mut metrics), BTreeMap::new(), "said a moment ago");
        let worse = Condition { is_unverified: true, ..well(101_400, 8) };
        one.beat(worse, &mut metrics, &shared, 101_600);
        assert_eq!(gauges(&mut metrics), expected(2, 2, 11_600, 5), "it is another");
        one.beat(well(110_000, 8), &mut metrics, &shared, 110_100);
        assert_eq!(gauges(&mut metrics), expected(1, 0, 100, 8), "the other has not been heard of");
    }

    #[test]
    fn without_shared_data_each_speaks_for_itself() {
        let mut metrics = Metrics::default();
        let mut one = Pulse::new("one");
        let new = Condition { heard_ms: None, revision: 0, is_unverified: true };
        one.beat(new, &mut metrics, &Nothing, 5_000);
        assert_eq!(gauges(&mut metrics), expected(1, 1, 0, 0));
        one.beat(new, &mut metrics, &Nothing, 8_000);
        assert_eq!(gauges(&mut metrics), expected(1, 1, 3_000, 0), "since it began to look");
    }
}
