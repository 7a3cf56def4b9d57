//! What stories have seen.

use std::fmt;
use std::time::Duration;

use super::{Condition, Outcome};

/// What one condition of one fault showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub fault: &'static str,
    /// Which of several ways in which the fault was made.
    pub variant: &'static str,
    pub condition: Condition,
    pub during: Seen,
    pub after: Seen,
}

/// What was expected, and what came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub expected: Outcome,
    pub outcome: Outcome,
}

/// A promise in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub what: String,
    pub measured: Duration,
    pub most: Duration,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub cells: Vec<Cell>,
    pub bounds: Vec<Bound>,
    /// Each thing that reached an upstream and should not have, or that a client got and should not have.
    pub fail_open: Vec<String>,
    /// Whatever else is not as it has to be.
    pub wrong: Vec<String>,
    /// How many calls were made.
    pub calls: usize,
    /// How many of them reached the upstream.
    pub arrivals: usize,
    /// How long it took from healing each fault until all was served again.
    pub healed: Vec<(&'static str, Duration)>,
}

impl Seen {
    pub fn holds(&self) -> bool {
        self.expected == self.outcome
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds() {
            return self.outcome.fmt(formatter);
        }
        formatter.pad(&format!("{}, not {}", self.outcome, self.expected))
    }
}

impl Bound {
    pub fn holds(&self) -> bool {
        self.measured <= self.most
    }
}

impl Report {
    pub fn open(&mut self, what: String) {
        self.fail_open.push(what);
    }

    /// Notes what is not as it has to be.
    pub fn expect(&mut self, holds: bool, what: impl fmt::Display) {
        if !holds {
            self.wrong.push(what.to_string());
        }
    }

    pub fn add(&mut self, other: Self) {
        self.cells.extend(other.cells);
        self.bounds.extend(other.bounds);
        self.fail_open.extend(other.fail_open);
        self.wrong.extend(other.wrong);
        self.calls += other.calls;
        self.arrivals += other.arrivals;
        self.healed.extend(other.healed);
    }

    /// Everything that does not hold, in words; empty if all does.
    pub fn faults(&self) -> Vec<String> {
        let cells = self.cells.iter().filter(|cell| !cell.during.holds() || !cell.after.holds());
        let cells = cells.map(|cell| {
            let Cell { fault, variant, condition, during, after } = cell;
            format!("{fault} {variant} {condition}: {during} during, {after} after")
        });
        let bounds = self.bounds.iter().filter(|bound| !bound.holds()).map(|bound| {
            format!("{}: {} ms, at most {}", bound.what, bound.measured.as_millis(), bound.most.as_millis())
        });
        let open = self.fail_open.iter().map(|what| format!("fail-open: {what}"));
        cells.chain(bounds).chain(open).chain(self.wrong.iter().cloned()).collect()
    }
}
