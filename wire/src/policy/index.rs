//! Many patterns, so arranged that finding those that match a name takes the same however many there are.
//!
//! Exact names are looked up. Globs with one `*`, at their end or at their start, lie in order by what is before it or
//! (read backwards) behind it. All others, those with a `*` inside or with several, are tried one by one: where patterns
//! are configured, there may only be few of them in a list.

use std::collections::HashMap;

use super::names::{Pattern, Shape};

/// Where in a list the first pattern is that matches a name.
#[derive(Debug, Default)]
pub(super) struct NameIndex {
    exact: HashMap<Box<str>, usize>,
    prefixes: Beginnings,
    /// Read backwards.
    suffixes: Beginnings,
    others: Vec<(usize, Pattern)>,
}

impl NameIndex {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let mut index = Self::default();
        let (mut prefixes, mut suffixes) = (Vec::new(), Vec::new());
        for (place, pattern) in patterns.iter().enumerate() {
            match pattern.shape() {
                Shape::Exact(name) => {
                    index.exact.entry(name.into()).or_insert(place);
                }
                Shape::Prefix(start) => prefixes.push((start.as_bytes().into(), place)),
                Shape::Suffix(end) => suffixes.push((backwards(end), place)),
                Shape::Other => index.others.push((place, pattern.clone())),
            }
        }
        index.prefixes = Beginnings::new(prefixes);
        index.suffixes = Beginnings::new(suffixes);
        index
    }

    /// The place of the first pattern of the list that matches `name`.
    pub(super) fn first(&self, name: &str) -> Option<usize> {
        let suffix = || self.suffixes.first(&backwards(name));
        let found = [
            self.exact.get(name).copied(),
            self.prefixes.first(name.as_bytes()),
            if self.suffixes.is_empty() { None } else { suffix() },
            self.others.iter().find(|(_, pattern)| pattern.matches(name)).map(|(place, _)| *place),
        ];
        found.into_iter().flatten().min()
    }

    /// Whether one of the patterns is this very name.
    pub(super) fn names(&self, name: &str) -> bool {
        self.exact.contains_key(name)
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.first(name).is_some()
    }
}

fn backwards(text: &str) -> Box<[u8]> {
    text.bytes().rev().collect()
}

/// Beginnings of names in order. Those of one name follow each other as their parents.
#[derive(Debug, Default)]
struct Beginnings(Vec<Beginning>);

#[derive(Debug)]
struct Beginning {
    text: Box<[u8]>,
    /// The least place among its own and those of all that it begins with.
    first: usize,
    /// The longest other that it begins with.
    parent: Option<usize>,
}

impl Beginnings {
    fn new(mut texts: Vec<(Box<[u8]>, usize)>) -> Self {
        texts.sort_unstable();
        // The first of equal ones has the least place.
        texts.dedup_by(|later, kept| later.0 == kept.0);
        let mut all: Vec<Beginning> = Vec::with_capacity(texts.len());
        // What the last one begins with, itself included, shortest first.
        let mut open: Vec<usize> = Vec::new();
        for (text, place) in texts {
            let begins_with = |at: &usize| all.get(*at).is_some_and(|parent| text.starts_with(&parent.text));
            while open.last().is_some_and(|at| !begins_with(at)) {
                open.pop();
            }
            let parent = open.last().copied();
            let of_parent = parent.and_then(|at| all.get(at)).map_or(usize::MAX, |parent| parent.first);
            open.push(all.len());
            all.push(Beginning { text, first: place.min(of_parent), parent });
        }
        Self(all)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The least place of all that `name` begins with. They are the parents of whatever is last in order before `name`.
    fn first(&self, name: &[u8]) -> Option<usize> {
        let mut at = self.0.partition_point(|beginning| *beginning.text <= *name).checked_sub(1)?;
        loop {
            let beginning = self.0.get(at)?;
            if name.starts_with(&beginning.text) {
                return Some(beginning.first);
            }
            at = beginning.parent?;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_the_first_pattern_that_matches(
            patterns in proptest::collection::vec("[ab]{0,4}\\*?|\\*[ab]{0,3}|[ab*]{0,4}", 0..12),
            name in "[ab]{0,5}",
        ) {
            let patterns: Vec<Pattern> = patterns.into_iter().map(Pattern).collect();
            let expected = patterns.iter().position(|pattern| pattern.matches(&name));
            prop_assert_eq!(NameIndex::new(&patterns).first(&name), expected);
        }
    }
}
