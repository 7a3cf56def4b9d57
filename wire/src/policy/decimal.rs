//! Numbers by their exact value.

use std::cmp::Ordering;

/// A JSON number as it is written, without loss: no rounding to a double, and `1`, `1.0` and `1e0` are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// `0.<digits> × 10^exponent`, without zeros at either end; empty for zero.
    digits: Box<[u8]>,
    exponent: i64,
}

impl Decimal {
    /// Reads a JSON number; `None` if it is none, or of a size that nobody means.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if whole.is_empty() || !all.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let leading = all.iter().take_while(|digit| **digit == b'0').count();
        let trailing = all.iter().rev().take_while(|digit| **digit == b'0').count();
        let digits = all.get(leading..all.len().saturating_sub(trailing)).unwrap_or_default();
        if digits.is_empty() {
            return Some(Self { negative: false, digits: Box::default(), exponent: 0 });
        }
        let point = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(leading).ok()?)?;
        Some(Self { negative, digits: digits.into(), exponent: point.checked_add(exponent)? })
    }

    /// How many digits it takes to write it.
    pub fn significant_digits(&self) -> usize {
        self.digits.len()
    }

    /// -1, 0 or 1.
    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = || self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        self.sign().cmp(&other.sign()).then_with(|| if self.negative { size().reverse() } else { size() })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
    }

    #[test]
    fn equal_numbers() {
        for group in [
            vec!["1", "1.0", "1e0", "10e-1", "0.1e1", "1E+0"],
            vec!["0", "-0", "0.000", "0e99"],
            vec!["-1200", "-1.2e3", "-12e2"],
            vec!["9007199254740993", "9007199254740993.0"],
        ] {
            for text in &group {
                assert_eq!(decimal(text), decimal(group[0]), "{text}");
            }
        }
    }

    #[test]
    fn in_order() {
        let ordered = [
            "-9007199254740993",
            "-9007199254740992",
            "-1e3",
            "-1.5",
            "-1",
            "-1e-9",
            "0",
            "1e-300",
            "0.1",
            "0.12",
            "0.123",
            "1",
            "9.99",
            "10",
            "9007199254740992",
            "9007199254740993",
            "9007199254740993.00000000000000001",
            "1e300",
        ];
        for (index, less) in ordered.iter().enumerate() {
            for more in &ordered[index + 1..] {
                assert!(decimal(less) < decimal(more) && decimal(more) > decimal(less), "{less} < {more}");
            }
        }
    }

    #[test]
    fn what_is_none() {
        for text in ["", "-", ".5", "e1", "1e", "1e99999999999999999999", "0x1", "NaN", "1,5", "--1"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn integers_are_ordered_as_integers(left in any::<i128>(), right in any::<i128>()) {
            let (one, other) = (decimal(&left.to_string()), decimal(&right.to_string()));
            prop_assert_eq!(one.cmp(&other), left.cmp(&right));
        }
    }
}
