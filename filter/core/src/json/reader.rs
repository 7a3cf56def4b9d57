//! The one pass over the bytes.

use super::Limits;
use super::document::{Document, Kind, Node};
use super::error::{ReadError, ReadErrorKind};
use super::keys::{Key, duplicate};
use super::text::{escape, plain_run, unescape};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Longest part of a duplicate key that is repeated to the sender, in characters.
const KEY_IN_MESSAGE: usize = 64;

pub(super) fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Document<'a>, ReadError> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(ReadError { kind: ReadErrorKind::ByteOrderMark, offset: 0 });
    }
    let mut reader = Reader {
        bytes,
        limits,
        position: 0,
        open: Vec::new(),
        keys: Vec::with_capacity(16),
        nodes: Vec::with_capacity(32),
        values: 0,
    };
    reader.skip_space();
    if reader.peek().is_none() {
        return Err(reader.error(ReadErrorKind::Empty));
    }
    loop {
        if reader.value()? == Next::Value {
            continue;
        }
        if reader.behind_value()? == Next::End {
            return Ok(Document { bytes, nodes: reader.nodes });
        }
    }
}

/// What the reader stands before.
#[derive(PartialEq, Eq)]
enum Next {
    /// A value, after its key if it has one.
    Value,
    /// The comma or bracket behind a value.
    Behind,
    End,
}

/// An array or object whose end is not read yet.
struct Open {
    is_object: bool,
    /// Its node, unless it lies too deep to be recorded.
    node: Option<usize>,
    /// How many keys were kept when it began; its own lie above.
    keys_before: usize,
}

struct Reader<'a, 'l> {
    bytes: &'a [u8],
    limits: &'l Limits,
    position: usize,
    open: Vec<Open>,
    /// The keys of all open objects, innermost last.
    keys: Vec<Key<'a>>,
    nodes: Vec<Node>,
    values: usize,
}

