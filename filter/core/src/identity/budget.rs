//! How many signatures one worker verifies.

/// A token bucket that holds one second's worth. A verification can cost a millisecond of the worker, so strangers
/// who send random tokens must run dry before the worker does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationBudget {
    per_second: u32,
    /// In thousandths of a verification.
    left: u64,
    filled_ms: u64,
}

const WHOLE: u64 = 1_000;

impl VerificationBudget {
    /// Starts full.
    pub fn new(per_second: u32) -> Self {
        Self { per_second, left: u64::from(per_second).saturating_mul(WHOLE), filled_ms: 0 }
    }

    pub fn set_rate(&mut self, per_second: u32) {
        self.per_second = per_second;
        self.left = self.left.min(self.capacity());
    }

    /// Takes one verification, if there is one left at `now_ms`. A clock that goes backwards fills nothing.
    pub fn take(&mut self, now_ms: u64) -> bool {
        let passed_ms = now_ms.saturating_sub(self.filled_ms);
        self.filled_ms = now_ms;
        let gained = passed_ms.saturating_mul(u64::from(self.per_second));
        self.left = self.left.saturating_add(gained).min(self.capacity());
        match self.left.checked_sub(WHOLE) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn capacity(&self) -> u64 {
        u64::from(self.per_second).saturating_mul(WHOLE)
    }
}

#[cfg(test)]
mod tests {
    use super::VerificationBudget;
    use proptest::prelude::*;

    fn taken(budget: &mut VerificationBudget, now_ms: u64, tries: u32) -> usize {
        (0..tries).filter(|_| budget.take(now_ms)).count()
    }

    #[test]
    fn one_seconds_worth_at_once_then_the_rate() {
        let mut budget = VerificationBudget::new(50);
        assert_eq!(taken(&mut budget, 1_000_000, 100), 50);
        assert_eq!(taken(&mut budget, 1_000_019, 100), 0);
        assert_eq!(taken(&mut budget, 1_000_020, 100), 1);
        assert_eq!(taken(&mut budget, 9_000_000, 100), 50);
    }

    #[test]
    fn a_clock_put_back_does_not_stop_the_filling() {
        let mut budget = VerificationBudget::new(10);
        assert_eq!(taken(&mut budget, 1_000_000, 100), 10);
        assert_eq!(taken(&mut budget, 5_000, 100), 0);
        assert_eq!(taken(&mut budget, 5_500, 100), 5);
        budget.set_rate(2);
        assert_eq!(taken(&mut budget, 60_000, 100), 2);
    }

    proptest! {
        #[test]
        fn never_more_than_rate_and_burst(
            rate in 1_u32..100,
            steps in proptest::collection::vec((0_u64..500, 0_u32..50), 1..40),
        ) {
            let mut budget = VerificationBudget::new(rate);
            let mut now_ms = 0;
            let mut total = 0;
            for (passed, tries) in steps {
                now_ms += passed;
                total += taken(&mut budget, now_ms, tries) as u64;
            }
            prop_assert!(total * 1_000 <= u64::from(rate) * (now_ms + 1_000));
        }
    }
}
