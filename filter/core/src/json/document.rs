//! An accepted document: the original bytes and a flat list of where its values are.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use portcullis_wire::policy::{Found, Json as Judgeable};

use super::error::ReadError;
use super::text::unescape;
use super::{Limits, reader};

/// An accepted document. Borrows the bytes it was read from.
pub struct Document<'a> {
    pub(super) bytes: &'a [u8],
    /// Values in document order, each behind its container; a member is two nodes, its key and its value.
    pub(super) nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Whether a string holds escapes.
    pub(super) escaped: bool,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The index of the first node that is not inside this one.
    pub(super) next: usize,
}

impl Node {
    /// Stands in for an index that names no node, which the reader never makes.
    const NOTHING: Self = Self { kind: Kind::Null, escaped: false, start: 0, end: 0, next: 0 };

    fn span(self) -> Range<usize> {
        self.start..self.end
    }

    /// A string without its quotes.
    fn content(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start.saturating_add(1)..self.end.saturating_sub(1)).unwrap_or_default()
    }

    fn is_string(self, text: &str, bytes: &[u8]) -> bool {
        let content = self.content(bytes);
        if self.escaped { unescape(content, true) == text } else { content == text.as_bytes() }
    }
}

impl<'a> Document<'a> {
    /// Reads `bytes` as one JSON value. Any root is accepted; callers that need an object ask for its kind.
    pub fn read(bytes: &'a [u8], limits: &Limits) -> Result<Self, ReadError> {
        reader::read(bytes, limits)
    }

    pub fn root(&self) -> Value<'_, 'a> {
        self.value(0)
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn value(&self, index: usize) -> Value<'_, 'a> {
        Value { document: self, index, node: self.nodes.get(index).copied().unwrap_or(Node::NOTHING) }
    }
}

/// Prints sizes only: documents hold what people send.
impl fmt::Debug for Document<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Document")
            .field("bytes", &self.bytes.len())
            .field("nodes", &self.nodes.len())
            .finish()
    }
}

/// One value of a [`Document`].
#[derive(Clone, Copy)]
pub struct Value<'d, 'a> {
    document: &'d Document<'a>,
    index: usize,
    node: Node,
}

impl<'d, 'a> Value<'d, 'a> {
    pub fn kind(&self) -> Kind {
        self.node.kind
    }

    /// Where it stands in the original bytes, quotes and brackets included.
    pub fn span(&self) -> Range<usize> {
        self.node.span()
    }

    /// The original bytes at [`Self::span`].
    pub fn raw(&self) -> &'a [u8] {
        self.document.bytes.get(self.span()).unwrap_or_default()
    }

    /// The member of this object whose unescaped key is `key`; `None` too if this is no object.
    pub fn get(&self, key: &str) -> Option<Self> {
        let mut members = self.members();
        loop {
            let (found, value) = members.next_node()?;
            if found.is_string(key, self.document.bytes) {
                return Some(value);
            }
        }
    }

    /// Unescaped keys and values of this object, in document order; none if this is no object.
    pub fn members(&self) -> Members<'d, 'a> {
        Members { inside: self.inside(Kind::Object) }
    }

    /// Like [`Self::members`], with where each key stands (quotes included) in place of its text. A member reaches
    /// from there to the end of the value's span.
    pub fn member_spans(&self) -> impl Iterator<Item = (Range<usize>, Self)> + use<'d, 'a> {
        let mut members = self.members();
        std::iter::from_fn(move || members.next_node().map(|(key, value)| (key.span(), value)))
    }

    /// The elements of this array; none if this is no array.
    pub fn items(&self) -> Items<'d, 'a> {
        Items { inside: self.inside(Kind::Array) }
    }

    /// The unescaped text of this string.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        self.is_string().then(|| unescape(self.node.content(self.document.bytes), self.node.escaped))
    }

    /// Whether this is the string `text`; cheaper than [`Self::as_str`].
    pub fn is_str(&self, text: &str) -> bool {
        self.is_string() && self.node.is_string(text, self.document.bytes)
    }

    pub fn as_bool(&self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.raw() == b"true")
    }

    /// The value of a number written as digits only; `1.0` and `1e0` are none.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number_text()?.parse().ok()
    }

    /// A number as it is written.
    pub fn as_number_text(&self) -> Option<&'a str> {
        if self.kind() == Kind::Number { std::str::from_utf8(self.raw()).ok() } else { None }
    }

    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    pub fn is_string(&self) -> bool {
        self.kind() == Kind::String
    }

    pub fn is_array(&self) -> bool {
        self.kind() == Kind::Array
    }

    pub fn is_object(&self) -> bool {
        self.kind() == Kind::Object
    }

    fn inside(&self, container: Kind) -> Inside<'d, 'a> {
        let at = self.index.saturating_add(1);
        let end = if self.kind() == container { self.node.next } else { at };
        Inside { document: self.document, at, end }
    }
}

/// For conditions on arguments.
impl<'a> Judgeable<'a> for Value<'_, 'a> {
    fn members(self) -> Option<impl Iterator<Item = (Cow<'a, str>, Self)>> {
        self.is_object().then(|| Value::members(&self))
    }

    fn elements(self) -> Option<impl Iterator<Item = Self>> {
        self.is_array().then(|| self.items())
    }

    fn scalar(self) -> Option<Found<'a>> {
        match self.kind() {
            Kind::Null => Some(Found::Null),
            Kind::Bool => self.as_bool().map(Found::Bool),
            Kind::Number => self.as_number_text().map(|text| Found::Number(Cow::Borrowed(text))),
            Kind::String => self.as_str().map(Found::Text),
            Kind::Array | Kind::Object => None,
        }
    }
}

/// Prints kind and place only: documents hold what people send.
impl fmt::Debug for Value<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Value").field("kind", &self.kind()).field("span", &self.span()).finish()
    }
}

/// Walks over the nodes of one container, without entering the containers in it.
#[derive(Clone)]
struct Inside<'d, 'a> {
    document: &'d Document<'a>,
    at: usize,
    end: usize,
}

impl<'d, 'a> Inside<'d, 'a> {
    fn next(&mut self) -> Option<Value<'d, 'a>> {
        if self.at >= self.end {
            return None;
        }
        let value = self.document.value(self.at);
        self.at = value.node.next;
        Some(value)
    }
}

/// See [`Value::members`].
#[derive(Clone)]
pub struct Members<'d, 'a> {
    inside: Inside<'d, 'a>,
}

impl<'d, 'a> Members<'d, 'a> {
    fn next_node(&mut self) -> Option<(Node, Value<'d, 'a>)> {
        Some((self.inside.next()?.node, self.inside.next()?))
    }
}

impl<'d, 'a> Iterator for Members<'d, 'a> {
    type Item = (Cow<'a, str>, Value<'d, 'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.next_node()?;
        Some((unescape(key.content(value.document.bytes), key.escaped), value))
    }
}

/// See [`Value::items`].
#[derive(Clone)]
pub struct Items<'d, 'a> {
    inside: Inside<'d, 'a>,
}

impl<'d, 'a> Iterator for Items<'d, 'a> {
    type Item = Value<'d, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.inside.next()
    }
}
