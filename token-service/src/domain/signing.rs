//! The keys that sign access tokens, and which of them does what when.
//!
//! ```text
//!  published ───ten minutes──► active ───its successor is active──► retired ───nothing it signed is valid──► gone
//! ```
//!
//! The state of a key follows from the times of all of them, so nothing has to be written for it to change, and every
//! replica comes to the same conclusion.

use std::time::Duration;

use portcullis_wire::watch::Algorithm;

use super::server::Sealed;
use crate::clock::Timestamp;

/// How long everybody who verifies tokens knows a key before it signs.
pub const PUBLISHED_AHEAD: Duration = Duration::from_mins(10);

/// How long a key signs.
pub const ROTATED_AFTER: Duration = Duration::from_hours(90 * 24);

/// The longest life of an access token that can be configured.
pub const LONGEST_TOKEN: Duration = Duration::from_hours(1);

/// How long a key verifies after its successor signs: the longest life of a token, and clocks that are off.
const KEPT_AFTER: Duration = Duration::from_mins(65);

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// `kid`.
    pub id: String,
    pub algorithm: Algorithm,
    /// Sealed to [`Place::signing_key`](crate::vault::Place::signing_key).
    pub private_key: Sealed,
    pub published_at: Timestamp,
    pub active_from: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Published,
    Active,
    Retired,
}

impl KeyState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

/// The state of each of `keys`, which are all there are, oldest first.
pub fn states(keys: &[SigningKeyRow], now: Timestamp) -> Vec<KeyState> {
    let active = keys.iter().rposition(|key| key.active_from <= now);
    let state = |position| match active {
        Some(active) if position < active => KeyState::Retired,
        Some(active) if position == active => KeyState::Active,
        _ => KeyState::Published,
    };
    (0..keys.len()).map(state).collect()
}

/// The key that signs.
pub fn signer(keys: &[SigningKeyRow], now: Timestamp) -> Option<&SigningKeyRow> {
    keys.iter().rfind(|key| key.active_from <= now)
}

/// Those that have signed nothing which could still be valid.
pub fn outlived(keys: &[SigningKeyRow], now: Timestamp) -> impl Iterator<Item = &SigningKeyRow> {
    keys.iter()
        .zip(keys.iter().skip(1))
        .filter(move |(_, next)| next.active_from.plus(KEPT_AFTER) <= now)
        .map(|(key, _)| key)
}

/// Whether there should be another key: the newest has signed long enough, or is of another algorithm than wanted.
pub fn is_due(keys: &[SigningKeyRow], algorithm: Algorithm, now: Timestamp) -> bool {
    keys.last()
        .is_none_or(|newest| newest.algorithm != algorithm || newest.active_from.plus(ROTATED_AFTER) <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, published_at: u64, active_from: u64) -> SigningKeyRow {
        SigningKeyRow {
            id: id.to_owned(),
            algorithm: Algorithm::Es256,
            private_key: Sealed::new(vec![1]),
            published_at: Timestamp::from_seconds(published_at),
            active_from: Timestamp::from_seconds(active_from),
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_new_key_is_known_before_it_signs_and_an_old_one_after() {
        let keys = [key("one", 0, 0), key("two", 1_000, 1_600)];
        let signer_at = |seconds| signer(&keys, at(seconds)).map(|key| key.id.as_str());
        assert_eq!((signer_at(1_599), signer_at(1_600)), (Some("one"), Some("two")));
        assert_eq!(states(&keys, at(1_599)), [KeyState::Active, KeyState::Published]);
        assert_eq!(states(&keys, at(1_600)), [KeyState::Retired, KeyState::Active]);
        let gone_at = |seconds| outlived(&keys, at(seconds)).map(|key| key.id.as_str()).collect::<Vec<_>>();
        // A token of the longest life, signed at the last moment, and a clock that is a minute off.
        assert!(gone_at(1_600 + LONGEST_TOKEN.as_secs() + 60).is_empty());
        assert_eq!(gone_at(1_600 + KEPT_AFTER.as_secs()), ["one"]);
    }

    #[test]
    fn a_key_is_due_after_ninety_days_and_when_another_algorithm_is_wanted() {
        let keys = [key("one", 0, 600)];
        let days = 90 * 24 * 3600;
        assert!(!is_due(&keys, Algorithm::Es256, at(600 + days - 1)));
        assert!(is_due(&keys, Algorithm::Es256, at(600 + days)));
        assert!(is_due(&keys, Algorithm::EdDsa, at(601)));
        assert!(is_due(&[], Algorithm::Es256, at(0)));
        assert_eq!(signer(&keys, at(599)), None);
    }
}
