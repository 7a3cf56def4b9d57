//! Strict JSON: what is accepted has one meaning for every parser.
//!
//! A gateway that reads a request differently from the server behind it can be talked past: of two members `name`
//! most parsers take the last, some the first, some fold their case. So this reader accepts less than others do, in
//! one pass over the original bytes, and the original bytes are what is forwarded. It accepts RFC 8259 exactly, and of
//! that only (see also RFC 7493):
//!
//! - UTF-8 without a byte order mark, also inside strings, and no escape that stands for half a character;
//! - objects without duplicate keys after unescaping, at any depth, and without U+0000 in a key;
//! - numbers that a double can hold;
//! - documents within [`Limits`].
//!
//! Reading takes linear time (objects with many keys: n log n), constant stack, and no allocation per string.

mod document;
mod error;
mod keys;
mod reader;
mod splice;
mod text;

pub use document::{Document, Items, Kind, Members, Value};
pub use error::{ErrorClass, ReadError, ReadErrorKind};
pub(crate) use splice::Splice;

/// What one document may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Arrays and objects open at one time.
    pub depth: usize,
    /// Members of one object.
    pub keys: usize,
    /// Values in the document, keys not counted.
    pub nodes: usize,
    /// Bytes of one number.
    pub number_length: usize,
    /// Values inside more than so many arrays and objects are validated but not recorded: their container looks
    /// empty. The root is inside none.
    pub record_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, keys: 1024, nodes: 100_000, number_length: 64, record_depth: 64 }
    }
}
