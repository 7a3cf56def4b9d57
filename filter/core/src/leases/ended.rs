//! What was invalidated since when, for responses that are under way: they hold no lease that could be dropped.

use std::collections::HashMap;

use portcullis_wire::watch::Invalidation;

/// Names remembered at most; beyond that all count as invalidated, and every response asks once.
const MAX_NAMES: usize = 10_000;

/// The latest invalidation of each name, as the count of invalidations at that time.
#[derive(Debug, Default)]
pub(super) struct Ended {
    at: HashMap<Invalidation, u64>,
    everything_at: u64,
}

impl Ended {
    pub(super) fn note(&mut self, name: Invalidation, count: u64) {
        if self.at.len() >= MAX_NAMES && !self.at.contains_key(&name) {
            return self.note_everything(count);
        }
        self.at.insert(name, count);
    }

    pub(super) fn note_everything(&mut self, count: u64) {
        self.at.clear();
        self.everything_at = count;
    }

    /// Whether one of `names` was invalidated after the count was `seen`.
    pub(super) fn since(&self, seen: u64, mut names: impl Iterator<Item = Invalidation>) -> bool {
        self.everything_at > seen || names.any(|name| self.at.get(&name).is_some_and(|at| *at > seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: usize) -> Invalidation {
        Invalidation::Member(number.to_string())
    }

    #[test]
    fn only_what_came_later_and_names_it_counts() {
        let mut ended = Ended::default();
        ended.note(member(1), 5);
        let since = |ended: &Ended, seen, number| ended.since(seen, std::iter::once(member(number)));
        assert!(since(&ended, 4, 1));
        assert!(!since(&ended, 5, 1), "seen");
        assert!(!since(&ended, 4, 2), "another");
        ended.note_everything(7);
        assert!(since(&ended, 6, 2));
        assert!(!since(&ended, 7, 1));
    }

    #[test]
    fn too_many_names_count_as_all() {
        let mut ended = Ended::default();
        for number in 0..=MAX_NAMES {
            ended.note(member(number), 1);
        }
        assert!(ended.since(0, std::iter::once(Invalidation::Server("never named".into()))));
        assert!(ended.at.len() < MAX_NAMES);
    }
}
