//! The credential texts to look for in what an upstream sends.

use std::fmt;
use std::ops::Range;

use memchr::memchr;
use memchr::memmem::Finder;
use portcullis_wire::lease::CredentialHeader;

/// Shorter texts would be found by chance.
const SHORTEST: usize = 8;

/// Every text that would give an injected credential away: each credential header's value, and for `Bearer x` and
/// `Basic x` also `x` alone; each also as JSON writes it, once or twice. A credential that is encoded in any other way is
/// not found.
///
/// Made once for each lease and shared by its responses. Cannot be printed.
#[derive(Clone, Default)]
pub struct Needles {
    /// Shortest first.
    needles: Vec<Needle>,
}

#[derive(Clone)]
struct Needle {
    bytes: Vec<u8>,
    finder: Finder<'static>,
    /// For each prefix, the length of the longest shorter prefix that it ends with (Knuth, Morris and Pratt).
    borders: Vec<usize>,
    /// A shorter needle inside this one: where that is absent, this need not be looked for.
    contains: Option<usize>,
}

impl Needles {
    pub fn of_headers(headers: &[CredentialHeader]) -> Self {
        Self::of_values(headers.iter().map(|header| header.value.expose()))
    }

    /// Needles for these header values.
    pub fn of_values<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut texts: Vec<String> = Vec::new();
        for value in values {
            let value = value.trim_matches([' ', '\t']);
            texts.extend([Some(value), bare_token(value)].into_iter().flatten().flat_map(spellings));
        }
        texts.retain(|text| text.len() >= SHORTEST && !is_public(text));
        texts.sort_unstable_by(|one, other| one.len().cmp(&other.len()).then_with(|| one.cmp(other)));
        texts.dedup();
        let mut needles: Vec<Needle> = Vec::with_capacity(texts.len());
        for text in texts {
            let contains = needles.iter().position(|shorter| shorter.finder.find(text.as_bytes()).is_some());
            needles.push(Needle::new(text.into_bytes(), contains));
        }
        Self { needles }
    }

    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Whether a needle stands anywhere in `bytes`.
    pub fn occur_in(&self, bytes: &[u8]) -> bool {
        self.needles.iter().any(|needle| needle.contains.is_none() && needle.finder.find(bytes).is_some())
    }

    /// Overwrites each byte of each occurrence, overlapping ones included, by `*`. Returns whether there was one.
    pub fn mask(&self, bytes: &mut [u8]) -> bool {
        let found = self.find(bytes);
        overwrite(bytes, &found);
        !found.is_empty()
    }

    /// Where needles stand in `text`; ranges may overlap.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut present: Vec<bool> = Vec::with_capacity(self.needles.len());
        for needle in &self.needles {
            let possible = needle.contains.is_none_or(|inside| present.get(inside) == Some(&true));
            let before = found.len();
            if possible {
                needle.find(text, &mut found);
            }
            present.push(found.len() > before);
        }
        found
    }

    /// How many bytes at the end of `text` are the start of a needle that may go on in the next chunk.
    pub(super) fn unfinished(&self, text: &[u8]) -> usize {
        self.needles.iter().map(|needle| needle.unfinished(text)).max().unwrap_or(0)
    }
}

/// Returns how many bytes were something else before.
pub(super) fn overwrite(bytes: &mut [u8], ranges: &[Range<usize>]) -> u64 {
    let mut overwritten = 0_u64;
    for range in ranges {
        if let Some(secret) = bytes.get_mut(range.clone()) {
            let shown = secret.iter().filter(|byte| **byte != b'*').count();
            overwritten = overwritten.saturating_add(u64::try_from(shown).unwrap_or(u64::MAX));
            secret.fill(b'*');
        }
    }
    overwritten
}

impl Needle {
    fn new(bytes: Vec<u8>, contains: Option<usize>) -> Self {
        let finder = Finder::new(&bytes).into_owned();
        let mut needle = Self { bytes, finder, borders: vec![0], contains };
        let mut border = 0;
        for at in 1..needle.bytes.len() {
            let Some(byte) = needle.bytes.get(at).copied() else { break };
            border = needle.step(border, byte);
            needle.borders.push(border);
        }
        needle
    }

    /// How much of the needle stands at the end of a text whose end had `state` bytes of it before `byte`.
    fn step(&self, mut state: usize, byte: u8) -> usize {
        while state > 0 && self.bytes.get(state) != Some(&byte) {
            state = self.border(state);
        }
        if self.bytes.get(state) == Some(&byte) { state.saturating_add(1) } else { 0 }
    }

    fn border(&self, length: usize) -> usize {
        length.checked_sub(1).and_then(|at| self.borders.get(at)).copied().unwrap_or(0)
    }

    /// Searches with the fast finder, and after a hit byte by byte for as long as another may overlap it, so that the
    /// time stays linear whatever needle an upstream chose.
    fn find(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        let length = self.bytes.len();
        let mut at = 0_usize;
        while let Some(offset) = text.get(at..).and_then(|rest| self.finder.find(rest)) {
            let start = at.saturating_add(offset);
            at = start.saturating_add(length);
            found.push(start..at);
            let mut state = self.border(length);
            while state > 0 {
                let Some(byte) = text.get(at) else { return };
                at = at.saturating_add(1);
                state = self.step(state, *byte);
                if state == length {
                    found.push(at.saturating_sub(length)..at);
                    state = self.border(length);
                }
            }
        }
    }

    fn unfinished(&self, text: &[u8]) -> usize {
        let longest = self.bytes.len().saturating_sub(1);
        let end = text.get(text.len().saturating_sub(longest)..).unwrap_or_default();
        let Some(first) = self.bytes.first().and_then(|byte| memchr(*byte, end)) else { return 0 };
        end.get(first..).unwrap_or_default().iter().fold(0, |state, byte| self.step(state, *byte))
    }
}

fn bare_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("basic");
    known.then(|| token.trim_start_matches(' '))
}

/// As it is, as JSON writes it, and as JSON writes a text that holds JSON, which is what many tools answer.
fn spellings(text: &str) -> Vec<String> {
    let once = in_json(text);
    let twice = once.iter().flat_map(|once| in_json(once));
    std::iter::once(text.to_owned()).chain(twice).chain(once.clone()).collect()
}

/// Quotes and backslashes escaped, and by some encoders slashes too. Header values hold nothing else to escape.
fn in_json(text: &str) -> [String; 2] {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    let with_slashes = escaped.replace('/', "\\/");
    [escaped, with_slashes]
}

/// Values that servers want in a header beside the secret ones, and that MCP messages hold too: a date (API versions
/// are dates, protocol versions too) or a media type. Masking them would break the protocol and hide nothing.
fn is_public(text: &str) -> bool {
    let is_date = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    is_date
        || ["application/json", "text/event-stream", "application/json, text/event-stream"].contains(&text)
}

/// Prints how many there are.
impl fmt::Debug for Needles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Needles({})", self.needles.len())
    }
}
