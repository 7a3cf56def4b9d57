//! Who shows credentials that nobody knows.
//!
//! They are counted by the address that they come from. When there were too many, this worker asks nobody about new
//! credentials from there for a while; whoever it knows to be good goes on. Addresses are shared, so this is a bound on
//! guessing and no verdict on anybody.

use std::net::IpAddr;

use portcullis_wire::digest::Digest;

use crate::cache::Bounded;
use crate::rates::{Pace, is_over};

const MINUTE_MS: u64 = 60_000;

/// Addresses that are counted at a time. Whoever has more than that to guess from is not to be stopped by address.
const MAX_SOURCES: usize = 10_000;

/// Bad credentials that are remembered, so that a client which repeats the same one counts as one guess a minute.
const MAX_COUNTED: usize = 1_000;

/// Where a credential comes from, as far as it is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Network(IpAddr),
    /// The host does not say.
    Unknown,
}

impl Source {
    /// One host has a whole /64 of IPv6 to itself.
    pub fn of(address: Option<IpAddr>) -> Self {
        match address {
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Self::Network([a, b, c, d, 0, 0, 0, 0].into())
            }
            Some(address) => Self::Network(address),
            None => Self::Unknown,
        }
    }
}

pub struct Guesses {
    /// How many a minute; none is counted if it is 0.
    per_minute: u32,
    /// Until when what came from there is paid for; see [`crate::rates`].
    sources: Bounded<Source, u64>,
    /// When it was counted.
    counted: Bounded<Digest, u64>,
    /// Credentials that were good when they were last asked about.
    trusted: Bounded<Digest, ()>,
}

impl Guesses {
    pub fn new(per_minute: u32, max_trusted: usize) -> Self {
        Self {
            per_minute,
            sources: Bounded::new(MAX_SOURCES),
            counted: Bounded::new(MAX_COUNTED),
            trusted: Bounded::new(max_trusted),
        }
    }

    pub fn set_bounds(&mut self, per_minute: u32, max_trusted: usize) {
        self.per_minute = per_minute;
        self.trusted.set_capacity(max_trusted);
        while self.trusted.pop_excess().is_some() {}
        if per_minute == 0 {
            self.sources.clear();
        }
    }

    /// Somebody has access with this credential.
    pub fn trust(&mut self, credential: Digest) {
        self.trusted.insert(credential, ());
    }

    /// Whether the token-service may be asked about a credential; `Err` with how long to wait, in milliseconds. `source`
    /// is asked for only if it matters.
    pub fn judge(
        &mut self,
        credential: &Digest,
        source: impl FnOnce() -> Source,
        now_ms: u64,
    ) -> Result<(), u64> {
        if self.sources.is_empty() || self.trusted.get(credential).is_some() {
            return Ok(());
        }
        let Some(paid) = self.sources.get(&source()).copied() else { return Ok(()) };
        self.pace().take(paid, now_ms).map(drop)
    }

    /// Nobody knows this credential.
    pub fn note(&mut self, credential: Digest, source: impl FnOnce() -> Source, now_ms: u64) {
        let last = self.counted.get(&credential).copied();
        let is_repeated = last.is_some_and(|last| now_ms.abs_diff(last) < MINUTE_MS);
        if self.per_minute == 0 || is_repeated {
            return;
        }
        self.counted.insert(credential, now_ms);
        self.trusted.remove(&credential);
        let source = source();
        let paid = self.sources.get(&source).copied().unwrap_or_default();
        // What was under way at once may be more than there is room for: it stays at the brim.
        let paid = self.pace().take(paid, now_ms).unwrap_or(paid);
        self.sources.insert(source, paid);
    }

    /// Forgets the sources that have guessed nothing for a while.
    pub fn sweep(&mut self, now_ms: u64) {
        let over: Vec<Source> = self
            .sources
            .iter()
            .filter(|(_, paid)| is_over(**paid, now_ms))
            .map(|(source, _)| *source)
            .collect();
        for source in over {
            self.sources.remove(&source);
        }
    }

    fn pace(&self) -> Pace {
        Pace::of(self.per_minute, MINUTE_MS)
    }
}

/// Prints sizes only.
impl std::fmt::Debug for Guesses {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Guesses").field("sources", &self.sources).finish_non_exhaustive()
    }
}
