//! Finding the duplicate among the keys of one object.

use std::borrow::Cow;

use super::text::unescape;

/// A key as it stands in the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    /// What stands between the quotes.
    pub(super) content: &'a [u8],
    /// Of the opening quote.
    pub(super) offset: usize,
    pub(super) escaped: bool,
}

/// Up to so many keys are compared each with each, which is quicker than sorting them.
const FEW: usize = 16;

/// The later of two keys that are equal after unescaping. Compares at most `FEW`² times or sorts, so that no choice
/// of keys makes it slow.
pub(super) fn duplicate<'a>(keys: &[Key<'a>]) -> Option<Key<'a>> {
    if keys.len() <= FEW && !keys.iter().any(|key| key.escaped) {
        return duplicate_among_few(keys);
    }
    let mut texts: Vec<(Cow<'_, str>, Key<'a>)> =
        keys.iter().map(|key| (unescape(key.content, key.escaped), *key)).collect();
    texts.sort_unstable_by(|(left, left_key), (right, right_key)| {
        left.cmp(right).then(left_key.offset.cmp(&right_key.offset))
    });
    let equal = texts.windows(2).filter_map(|pair| match pair {
        [(left, _), (right, key)] if left == right => Some(*key),
        _ => None,
    });
    equal.min_by_key(|key| key.offset)
}

fn duplicate_among_few<'a>(keys: &[Key<'a>]) -> Option<Key<'a>> {
    let mut earlier = keys;
    while let Some((last, before)) = earlier.split_last() {
        if before.iter().any(|key| key.content == last.content) {
            return Some(*last);
        }
        earlier = before;
    }
    None
}
