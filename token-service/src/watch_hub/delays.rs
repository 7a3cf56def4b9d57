//! How long changes take to reach the filters, measured on every change that the admin API makes.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::measure;

/// Acknowledgements that the figures are of.
const MEASURED: usize = 1_000;

/// Commits that filters are still measured against; a filter that is further behind is no news.
const RECENT_COMMITS: usize = 256;

/// From a commit to a filter's word that it has applied it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RevocationDelay {
    /// Milliseconds that half of the acknowledgements took at most.
    pub p50: u64,
    /// Milliseconds that 99 of 100 took at most.
    pub p99: u64,
    /// Milliseconds of the slowest.
    pub max: u64,
    /// How many acknowledgements these figures are of, at most the last thousand.
    pub count: usize,
    /// When the first of them was measured, in milliseconds since the epoch.
    pub since_ms: u64,
}

#[derive(Debug, Default)]
pub(super) struct Delays {
    commits: VecDeque<(Revision, Timestamp)>,
    /// When each was measured, and how long it took in milliseconds.
    measured: VecDeque<(Timestamp, u64)>,
}

impl Delays {
    /// Notes a commit. `acknowledged` is when each filter that was faster than this note said so.
    pub(super) fn committed(
        &mut self,
        revision: Revision,
        now: Timestamp,
        acknowledged: impl Iterator<Item = Timestamp>,
    ) {
        if self.commits.back().is_some_and(|(last, _)| *last >= revision) {
            return;
        }
        if self.commits.len() >= RECENT_COMMITS {
            self.commits.pop_front();
        }
        self.commits.push_back((revision, now));
        for at in acknowledged {
            self.take(now, now.until(at).as_millis());
        }
    }

    /// Notes that a filter has come from one revision to another.
    pub(super) fn acknowledged(&mut self, from: Revision, to: Revision, now: Timestamp) {
        let reached = self.commits.iter().filter(|(revision, _)| from < *revision && *revision <= to);
        let delays: Vec<u128> = reached.map(|(_, at)| at.until(now).as_millis()).collect();
        for delay in delays {
            self.take(now, delay);
        }
    }

    /// `None` before anything was measured.
    pub(super) fn figures(&self) -> Option<RevocationDelay> {
        let (since, _) = self.measured.front()?;
        let mut sorted: Vec<u64> = self.measured.iter().map(|(_, delay)| *delay).collect();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied().unwrap_or_default()
        };
        Some(RevocationDelay {
            p50: at(50),
            p99: at(99),
            max: at(100),
            count: sorted.len(),
            since_ms: since.as_millis(),
        })
    }

    fn take(&mut self, now: Timestamp, delay: u128) {
        let delay = u64::try_from(delay).unwrap_or(u64::MAX);
        measure::revocation_delay(Duration::from_millis(delay));
        if self.measured.len() >= MEASURED {
            self.measured.pop_front();
        }
        self.measured.push_back((now, delay));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_and_commit_counts_once() {
        let mut delays = Delays::default();
        assert_eq!(delays.figures(), None);
        delays.committed(Revision(2), Timestamp(100), std::iter::empty());
        delays.committed(Revision(2), Timestamp(150), std::iter::empty());
        delays.committed(Revision(3), Timestamp(200), std::iter::empty());
        delays.acknowledged(Revision(1), Revision(2), Timestamp(130));
        delays.acknowledged(Revision(1), Revision(3), Timestamp(230));
        delays.acknowledged(Revision(3), Revision(3), Timestamp(900));
        let figures = RevocationDelay { p50: 30, p99: 130, max: 130, count: 3, since_ms: 130 };
        assert_eq!(delays.figures(), Some(figures));
    }

    #[test]
    fn a_filter_that_is_faster_than_the_note_counts_too() {
        let mut delays = Delays::default();
        delays.committed(Revision(2), Timestamp(100), [Timestamp(99), Timestamp(104)].into_iter());
        let figures = delays.figures().expect("measured");
        assert_eq!((figures.count, figures.max), (2, 4));
    }

    #[test]
    fn only_the_last_thousand_count() {
        let mut delays = Delays::default();
        delays.committed(Revision(1), Timestamp(0), std::iter::empty());
        delays.acknowledged(Revision(0), Revision(1), Timestamp(5_000));
        for _ in 0..MEASURED {
            delays.acknowledged(Revision(0), Revision(1), Timestamp(10));
        }
        let figures = delays.figures().expect("measured");
        assert_eq!((figures.count, figures.max), (MEASURED, 10));
    }
}
