//! JSON with its secrets masked, read only as far as it is shown.
//!
//! This is no second strict reader: nothing is decided by what it reads. It walks from token to token, so that a
//! megabyte costs no more than the few kilobytes that are logged, and gives up on what is not JSON.

use std::borrow::Cow;

use super::paths::{Paths, Place, Trail, Way};
use super::quoted::{closing_quote, readable_start};
use super::secrets::{REDACTED, Secrecy, key_secrecy, redact_text};

/// How much of a string is looked at beyond what can still be shown, so that a secret at the edge is recognised.
const LOOK_AHEAD: usize = 8 * 1024;

/// JSON documents inside strings are read so many levels down.
const NESTED: usize = 3;

pub(super) struct Redacted {
    /// Longer than the limit, or all there is to show.
    pub(super) text: String,
    pub(super) complete: bool,
}

/// Masks secrets in the document that starts with `prefix`, and what stands where `hidden` says, until more than `limit`
/// bytes are there to show. `None` if what was read is not JSON, or not an object though something in it is hidden.
pub(super) fn redact(prefix: &[u8], whole: bool, limit: usize, hidden: &Paths) -> Option<Redacted> {
    let is_object = || prefix.trim_ascii_start().first() == Some(&b'{');
    if !hidden.is_empty() && !is_object() {
        return None;
    }
    Document { prefix, whole, hidden, trail: hidden.start(), nested: NESTED }.redact(limit)
}

/// A document, or one inside a string of another.
struct Document<'p> {
    prefix: &'p [u8],
    /// The prefix is all of it.
    whole: bool,
    hidden: &'p Paths,
    /// The way to it.
    trail: Trail,
    /// So many levels of documents may be inside its strings.
    nested: usize,
}

impl Document<'_> {
    fn redact(self, limit: usize) -> Option<Redacted> {
        let Document { prefix, whole, hidden, trail, nested } = self;
        let mut walk = Walk {
            bytes: prefix,
            at: 0,
            whole,
            limit,
            nested,
            hidden,
            root: trail,
            output: Vec::new(),
            open: Vec::new(),
            expected: Expected::Value,
        };
        let complete = walk.run()?;
        Some(Redacted { text: String::from_utf8(walk.output).ok()?, complete })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// An array or object that is being read.
struct Open {
    is_object: bool,
    /// What the last key says about its value.
    secrecy: Secrecy,
    /// The last key is `name` or `key`, whose value may be the key of a `value` beside it.
    names: bool,
    /// The last key is `value`.
    is_value: bool,
    /// What a `name` or `key` beside it says about `value`.
    named: Secrecy,
    /// The way here.
    trail: Trail,
    /// Where the last key leads.
    place: Place,
    /// Of the next element.
    index: usize,
}

struct Walk<'p> {
    bytes: &'p [u8],
    at: usize,
    whole: bool,
    limit: usize,
    nested: usize,
    hidden: &'p Paths,
    /// The way to the document.
    root: Trail,
    output: Vec<u8>,
    open: Vec<Open>,
    expected: Expected,
}

/// A string token.
struct Text<'p> {
    /// Between the quotes, as it stands.
    raw: &'p [u8],
    decoded: Cow<'p, str>,
    /// It goes on beyond `raw`.
    cut: bool,
}