impl<'a> Reader<'a, '_> {
    /// Reads a value, or the start of one: an array or object that is not empty is opened, and its first key read.
    fn value(&mut self) -> Result<Next, ReadError> {
        self.skip_space();
        self.count_value()?;
        let start = self.position;
        match self.peek() {
            Some(b'{') => return self.open(true),
            Some(b'[') => return self.open(false),
            Some(b'"') => {
                let text = self.string()?;
                self.record(Kind::String, start, text.escaped);
            }
            Some(b't') => self.literal(b"true", Kind::Bool)?,
            Some(b'f') => self.literal(b"false", Kind::Bool)?,
            Some(b'n') => self.literal(b"null", Kind::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return Err(self.unexpected("a JSON value")),
        }
        Ok(Next::Behind)
    }

    /// Reads commas and closing brackets behind a value, up to the next value.
    fn behind_value(&mut self) -> Result<Next, ReadError> {
        loop {
            self.skip_space();
            let Some(container) = self.open.last() else {
                return match self.peek() {
                    None => Ok(Next::End),
                    Some(_) => Err(self.error(ReadErrorKind::TrailingBytes)),
                };
            };
            match (self.peek(), container.is_object) {
                (Some(b','), is_object) => {
                    self.advance(1);
                    if is_object {
                        self.skip_space();
                        self.key()?;
                    }
                    return Ok(Next::Value);
                }
                (Some(b'}'), true) | (Some(b']'), false) => self.close()?,
                (_, true) => return Err(self.unexpected("`,` or `}` behind a member")),
                (_, false) => return Err(self.unexpected("`,` or `]` behind an element")),
            }
        }
    }

    fn open(&mut self, is_object: bool) -> Result<Next, ReadError> {
        if self.open.len() >= self.limits.depth {
            return Err(self.error(ReadErrorKind::TooDeep(self.limits.depth)));
        }
        let start = self.position;
        self.advance(1);
        let kind = if is_object { Kind::Object } else { Kind::Array };
        let node = self.record(kind, start, false);
        self.open.push(Open { is_object, node, keys_before: self.keys.len() });
        self.skip_space();
        match (self.peek(), is_object) {
            (Some(b'}'), true) | (Some(b']'), false) => {
                self.close()?;
                return Ok(Next::Behind);
            }
            (_, true) => self.key()?,
            (_, false) => {}
        }
        Ok(Next::Value)
    }

    fn close(&mut self) -> Result<(), ReadError> {
        self.advance(1);
        let Some(closed) = self.open.pop() else { return Ok(()) };
        let next = self.nodes.len();
        if let Some(node) = closed.node.and_then(|index| self.nodes.get_mut(index)) {
            node.end = self.position;
            node.next = next;
        }
        if closed.is_object {
            let keys = self.keys.get(closed.keys_before..).unwrap_or_default();
            if let Some(key) = duplicate(keys) {
                let text = unescape(key.content, key.escaped).chars().take(KEY_IN_MESSAGE).collect();
                return Err(ReadError { kind: ReadErrorKind::DuplicateKey(text), offset: key.offset });
            }
            self.keys.truncate(closed.keys_before);
        }
        Ok(())
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Result<(), ReadError> {
        let offset = self.position;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        let text = self.string()?;
        if text.has_nul {
            return Err(ReadError { kind: ReadErrorKind::NulInKey, offset });
        }
        let keys_before = self.open.last().map_or(0, |container| container.keys_before);
        if self.keys.len().saturating_sub(keys_before) >= self.limits.keys {
            return Err(ReadError { kind: ReadErrorKind::TooManyKeys(self.limits.keys), offset });
        }
        self.keys.push(Key { content: text.content, offset, escaped: text.escaped });
        self.record(Kind::String, offset, text.escaped);
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:` behind a key"));
        }
        self.advance(1);
        Ok(())
    }

    /// Reads a string, standing before its quote.
    fn string(&mut self) -> Result<Text<'a>, ReadError> {
        self.advance(1);
        let start = self.position;
        let (mut escaped, mut has_nul, mut non_ascii) = (false, false, false);
        loop {
            let run = plain_run(self.rest());
            non_ascii |= run.non_ascii;
            self.advance(run.length);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let (character, length) = escape(self.rest()).map_err(|kind| self.error(kind))?;
                    escaped = true;
                    has_nul |= character == '\0';
                    self.advance(length);
                }
                Some(control) => return Err(self.error(ReadErrorKind::ControlCharacter(control))),
                None => return Err(self.error(ReadErrorKind::UnexpectedEnd)),
            }
        }
        let content = self.bytes.get(start..self.position).unwrap_or_default();
        self.advance(1);
        if non_ascii && let Err(error) = std::str::from_utf8(content) {
            let offset = start.saturating_add(error.valid_up_to());
            return Err(ReadError { kind: ReadErrorKind::InvalidUtf8, offset });
        }
        Ok(Text { content, escaped, has_nul })
    }

    fn literal(&mut self, expected: &'static [u8], kind: Kind) -> Result<(), ReadError> {
        let start = self.position;
        if !self.rest().starts_with(expected) {
            return Err(self.unexpected("a JSON value"));
        }
        self.advance(expected.len());
        self.record(kind, start, false);
        Ok(())
    }

    /// Reads a number: `-`, digits without a leading zero, then perhaps a fraction and an exponent.
    fn number(&mut self) -> Result<(), ReadError> {
        let start = self.position;
        self.advance_over(|byte| byte == b'-');
        if self.peek() == Some(b'0') {
            self.advance(1);
        } else {
            self.digits()?;
        }
        if self.advance_over(|byte| byte == b'.') {
            self.digits()?;
        }
        let has_exponent = self.advance_over(|byte| matches!(byte, b'e' | b'E'));
        if has_exponent {
            self.advance_over(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        if self.position.saturating_sub(start) > self.limits.number_length {
            let kind = ReadErrorKind::NumberTooLong(self.limits.number_length);
            return Err(ReadError { kind, offset: start });
        }
        if has_exponent {
            self.check_range(start)?;
        }
        self.record(Kind::Number, start, false);
        Ok(())
    }

    /// Refuses what some parsers read as infinity and others refuse. Only an exponent can make a number so large
    /// within the length limit.
    fn check_range(&self, start: usize) -> Result<(), ReadError> {
        let text = self.bytes.get(start..self.position).and_then(|bytes| std::str::from_utf8(bytes).ok());
        match text.and_then(|text| text.parse::<f64>().ok()) {
            Some(value) if value.is_finite() => Ok(()),
            _ => Err(ReadError { kind: ReadErrorKind::NumberOutOfRange, offset: start }),
        }
    }

    fn digits(&mut self) -> Result<(), ReadError> {
        let length = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return Err(self.error(match self.peek() {
                None => ReadErrorKind::UnexpectedEnd,
                Some(_) => ReadErrorKind::BadNumber,
            }));
        }
        self.advance(length);
        Ok(())
    }

    fn count_value(&mut self) -> Result<(), ReadError> {
        self.values = self.values.saturating_add(1);
        if self.values > self.limits.nodes {
            return Err(self.error(ReadErrorKind::TooManyNodes(self.limits.nodes)));
        }
        Ok(())
    }

    /// Notes what reaches from `start` to here, unless it lies too deep; the index of its node.
    fn record(&mut self, kind: Kind, start: usize, escaped: bool) -> Option<usize> {
        if self.open.len() > self.limits.record_depth {
            return None;
        }
        let index = self.nodes.len();
        let next = index.saturating_add(1);
        self.nodes.push(Node { kind, escaped, start, end: self.position, next });
        Some(index)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.advance(1);
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// Moves on; reads are checked, so that moving too far could only end the document.
    fn advance(&mut self, by: usize) {
        self.position = self.position.saturating_add(by);
    }

    fn advance_over(&mut self, is_wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.peek().is_some_and(is_wanted);
        if found {
            self.advance(1);
        }
        found
    }

    fn unexpected(&self, expected: &'static str) -> ReadError {
        self.error(match self.peek() {
            None => ReadErrorKind::UnexpectedEnd,
            Some(found) => ReadErrorKind::UnexpectedByte { found, expected },
        })
    }

    fn error(&self, kind: ReadErrorKind) -> ReadError {
        ReadError { kind, offset: self.position.min(self.bytes.len()) }
    }
}

/// A string just read.
struct Text<'a> {
    content: &'a [u8],
    escaped: bool,
    has_nul: bool,
}
