//! What is true when, by a clock that counts events instead of time.
//!
//! A change is not seen everywhere at once: while it is made, what was true and what will be may both be met. A
//! [`Fact`] keeps these overlaps, so that whatever happened between two moments can be held against exactly what may
//! have been true then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicU64>);

/// A moment; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Clock {
    /// A moment that is later than all before.
    pub fn now(&self) -> Moment {
        Moment(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// From one moment to another.
#[derive(Clone, Copy, Debug)]
pub struct Period {
    pub from: Moment,
    pub to: Moment,
}

impl Period {
    /// A period that has just begun.
    pub fn at(moment: Moment) -> Self {
        Self { from: moment, to: moment }
    }
}

/// Something that changes.
#[derive(Debug)]
pub struct Fact<T> {
    clock: Clock,
    spans: Mutex<Vec<Span<T>>>,
}

#[derive(Clone, Debug)]
struct Span<T> {
    value: T,
    from: Moment,
    /// `None` while it may be true.
    to: Option<Moment>,
}

impl<T: Clone> Fact<T> {
    /// True from the beginning.
    pub fn new(clock: &Clock, value: T) -> Self {
        let span = Span { value, from: Moment(0), to: None };
        Self { clock: clock.clone(), spans: Mutex::new(vec![span]) }
    }

    /// From now on `value` may be true, besides what may be so far.
    pub fn begin(&self, value: T) {
        let mut spans = self.spans();
        spans.push(Span { value, from: self.clock.now(), to: None });
    }

    /// From now on nothing is true but what was begun last.
    pub fn settle(&self) {
        let mut spans = self.spans();
        let to = self.clock.now();
        let earlier = spans.len().saturating_sub(1);
        for span in spans.iter_mut().take(earlier).filter(|span| span.to.is_none()) {
            span.to = Some(to);
        }
    }

    /// A change that is seen everywhere at once.
    pub fn set(&self, value: T) {
        self.begin(value);
        self.settle();
    }

    /// What was begun last.
    ///
    /// # Panics
    /// Never: there is always something.
    pub fn latest(&self) -> T {
        self.spans().last().map(|span| span.value.clone()).expect("a fact has a value")
    }

    /// All that may be true now.
    pub fn all_now(&self) -> Vec<T> {
        self.spans().iter().filter(|span| span.to.is_none()).map(|span| span.value.clone()).collect()
    }

    /// All that may have been true in a period.
    pub fn during(&self, period: Period) -> Vec<T> {
        let overlaps = |span: &&Span<T>| span.from <= period.to && span.to.is_none_or(|to| to >= period.from);
        self.spans().iter().filter(overlaps).map(|span| span.value.clone()).collect()
    }

    fn spans(&self) -> MutexGuard<'_, Vec<Span<T>>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_something_changes_both_are_possible_and_afterwards_only_the_new() {
        let clock = Clock::default();
        let fact = Fact::new(&clock, "old");
        let before = Period { from: clock.now(), to: clock.now() };
        fact.begin("new");
        let meanwhile = Period { from: clock.now(), to: clock.now() };
        fact.settle();
        let after = Period { from: clock.now(), to: clock.now() };
        assert_eq!(fact.all_now(), ["new"]);
        assert_eq!(fact.during(before), ["old"]);
        assert_eq!(fact.during(meanwhile), ["old", "new"]);
        assert_eq!(fact.during(after), ["new"]);
        assert_eq!(fact.during(Period { from: before.from, to: after.to }), ["old", "new"]);
        assert_eq!(fact.latest(), "new");
    }
}
