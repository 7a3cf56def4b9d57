//! What happened, counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::judge::is_slow;

/// Of more violations the first are kept: they say what is wrong.
const MOST_VIOLATIONS: usize = 10;

/// Counts by name. Shared by all tasks.
#[derive(Debug, Default)]
pub struct Tally {
    calls: AtomicU64,
    counts: Mutex<Counts>,
    failed: AtomicBool,
}

/// The counts at the end.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By what callers were told.
    pub outcomes: BTreeMap<String, u64>,
    /// 5xx, by what was said.
    pub unavailable: BTreeMap<String, u64>,
    /// Those of them that came without any reason but a slow token-service.
    pub slow: u64,
    /// By kind of change.
    pub changes: BTreeMap<String, u64>,
    /// How many calls each member had served at each server.
    pub served: BTreeMap<(usize, usize), u64>,
    /// What may never happen, in words.
    pub violations: Vec<String>,
}

impl Tally {
    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether it makes no sense to go on.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    pub(super) fn call(&self, outcome: &str) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        count(&mut self.lock().outcomes, outcome);
    }

    pub(super) fn served(&self, seat: usize, server: usize) {
        *self.lock().served.entry((seat, server)).or_default() += 1;
    }

    /// `?wait=applied` gave up waiting.
    pub(super) fn late(&self) {
        count(&mut self.lock().changes, "applied late");
    }

    pub(super) fn stolen(&self) {
        count(&mut self.lock().changes, "stolen session tried");
    }

    pub(super) fn unavailable(&self, why: &str, restarting: bool) {
        let mut counts = self.lock();
        if restarting {
            count(&mut counts.unavailable, &format!("during a restart: {why}"));
            return;
        }
        count(&mut counts.unavailable, why);
        if is_slow(why) {
            counts.slow += 1;
        }
    }

    pub(super) fn change(&self, name: &str) {
        count(&mut self.lock().changes, name);
    }

    pub(super) fn violation(&self, what: String) {
        self.failed.store(true, Ordering::Relaxed);
        let mut counts = self.lock();
        if counts.violations.len() < MOST_VIOLATIONS {
            counts.violations.push(what);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}

impl Counts {
    /// How often a change or an outcome of that name happened.
    pub fn of(&self, name: &str) -> u64 {
        let counts = self.changes.get(name).or_else(|| self.outcomes.get(name));
        counts.copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (title, counts) in
            [("changes", &self.changes), ("calls", &self.outcomes), ("5xx", &self.unavailable)]
        {
            writeln!(formatter, "{title}:")?;
            for (name, count) in counts {
                writeln!(formatter, "  {count:>9}  {name}")?;
            }
        }
        Ok(())
    }
}
