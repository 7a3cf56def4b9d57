//! When each API key and each sign-in of a client was last used: noted in memory, written in batches, so that a lease costs no write.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::{ClientSessionId, KeyId};

/// How often what was noted is written; a crash loses at most so much.
pub const WRITE_INTERVAL: Duration = Duration::from_mins(1);

pub type KeyUse = LastUse<KeyId>;
pub type SessionUse = LastUse<ClientSessionId>;

/// The uses not yet written.
#[derive(Debug)]
pub struct LastUse<Id>(Mutex<HashMap<Id, Timestamp>>);

impl<Id> Default for LastUse<Id> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Id: Ord + Hash> LastUse<Id> {
    pub fn note(&self, id: Id, at: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = uses.entry(id).or_default();
        *last = at.max(*last);
    }

    /// Notes again what could not be written.
    pub fn put_back(&self, uses: Vec<(Id, Timestamp)>) {
        for (id, at) in uses {
            self.note(id, at);
        }
    }

    /// Takes all that was noted, in the order of ids.
    pub fn take(&self) -> Vec<(Id, Timestamp)> {
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
