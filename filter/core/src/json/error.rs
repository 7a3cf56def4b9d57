//! Why a document was refused, in words that its sender can act on.

use std::fmt;

/// A refused document: what is wrong with it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    pub kind: ReadErrorKind,
    /// Bytes from the start of the document.
    pub offset: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadErrorKind {
    /// Nothing but white space.
    Empty,
    UnexpectedEnd,
    /// This byte cannot stand where it is.
    UnexpectedByte {
        found: u8,
        expected: &'static str,
    },
    TrailingBytes,
    ControlCharacter(u8),
    BadEscape,
    BadNumber,

    ByteOrderMark,
    InvalidUtf8,
    /// The key, unescaped and cut to a length fit for a message.
    DuplicateKey(String),
    NulInKey,
    LoneSurrogate,
    NumberOutOfRange,

    /// The number in these is the limit.
    TooDeep(usize),
    TooManyKeys(usize),
    TooManyNodes(usize),
    NumberTooLong(usize),
}

/// What kind of wrong a [`ReadErrorKind`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Not JSON (RFC 8259).
    Syntax,
    /// Perhaps JSON, but parsers differ on what it says.
    Ambiguity,
    /// JSON, but more of it than is read.
    Bound,
}

impl ReadErrorKind {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Empty
            | Self::UnexpectedEnd
            | Self::UnexpectedByte { .. }
            | Self::TrailingBytes
            | Self::ControlCharacter(_)
            | Self::BadEscape
            | Self::BadNumber => ErrorClass::Syntax,
            Self::ByteOrderMark
            | Self::InvalidUtf8
            | Self::DuplicateKey(_)
            | Self::NulInKey
            | Self::LoneSurrogate
            | Self::NumberOutOfRange => ErrorClass::Ambiguity,
            Self::TooDeep(_) | Self::TooManyKeys(_) | Self::TooManyNodes(_) | Self::NumberTooLong(_) => {
                ErrorClass::Bound
            }
        }
    }
}

impl fmt::Display for ReadErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("no JSON value"),
            Self::UnexpectedEnd => formatter.write_str("the JSON ends too early"),
            Self::UnexpectedByte { found, expected } => {
                write!(formatter, "expected {expected}, found ")?;
                if found.is_ascii_graphic() {
                    write!(formatter, "`{}`", char::from(*found))
                } else {
                    write!(formatter, "byte 0x{found:02X}")
                }
            }
            Self::TrailingBytes => formatter.write_str("something follows the JSON value"),
            Self::ControlCharacter(byte) => {
                write!(formatter, "control character 0x{byte:02X} must be escaped in a string")
            }
            Self::BadEscape => formatter.write_str("no such escape in JSON strings"),
            Self::BadNumber => formatter.write_str("not a JSON number"),
            Self::ByteOrderMark => formatter.write_str("remove the byte order mark"),
            Self::InvalidUtf8 => formatter.write_str("not UTF-8"),
            Self::DuplicateKey(key) => write!(formatter, "duplicate key {key:?}"),
            Self::NulInKey => formatter.write_str("U+0000 in a key"),
            Self::LoneSurrogate => {
                formatter.write_str("a surrogate escape without its other half; send the whole character")
            }
            Self::NumberOutOfRange => formatter.write_str("a number too large for a double"),
            Self::TooDeep(limit) => write!(formatter, "arrays and objects nested more than {limit} deep"),
            Self::TooManyKeys(limit) => write!(formatter, "more than {limit} keys in one object"),
            Self::TooManyNodes(limit) => write!(formatter, "more than {limit} values"),
            Self::NumberTooLong(limit) => write!(formatter, "a number of more than {limit} characters"),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.kind, self.offset)
    }
}

impl std::error::Error for ReadError {}
