//! Measurements for `make bench`, each of which adds its figures to the table.
//!
//! A new one is a module here with a function that takes [`Figures`](crate::figures::Figures), and a line in
//! `src/bin/bench.rs`. Targets are ratios within one run wherever that is possible: what a machine takes for something says
//! little about another.

pub mod gateway;
pub mod guesses;
pub mod leases;
pub mod policy;
pub mod records;

use std::time::Duration;

use tokio::time::Instant;

/// How much of everything: `SHORT=1` is for looking whether it works.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub rounds: usize,
    pub per_round: u32,
    pub members: u32,
}

impl Extent {
    /// Whether it is only about whether it works.
    pub fn is_short(self) -> bool {
        self.rounds < 100
    }

    pub const SHORT: Self = Self { rounds: 15, per_round: 200, members: 20_000 };

    pub fn of_environment() -> Self {
        if std::env::var("SHORT").is_ok_and(|short| short == "1") {
            Self::SHORT
        } else {
            Self { rounds: 101, per_round: 1_000, members: 100_000 }
        }
    }
}

/// What each of `subjects` takes for one go, in nanoseconds: the median of rounds in which all of them take turns, so that
/// whatever else the machine does concerns all.
pub fn compare<T>(extent: Extent, subjects: &mut [T], mut go: impl FnMut(&mut T)) -> Vec<f64> {
    let mut rounds: Vec<Vec<Duration>> = subjects.iter().map(|_| Vec::new()).collect();
    for _ in 0..extent.rounds {
        for (subject, took) in subjects.iter_mut().zip(&mut rounds) {
            let begun = Instant::now();
            for _ in 0..extent.per_round {
                go(subject);
            }
            took.push(begun.elapsed());
        }
    }
    rounds.into_iter().map(|took| median(took).as_secs_f64() * 1e9 / f64::from(extent.per_round)).collect()
}

/// Zero of nothing.
pub fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}

/// For the table.
pub fn rounded(nanoseconds: f64) -> f64 {
    nanoseconds.round()
}
