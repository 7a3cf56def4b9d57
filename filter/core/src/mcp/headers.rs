//! The MCP headers of a request.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::fault::{Fault, quote};

/// The values of MCP's request headers: each at most once, ASCII, without the white space around them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpHeaders {
    pub protocol_version: Option<String>,
    pub method: Option<String>,
    /// As sent, perhaps encoded.
    pub name: Option<String>,
    pub session_id: Option<String>,
    pub last_event_id: Option<String>,
}

/// Around values that do not fit into a header as they are (MCP 2026-07-28, transports, "Value Encoding").
const ENCODED_START: &str = "=?base64?";
const ENCODED_END: &str = "?=";

impl McpHeaders {
    /// Picks the MCP headers out of the whole list, whose names are in lower case.
    ///
    /// A repeated header is refused, since some readers take the first, some the last, and some join them by commas;
    /// so is a comma where no value can have one, and what is not plain ASCII.
    pub fn gather(headers: &[(Vec<u8>, Vec<u8>)]) -> Result<Self, Fault> {
        let mut found = Self::default();
        for (name, value) in headers {
            let (slot, rule) = match name.as_slice() {
                b"mcp-protocol-version" => (&mut found.protocol_version, Rule::OneWord),
                b"mcp-method" => (&mut found.method, Rule::OneWord),
                b"mcp-name" => (&mut found.name, Rule::Text),
                b"mcp-session-id" => (&mut found.session_id, Rule::Visible),
                b"last-event-id" => (&mut found.last_event_id, Rule::Text),
                _ => continue,
            };
            let name = String::from_utf8_lossy(name);
            if slot.is_some() {
                return Err(Fault::header_mismatch(format!(
                    "the {name} header is there twice; send it once"
                )));
            }
            *slot = Some(rule.read(value).ok_or_else(|| rule.broken(&name))?);
        }
        Ok(found)
    }

    /// The `Mcp-Name` header as the text it stands for: decoded once if it is encoded, and as it is otherwise.
    pub(super) fn decoded_name(&self) -> Result<Option<Cow<'_, str>>, Fault> {
        let Some(name) = self.name.as_deref() else { return Ok(None) };
        let encoded = name.strip_prefix(ENCODED_START).and_then(|rest| rest.strip_suffix(ENCODED_END));
        let Some(encoded) = encoded else { return Ok(Some(Cow::Borrowed(name))) };
        // The engine takes canonical Base64 only: padding there, no stray bits behind the last byte.
        let decoded = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let broken = || {
            let value = quote(name);
            Fault::header_mismatch(format!("the mcp-name header {value} is not padded Base64 of UTF-8"))
        };
        decoded.map(Cow::Owned).map(Some).ok_or_else(broken)
    }
}

/// What a header's value may hold.
#[derive(Clone, Copy)]
enum Rule {
    /// Visible ASCII but the comma.
    OneWord,
    /// Visible ASCII.
    Visible,
    /// Visible ASCII, spaces and tabs.
    Text,
}

impl Rule {
    fn read(self, value: &[u8]) -> Option<String> {
        let value = trim(value);
        let fits = value.iter().all(|byte| match (self, byte) {
            (Self::OneWord, b',') => false,
            (_, 0x21..=0x7E) | (Self::Text, b' ' | b'\t') => true,
            _ => false,
        });
        if fits { String::from_utf8(value.to_vec()).ok() } else { None }
    }

    fn broken(self, name: &str) -> Fault {
        Fault::header_mismatch(match self {
            Self::OneWord => format!("the {name} header must be one value of visible ASCII without commas"),
            Self::Visible => format!("the {name} header must be visible ASCII"),
            Self::Text => format!("the {name} header must be ASCII; encode other text as =?base64?...?="),
        })
    }
}

/// Takes away optional white space, which is no part of a field value (RFC 9110 section 5.5).
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = value.split_first() {
        value = rest;
    }
    while let Some((b' ' | b'\t', rest)) = value.split_last() {
        value = rest;
    }
    value
}
