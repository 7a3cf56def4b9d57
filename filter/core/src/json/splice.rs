//! Changes to a document, as edits of its bytes: what no edit touches stays byte for byte.

use std::borrow::Cow;
use std::ops::Range;

/// Edits of one document, made in order of their place.
#[derive(Debug, Default)]
pub(crate) struct Splice {
    edits: Vec<(Range<usize>, Cow<'static, str>)>,
}

impl Splice {
    /// Puts `text` where `range` was.
    pub(crate) fn replace(&mut self, range: Range<usize>, text: impl Into<Cow<'static, str>>) {
        self.edits.push((range, text.into()));
    }

    pub(crate) fn insert(&mut self, at: usize, text: impl Into<Cow<'static, str>>) {
        self.replace(at..at, text);
    }

    pub(crate) fn remove(&mut self, range: Range<usize>) {
        self.replace(range, "");
    }

    /// Takes entries out of an array, or members out of an object: all that are not kept, in the order in which they
    /// stand. An entry goes with the comma before it; entries at the front go with the comma after them.
    pub(crate) fn cut(&mut self, entries: impl Iterator<Item = (Range<usize>, bool)>) {
        let mut last_kept_end: Option<usize> = None;
        // What has to go and is not cut yet.
        let mut cut: Option<Range<usize>> = None;
        for (span, kept) in entries {
            match (&mut cut, kept) {
                (None, false) => cut = Some(last_kept_end.unwrap_or(span.start)..span.end),
                (Some(open), false) => open.end = span.end,
                (_, true) => {
                    if let Some(open) = cut.take() {
                        let end = if last_kept_end.is_some() { open.end } else { span.start };
                        self.remove(open.start..end);
                    }
                    last_kept_end = Some(span.end);
                }
            }
        }
        if let Some(open) = cut {
            self.remove(open);
        }
    }

    /// The edited document; `None` if there is nothing to change. Edits must not overlap.
    pub(crate) fn apply(mut self, original: &[u8]) -> Option<Vec<u8>> {
        if self.edits.is_empty() {
            return None;
        }
        self.edits.sort_by_key(|(range, _)| (range.start, range.end));
        let inserted: usize = self.edits.iter().map(|(_, text)| text.len()).sum();
        let mut edited = Vec::with_capacity(original.len().saturating_add(inserted));
        let mut at = 0;
        for (range, text) in &self.edits {
            edited.extend_from_slice(original.get(at..range.start).unwrap_or_default());
            edited.extend_from_slice(text.as_bytes());
            at = at.max(range.end);
        }
        edited.extend_from_slice(original.get(at..).unwrap_or_default());
        Some(edited)
    }
}
