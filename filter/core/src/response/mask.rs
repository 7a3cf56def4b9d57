//! Hides the injected credential from the client of an upstream that echoes it.

use std::fmt;
use std::sync::Arc;

use super::needles::{Needles, overwrite};
use crate::step::ResponseChunk;

/// Overwrites the credential in a body that comes in chunks. The length of the body stays the same.
///
/// Holds back only bytes at the end of a chunk that may be the start of a credential.
pub struct Mask {
    needles: Arc<Needles>,
    /// The bytes held back, as they came.
    tail: Vec<u8>,
    /// The same bytes as they may be shown: some may belong to an occurrence that has ended already.
    shown: Vec<u8>,
    has_masked: bool,
    masked_bytes: u64,
}

impl Mask {
    pub fn new(needles: Arc<Needles>) -> Self {
        Self { needles, tail: Vec::new(), shown: Vec::new(), has_masked: false, masked_bytes: 0 }
    }

    /// Whether a credential was found so far.
    pub fn has_masked(&self) -> bool {
        self.has_masked
    }

    /// How many bytes were overwritten so far.
    pub fn masked_bytes(&self) -> u64 {
        self.masked_bytes
    }

    /// Takes the next chunk; with `end` nothing is held back any more.
    pub fn push(&mut self, chunk: &[u8], end: bool) -> ResponseChunk {
        if self.needles.is_empty() {
            return ResponseChunk::Keep;
        }
        if self.tail.is_empty() {
            let found = self.needles.find(chunk);
            let hold = if end { 0 } else { self.needles.unfinished(chunk) };
            if found.is_empty() && hold == 0 {
                return ResponseChunk::Keep;
            }
            return self.give(chunk.to_vec(), chunk, &found, hold);
        }
        let mut text = std::mem::take(&mut self.tail);
        text.extend_from_slice(chunk);
        let mut shown = std::mem::take(&mut self.shown);
        shown.extend_from_slice(chunk);
        let found = self.needles.find(&text);
        let hold = if end { 0 } else { self.needles.unfinished(&text) };
        self.give(shown, &text, &found, hold)
    }

    fn give(
        &mut self,
        mut shown: Vec<u8>,
        text: &[u8],
        found: &[std::ops::Range<usize>],
        hold: usize,
    ) -> ResponseChunk {
        self.masked_bytes = self.masked_bytes.saturating_add(overwrite(&mut shown, found));
        self.has_masked |= !found.is_empty();
        let cut = text.len().saturating_sub(hold);
        self.tail = text.get(cut..).unwrap_or_default().to_vec();
        self.shown = shown.split_off(cut.min(shown.len()));
        ResponseChunk::Replace(shown)
    }
}

/// Prints sizes only: what is held back may be a credential.
impl fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Mask")
            .field("needles", &self.needles)
            .field("held", &self.tail.len())
            .finish_non_exhaustive()
    }
}