impl<'p> Walk<'p> {
    /// Whether the document was walked to its end.
    fn run(&mut self) -> Option<bool> {
        while self.output.len() <= self.limit {
            let Some(byte) = self.bytes.get(self.at).copied() else {
                let ended = self.expected == Expected::Nothing;
                return if self.whole { ended.then_some(true) } else { Some(false) };
            };
            let goes_on = match (byte, self.expected) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => self.copy(byte, self.expected),
                (b'"', Expected::Key | Expected::KeyOrEnd) => self.key()?,
                (b':', Expected::Colon) => self.copy(byte, Expected::Value),
                (b',', Expected::CommaOrEnd) => {
                    let in_object = self.open.last()?.is_object;
                    self.copy(byte, if in_object { Expected::Key } else { Expected::Value })
                }
                (b'}', Expected::KeyOrEnd | Expected::CommaOrEnd) => self.close(byte, true)?,
                (b']', Expected::ValueOrEnd | Expected::CommaOrEnd) => self.close(byte, false)?,
                (_, Expected::Value | Expected::ValueOrEnd) => self.value(byte)?,
                _ => return None,
            };
            if !goes_on {
                return Some(false);
            }
        }
        Some(false)
    }

    fn copy(&mut self, byte: u8, expected: Expected) -> bool {
        self.output.push(byte);
        self.at = self.at.saturating_add(1);
        self.expected = expected;
        true
    }

    fn close(&mut self, byte: u8, is_object: bool) -> Option<bool> {
        (self.open.pop()?.is_object == is_object).then(|| self.copy(byte, self.after_value()))
    }

    fn after_value(&self) -> Expected {
        if self.open.is_empty() { Expected::Nothing } else { Expected::CommaOrEnd }
    }

    fn key(&mut self) -> Option<bool> {
        let text = self.string()?;
        let open = self.open.last_mut()?;
        open.names = matches!(text.decoded.as_ref(), "name" | "key");
        open.is_value = text.decoded == "value";
        open.secrecy = key_secrecy(&text.decoded);
        open.place = self.hidden.follow(open.trail, Way::Key(&text.decoded));
        self.expected = Expected::Colon;
        Some(self.write_text(&text, Trail::default()))
    }

    /// What the key of the value that comes next says about it.
    fn secrecy(&self) -> Secrecy {
        match self.open.last() {
            Some(open) if open.is_object && open.is_value => open.named,
            Some(open) if open.is_object => open.secrecy,
            _ => Secrecy::Open,
        }
    }

    /// Where the value that comes next stands.
    fn place(&mut self) -> Place {
        match self.open.last_mut() {
            None => Place::Inside(self.root),
            Some(open) if open.is_object => open.place,
            Some(open) => {
                let index = open.index;
                open.index = index.saturating_add(1);
                self.hidden.follow(open.trail, Way::Index(index))
            }
        }
    }

    fn value(&mut self, byte: u8) -> Option<bool> {
        let goes_on = match (self.place(), self.secrecy(), byte) {
            (Place::Hidden, _, _) => self.hide(byte)?,
            (Place::Inside(trail), secrecy, b'"') => {
                let text = self.string()?;
                self.note_name(&text);
                if secrecy == Secrecy::Open {
                    self.write_text(&text, trail)
                } else {
                    self.write_redacted();
                    !text.cut
                }
            }
            (Place::Inside(trail), Secrecy::Open, b'{' | b'[') => return Some(self.enter(byte, trail)),
            (Place::Inside(_), _, b'{' | b'[') => self.hide_container()?,
            (Place::Inside(_), secrecy, _) => self.scalar(secrecy)?,
        };
        self.expected = self.after_value();
        Some(goes_on)
    }

    /// Puts the mark in place of the value that starts here.
    fn hide(&mut self, byte: u8) -> Option<bool> {
        match byte {
            b'"' => {
                let text = self.string()?;
                self.note_name(&text);
                self.write_redacted();
                if !text.cut {
                    return Some(true);
                }
                // All of it is hidden, so its end is enough to go on.
                let rest = self.bytes.get(self.text_end(&text)..).unwrap_or_default();
                let Some(end) = closing_quote(rest) else { return (!self.whole).then_some(false) };
                self.at = self.text_end(&text).saturating_add(end).saturating_add(1);
                Some(true)
            }
            b'{' | b'[' => self.hide_container(),
            _ => {
                let shown = self.output.len();
                let goes_on = self.scalar(Secrecy::Everything)?;
                self.output.truncate(shown);
                self.write_redacted();
                Some(goes_on)
            }
        }
    }

    fn hide_container(&mut self) -> Option<bool> {
        self.write_redacted();
        let ended = self.skip_container();
        if !ended && self.whole { None } else { Some(ended) }
    }

    /// A text may be the name of a `value` beside it.
    fn note_name(&mut self, text: &Text<'_>) {
        if let Some(open) = self.open.last_mut()
            && open.names
        {
            open.named = key_secrecy(&text.decoded);
        }
    }

    fn enter(&mut self, byte: u8, trail: Trail) -> bool {
        let is_object = byte == b'{';
        self.open.push(Open {
            is_object,
            secrecy: Secrecy::Open,
            names: false,
            is_value: false,
            named: Secrecy::Open,
            trail,
            place: Place::Inside(Trail::default()),
            index: 0,
        });
        self.copy(byte, if is_object { Expected::KeyOrEnd } else { Expected::ValueOrEnd })
    }

    fn scalar(&mut self, secrecy: Secrecy) -> Option<bool> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().position(|byte| b",]} \t\r\n".contains(byte)).unwrap_or(rest.len());
        let scalar = rest.get(..end)?;
        let is_number = scalar.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-')
            && scalar.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
        let cut = end == rest.len() && !self.whole;
        let is_word = [b"true".as_slice(), b"false", b"null"]
            .iter()
            .any(|word| if cut { word.starts_with(scalar) } else { *word == scalar });
        if !is_number && !is_word {
            return None;
        }
        if cut {
            // Nothing is lost by not showing half a number.
            return Some(false);
        }
        self.at = self.at.saturating_add(end);
        if is_number && secrecy == Secrecy::Everything {
            self.write_redacted();
        } else {
            self.output.extend_from_slice(scalar);
        }
        Some(true)
    }

    /// Moves behind a container that is not shown. False if its end is not in sight.
    fn skip_container(&mut self) -> bool {
        let mut depth = 0_usize;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'{' | b'[' => depth = depth.saturating_add(1),
                b'}' | b']' => depth = depth.saturating_sub(1),
                b'"' => {
                    let content = self.bytes.get(self.at.saturating_add(1)..).unwrap_or_default();
                    let Some(end) = closing_quote(content) else { return false };
                    self.at = self.at.saturating_add(end).saturating_add(1);
                }
                _ => {}
            }
            self.at = self.at.saturating_add(1);
            if depth == 0 {
                return true;
            }
        }
        false
    }

    /// Reads the string at the opening quote, as far as it can matter.
    fn string(&mut self) -> Option<Text<'p>> {
        let bytes: &'p [u8] = self.bytes;
        let content = bytes.get(self.at.saturating_add(1)..)?;
        let wanted = self.limit.saturating_sub(self.output.len()).saturating_add(LOOK_AHEAD);
        let window = content.get(..wanted).unwrap_or(content);
        let end = closing_quote(window);
        let cut = end.is_none();
        if cut && self.whole && window.len() == content.len() {
            return None;
        }
        let raw = match end {
            Some(end) => window.get(..end)?,
            None => readable_start(window),
        };
        if raw.iter().any(|byte| *byte < b' ') {
            return None;
        }
        let decoded = if raw.contains(&b'\\') {
            let quoted = [b"\"", raw, b"\""].concat();
            Cow::Owned(serde_json::from_slice(&quoted).ok()?)
        } else {
            Cow::Borrowed(std::str::from_utf8(raw).ok()?)
        };
        self.at = self.at.saturating_add(raw.len()).saturating_add(2);
        Some(Text { raw, decoded, cut })
    }

    /// Where the bytes of a text that was cut end, of which [`Self::string`] has gone past the quotes too.
    fn text_end(&self, text: &Text<'_>) -> usize {
        if text.cut { self.at.saturating_sub(1) } else { self.at }
    }

    /// Returns whether all of the text is accounted for, so that reading can go on behind it.
    fn write_text(&mut self, text: &Text<'_>, trail: Trail) -> bool {
        let is_document = looks_like_document(&text.decoded);
        let document = if is_document { self.redact_document(text, trail) } else { None };
        if is_document && document.is_none() && !trail.is_lost() {
            // Something in it is hidden, and where that is cannot be told.
            self.write_redacted();
            return !text.cut;
        }
        let complete = !text.cut && document.as_ref().is_none_or(|redacted| redacted.complete);
        let shown = match document {
            Some(redacted) => (redacted.text != text.decoded).then_some(redacted.text),
            None => redact_text(&text.decoded, text.cut),
        };
        // A string always has JSON.
        if let Some(json) = shown.and_then(|shown| serde_json::to_vec(&shown).ok()) {
            self.output.extend_from_slice(&json);
        } else {
            self.output.push(b'"');
            self.output.extend_from_slice(text.raw);
            self.output.push(b'"');
        }
        complete
    }

    /// A string that holds a JSON document itself, as tool results often do, with the secrets in it masked.
    fn redact_document(&self, text: &Text<'_>, trail: Trail) -> Option<Redacted> {
        let nested = self.nested.checked_sub(1)?;
        let prefix = text.decoded.as_bytes();
        Document { prefix, whole: !text.cut, hidden: self.hidden, trail, nested }.redact(self.limit)
    }

    fn write_redacted(&mut self) {
        self.output.push(b'"');
        self.output.extend_from_slice(REDACTED.as_bytes());
        self.output.push(b'"');
    }
}

/// Whether a text is to be read as JSON: it begins so, perhaps behind what readers skip.
fn looks_like_document(text: &str) -> bool {
    text.trim_start_matches(|character: char| character.is_whitespace() || character == '\u{FEFF}')
        .starts_with(['{', '['])
}
