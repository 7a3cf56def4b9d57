//! Names and globs.

use serde::{Deserialize, Serialize};

/// Names allowed and denied, each exact or a glob. Deny wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameRules {
    /// Only these; absent means all, an empty list means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<Pattern>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Pattern>,
}

impl NameRules {
    pub fn is_empty(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }
}

/// A name, or a glob in which `*` stands for any run of characters (`/` included) and everything else for itself.
/// Names are compared byte for byte: no case folding, no Unicode normalisation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

/// How a pattern can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'pattern> {
    /// No `*`.
    Exact(&'pattern str),
    /// One `*`, at the end: what is before it.
    Prefix(&'pattern str),
    /// One `*`, at the start: what is behind it.
    Suffix(&'pattern str),
    /// A `*` inside, or several: to be tried one by one.
    Other,
}

impl Pattern {
    pub fn matches(&self, name: &str) -> bool {
        glob(self.0.as_bytes(), name.as_bytes())
    }

    pub fn shape(&self) -> Shape<'_> {
        match self.0.split_once('*') {
            None => Shape::Exact(&self.0),
            Some((before, "")) => Shape::Prefix(before),
            Some(("", behind)) if !behind.contains('*') => Shape::Suffix(behind),
            Some(_) => Shape::Other,
        }
    }
}

/// Matches without recursion and in at most `pattern × name` steps: on a mismatch the last `*` takes one byte more.
fn glob(mut pattern: &[u8], mut name: &[u8]) -> bool {
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                retry = Some((rest, name));
                pattern = rest;
            }
            (Some((expected, rest)), Some((found, tail))) if expected == found => {
                pattern = rest;
                name = tail;
            }
            (None, None) => return true,
            _ => {
                let Some((after_star, from)) = retry else { return false };
                let Some((_, shorter)) = from.split_first() else { return false };
                retry = Some((after_star, shorter));
                pattern = after_star;
                name = shorter;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "A", false),
            ("", "", true),
            ("*", "", true),
            ("*", "x/y", true),
            ("create_*", "create_issue", true),
            ("create_*", "recreate_issue", false),
            ("*_issue", "create_issue", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-d", false),
            ("a?", "ab", false),
        ] {
            assert_eq!(Pattern(pattern.into()).matches(name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn shapes() {
        for (pattern, shape) in [
            ("", Shape::Exact("")),
            ("a", Shape::Exact("a")),
            ("*", Shape::Prefix("")),
            ("a*", Shape::Prefix("a")),
            ("*a", Shape::Suffix("a")),
            ("**", Shape::Other),
            ("*a*", Shape::Other),
            ("a*a", Shape::Other),
            ("a**", Shape::Other),
        ] {
            assert_eq!(Pattern(pattern.into()).shape(), shape, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn globs_agree_with_a_plain_definition(pattern in "[ab*]{0,6}", name in "[ab]{0,8}") {
            fn slow(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|skip| slow(rest, &name[skip..])),
                    Some((byte, rest)) => name.first() == Some(byte) && slow(rest, &name[1..]),
                }
            }
            prop_assert_eq!(Pattern(pattern.clone()).matches(&name), slow(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
