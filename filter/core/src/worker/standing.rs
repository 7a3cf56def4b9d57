//! Whether responses that are under way may go on, and how sure one has to be of that.

use portcullis_wire::lease::Terms;

use super::Worker;
use crate::leases::Access;
use crate::watch::Freshness;

/// What is known of a response whose request was judged a while ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Sound,
    /// Something that its caller's access rests on has changed: ask.
    Doubtful,
    /// The token-service has been silent for longer than this caller's workspace bears.
    Unverified,
}

/// The silence of a token-service that is not believed any more.
const FOR_EVER_MS: u64 = u64::MAX;

impl Worker {
    /// Counts the invalidations: what was decided at one count needs no other look before the next.
    pub fn invalidations(&self) -> u64 {
        self.leases.invalidated()
    }

    /// Whether a response may go on that was last judged when [`Self::invalidations`] was `seen`. The silence is that of
    /// the last tick: this is asked for every event of every stream, and must not need the time.
    pub fn standing(&self, access: &Access, seen: u64) -> Standing {
        let unchanged = seen == self.leases.invalidated();
        if unchanged && self.silent_ms.is_none() {
            return Standing::Sound;
        }
        if !bears(access.terms(), self.silent_ms) {
            return Standing::Unverified;
        }
        if !unchanged && self.leases.has_ended(access, seen) {
            return Standing::Doubtful;
        }
        Standing::Sound
    }

    /// Whether what is cached may still be used by these terms.
    pub fn may_serve(&self, terms: &Terms, now_ms: u64) -> bool {
        bears(terms, self.silence(now_ms))
    }

    /// Whether the token-service has been silent for so long that what is cached is not known to hold any more.
    pub fn is_unverified(&self, now_ms: u64) -> bool {
        self.silence(now_ms).is_some()
    }

    pub(super) fn note_silence(&mut self, now_ms: u64) {
        self.silent_ms = self.silence(now_ms);
    }

    /// For how long nothing has been verified; `None` while all is.
    fn silence(&self, now_ms: u64) -> Option<u64> {
        match self.watch.freshness(now_ms) {
            Freshness::Fresh => None,
            Freshness::Stale { since_ms } => Some(now_ms.saturating_sub(since_ms)),
            Freshness::NeverSynced | Freshness::Expired => Some(FOR_EVER_MS),
        }
    }

    /// Wakes `stream` at `at_ms`, give or take a tick.
    pub fn wake_later(&mut self, stream: u32, at_ms: u64) {
        self.later.insert(stream, at_ms);
    }

    /// Ends a response whose last bytes are on their way, as soon as they have left.
    pub fn end_soon(&mut self, stream: u32) {
        self.ending.push(stream);
    }
}

fn bears(terms: &Terms, silent_ms: Option<u64>) -> bool {
    let Some(silent_ms) = silent_ms else { return true };
    silent_ms != FOR_EVER_MS && terms.serve_stale_ms.is_none_or(|most_ms| silent_ms <= most_ms)
}
