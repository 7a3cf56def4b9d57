//! Faults, each judged in three conditions: a first request, a caller whom the filter knows, a response under way.
//!
//! [`catalogue`] has them all, with what is expected while they last and once they are healed. Most are made here, against
//! the real system, by the [`stories`]: a [`scene::Scene`] is laid, and [`drive`] injects a fault, looks at the three
//! conditions, heals it, and looks again. Others are proved by tests that are named. `src/bin/faults.rs` (`make faults`)
//! runs all stories and prints the table; `tests/faults/main.rs` runs each as a test.

pub mod catalogue;
pub mod drive;
pub mod forger;
pub mod line;
pub mod report;
pub mod scene;
pub mod stories;
pub mod trap;

use std::fmt;

/// Who meets the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// A caller for whom and for the server the filter has no lease.
    First,
    /// A caller with a lease.
    Cached,
    /// A response that is under way.
    Stream,
}

impl Condition {
    pub const ALL: [Self; 3] = [Self::First, Self::Cached, Self::Stream];
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::First => "first request",
            Self::Cached => "cached caller",
            Self::Stream => "open stream",
        })
    }
}

/// What a condition shows. A stream that is served goes on; one that is refused ends with the refusal as its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Served,
    /// 503 with −31003 and when to come back.
    Refused,
    /// Served for as long as the workspace bears that nothing is verified, then refused.
    ServedForAWhile,
    /// 401
    Unauthenticated,
    /// A link to connect an account.
    AskedToConnect,
    /// The connection breaks, or nobody takes it.
    NoAnswer,
    /// Another status or code.
    Other(u16),
    /// The fault leaves nobody in this condition.
    NotACase,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served => formatter.pad("served"),
            Self::Refused => formatter.pad("refused"),
            Self::ServedForAWhile => formatter.pad("for a while"),
            Self::Unauthenticated => formatter.pad("401"),
            Self::AskedToConnect => formatter.pad("asked to connect"),
            Self::NoAnswer => formatter.pad("broken"),
            Self::Other(status) => formatter.pad(&format!("answered {status}")),
            Self::NotACase => formatter.pad("–"),
        }
    }
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub id: &'static str,
    pub what: &'static str,
    pub how: How,
}

/// How it is known what becomes of a fault.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// It is made.
    Driven(Driven),
    /// Tests prove it whole, `<file>::<name>`; in words what they show.
    Proved { shown: &'static str, by: &'static [&'static str] },
}

/// A fault that is made here.
#[derive(Clone, Copy, Debug)]
pub struct Driven {
    /// Of [`stories::STORIES`].
    pub story: &'static str,
    /// How it is injected and healed.
    pub means: &'static str,
    /// By condition, in the order of [`Condition::ALL`].
    pub during: [Outcome; 3],
    pub after: [Outcome; 3],
    /// Whether what refuses a call is behind the filter, so that the call may get there.
    pub may_reach: bool,
}
