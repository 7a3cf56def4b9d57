//! When each API key was last used: noted in memory, written in batches, so that a lease costs no write.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::KeyId;

/// How often what was noted is written; a crash loses at most so much.
pub const WRITE_INTERVAL: Duration = Duration::from_mins(1);

/// The uses not yet written.
#[derive(Debug, Default)]
pub struct KeyUse(Mutex<HashMap<KeyId, Timestamp>>);

impl KeyUse {
    pub fn note(&self, key: KeyId, at: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = uses.entry(key).or_default();
        *last = at.max(*last);
    }

    /// Notes again what could not be written.
    pub fn put_back(&self, uses: Vec<(KeyId, Timestamp)>) {
        for (key, at) in uses {
            self.note(key, at);
        }
    }

    /// Takes all that was noted, in the order of key ids.
    pub fn take(&self) -> Vec<(KeyId, Timestamp)> {
        let uses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut uses: Vec<_> = uses.into_iter().collect();
        uses.sort();
        uses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_use_counts_and_is_written_once() {
        let uses = KeyUse::default();
        for (key, at) in [("b", 2), ("a", 5), ("a", 3)] {
            uses.note(key.into(), Timestamp(at));
        }
        assert_eq!(uses.take(), [("a".into(), Timestamp(5)), ("b".into(), Timestamp(2))]);
        assert!(uses.take().is_empty());
    }
}
