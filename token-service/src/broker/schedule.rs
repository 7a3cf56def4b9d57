//! When to renew a token, and when to try again after that failed.

use std::time::Duration;

use crate::clock::{Entropy, Timestamp, random};

/// Renewed by then at the latest, so that there is time to get over an outage of the provider.
const LEAD: Duration = Duration::from_mins(10);

/// The longest pause between two tries.
pub(super) const LONGEST_REST: Duration = Duration::from_mins(5);

/// A provider that names a time is believed up to here.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// When to renew a token that was given at `now`: at 80 % of its life ± 10 %, or ten minutes before it expires,
/// whichever is sooner, though never in the first half of its life. The jitter keeps tokens that were given together
/// from being renewed together.
pub(super) fn renew_at(entropy: &dyn Entropy, now: Timestamp, life: Duration) -> Timestamp {
    let by_share = jittered(entropy, life.saturating_mul(8) / 10);
    now.plus(by_share.min(life.saturating_sub(LEAD)).max(life / 2))
}

/// How long to wait after the `failures`-th failure in a row, counted from 0: `first`, then twice as long each time.
pub(super) fn rest(
    entropy: &dyn Entropy,
    first: Duration,
    failures: u32,
    retry_after: Option<Duration>,
) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_REST);
    jittered(entropy, doubled).max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

/// The duration ± 10 %.
pub(super) fn jittered(entropy: &dyn Entropy, duration: Duration) -> Duration {
    let permille = 900 + u32::from(u16::from_be_bytes(random(entropy))) % 201;
    duration / 1000 * permille
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;
    use proptest::prelude::*;

    /// Every random number at its smallest, or largest.
    struct Constant(u16);

    impl Entropy for Constant {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.copy_from_slice(&self.0.to_be_bytes());
        }
    }

    #[test]
    fn renewal_comes_early_enough_and_not_too_early() {
        let minutes = Duration::from_mins;
        // 200 is the largest remainder of 201.
        for (life, earliest, latest) in [
            (minutes(24 * 60), minutes(24 * 60) * 72 / 100, minutes(24 * 60) * 88 / 100),
            (minutes(60), minutes(60) * 72 / 100, minutes(50)),
            (minutes(30), minutes(20), minutes(20)),
            (minutes(10), minutes(5), minutes(5)),
            (minutes(1), Duration::from_secs(30), Duration::from_secs(30)),
            (Duration::ZERO, Duration::ZERO, Duration::ZERO),
        ] {
            let at = |number| renew_at(&Constant(number), Timestamp(0), life);
            assert_eq!(
                (at(0), at(200)),
                (Timestamp(0).plus(earliest), Timestamp(0).plus(latest)),
                "{life:?}"
            );
        }
    }

    #[test]
    fn rests_grow_and_honour_the_provider() {
        let first = Duration::from_secs(5);
        let rest = |failures, retry_after| rest(&Constant(100), first, failures, retry_after);
        assert_eq!(rest(0, None), first);
        assert_eq!(rest(2, None), 4 * first);
        assert_eq!(rest(u32::MAX, None), LONGEST_REST);
        assert_eq!(rest(0, Some(Duration::from_secs(1))), first);
        assert_eq!(rest(0, Some(Duration::from_mins(20))), Duration::from_mins(20));
        assert_eq!(rest(0, Some(Duration::MAX)), LONGEST_RETRY_AFTER);
    }

    proptest! {
        #[test]
        fn a_token_is_renewed_while_it_lives(seconds in 1_u64..10_000_000) {
            let life = Duration::from_secs(seconds);
            let at = Timestamp(0).until(renew_at(&SystemEntropy, Timestamp(0), life));
            // Timestamps are whole milliseconds.
            prop_assert!(at + Duration::from_millis(1) > life / 2 && at < life);
        }
    }
}
