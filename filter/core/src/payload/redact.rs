//! JSON with its secrets masked, read only as far as it is shown.
//!
//! This is no second strict reader: nothing is decided by what it reads. It walks from token to token, so that a
//! megabyte costs no more than the few kilobytes that are logged, and gives up on what is not JSON.

use std::borrow::Cow;

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

/// Masks secrets in the document that starts with `prefix`, until more than `limit` bytes are there to show. `None` if
/// what was read is not JSON.
pub(super) fn redact(prefix: &[u8], whole: bool, limit: usize) -> Option<Redacted> {
    redact_nested(prefix, whole, limit, NESTED)
}

fn redact_nested(prefix: &[u8], whole: bool, limit: usize, nested: usize) -> Option<Redacted> {
    let mut walk = Walk {
        bytes: prefix,
        at: 0,
        whole,
        limit,
        nested,
        output: Vec::new(),
        open: Vec::new(),
        expected: Expected::Value,
    };
    let complete = walk.run()?;
    Some(Redacted { text: String::from_utf8(walk.output).ok()?, complete })
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
}

struct Walk<'p> {
    bytes: &'p [u8],
    at: usize,
    whole: bool,
    limit: usize,
    nested: usize,
    output: Vec<u8>,
    open: Vec<Open>,
    expected: Expected,
}

/// A string token.
struct Text<'p> {
    /// Between the quotes, as it stands.
    raw: &'p [u8],
    decoded: Cow<'p, str>,
    /// It goes on beyond `raw`, and nothing after it will be read.
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
        self.expected = Expected::Colon;
        Some(self.write_text(&text))
    }

    /// What the key of the value that comes next says about it.
    fn secrecy(&self) -> Secrecy {
        match self.open.last() {
            Some(open) if open.is_object && open.is_value => open.named,
            Some(open) if open.is_object => open.secrecy,
            _ => Secrecy::Open,
        }
    }

    fn value(&mut self, byte: u8) -> Option<bool> {
        let secrecy = self.secrecy();
        let goes_on = match byte {
            b'"' => {
                let text = self.string()?;
                if let Some(open) = self.open.last_mut()
                    && open.names
                {
                    open.named = key_secrecy(&text.decoded);
                }
                if secrecy == Secrecy::Open {
                    self.write_text(&text)
                } else {
                    self.write_redacted();
                    !text.cut
                }
            }
            b'{' | b'[' if secrecy == Secrecy::Open => {
                let is_object = byte == b'{';
                self.open.push(Open {
                    is_object,
                    secrecy: Secrecy::Open,
                    names: false,
                    is_value: false,
                    named: Secrecy::Open,
                });
                return Some(
                    self.copy(byte, if is_object { Expected::KeyOrEnd } else { Expected::ValueOrEnd }),
                );
            }
            b'{' | b'[' => {
                self.write_redacted();
                let ended = self.skip_container();
                if !ended && self.whole {
                    return None;
                }
                ended
            }
            _ => self.scalar(secrecy)?,
        };
        self.expected = self.after_value();
        Some(goes_on)
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

    /// Returns whether all of the text is accounted for, so that reading can go on behind it.
    fn write_text(&mut self, text: &Text<'_>) -> bool {
        let document = self.redact_document(text);
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
    fn redact_document(&self, text: &Text<'_>) -> Option<Redacted> {
        let nested = self.nested.checked_sub(1)?;
        if !text.decoded.trim_start().starts_with(['{', '[']) {
            return None;
        }
        redact_nested(text.decoded.as_bytes(), !text.cut, self.limit, nested)
    }

    fn write_redacted(&mut self) {
        self.output.push(b'"');
        self.output.extend_from_slice(REDACTED.as_bytes());
        self.output.push(b'"');
    }
}
