//! Headers that carry an upstream credential.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a credential header, lower case: a token (RFC 9110, 5.6.2) that may carry a credential.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderName(String);

/// The longest value that is accepted, in bytes.
pub const MAX_VALUE_LENGTH: usize = 8 * 1024;

const MAX_NAME_LENGTH: usize = 128;

/// Headers that frame or route a request, or that MCP itself speaks in: setting one would change what the request
/// means instead of saying who sends it.
const RESERVED: [&str; 22] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "last-event-id",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

/// Families of headers that belong to the gateway, to Envoy or to MCP.
const RESERVED_PREFIXES: [&str; 4] = ["x-portcullis-", "mcp-", "x-envoy-", "x-forwarded-"];

/// Why a header cannot carry a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("a header name has 1 to 128 letters, digits and any of !#$%&'*+-.^_`|~ (RFC 9110, 5.6.2)")]
    MalformedName,
    #[error("this header frames, routes or describes the request and cannot carry a credential")]
    ReservedName,
    #[error("the value is empty")]
    EmptyValue,
    #[error("the value is longer than 8192 bytes")]
    LongValue,
    #[error("the value has a character that is not visible ASCII, or begins or ends with a space")]
    MalformedValue,
}

impl HeaderName {
    /// Reads a name in any case and keeps it in lower case.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        if text.is_empty() || text.len() > MAX_NAME_LENGTH || !text.bytes().all(is_token_byte) {
            return Err(HeaderError::MalformedName);
        }
        let name = text.to_ascii_lowercase();
        let reserved = RESERVED.contains(&name.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if reserved { Err(HeaderError::ReservedName) } else { Ok(Self(name)) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks that `value` can be sent: visible ASCII, spaces inside only, 1 to 8192 bytes.
pub fn check_value(value: &str) -> Result<(), HeaderError> {
    if value.is_empty() {
        return Err(HeaderError::EmptyValue);
    }
    if value.len() > MAX_VALUE_LENGTH {
        return Err(HeaderError::LongValue);
    }
    let padded = value.starts_with(' ') || value.ends_with(' ');
    if padded || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(HeaderError::MalformedValue);
    }
    Ok(())
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl fmt::Display for HeaderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for HeaderName {
    type Error = HeaderError;

    fn try_from(text: String) -> Result<Self, HeaderError> {
        Self::parse(&text)
    }
}

impl From<HeaderName> for String {
    fn from(name: HeaderName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, name) in
            [("Authorization", "authorization"), ("X-API-Key", "x-api-key"), ("cookie", "cookie")]
        {
            assert_eq!(HeaderName::parse(text).map(String::from), Ok(name.to_owned()));
        }
        for text in ["", "a b", "a:b", ":path", "é", "a\r\n", "a\0", &"a".repeat(129)] {
            assert_eq!(HeaderName::parse(text), Err(HeaderError::MalformedName), "{text:?}");
        }
        for text in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "connection",
            "TE",
            "upgrade",
            "X-Portcullis-Caller",
        ]
        .into_iter()
        .chain([
            "Mcp-Session-Id",
            "mcp-protocol-version",
            "x-envoy-original-dst-host",
            "Content-Type",
        ]) {
            assert_eq!(HeaderName::parse(text), Err(HeaderError::ReservedName), "{text:?}");
        }
    }

    #[test]
    fn values() {
        for good in ["x", "Bearer abc def", &"a".repeat(MAX_VALUE_LENGTH)] {
            assert_eq!(check_value(good), Ok(()));
        }
        for (bad, error) in [
            ("", HeaderError::EmptyValue),
            (" x", HeaderError::MalformedValue),
            ("x ", HeaderError::MalformedValue),
            ("a\r\nb: c", HeaderError::MalformedValue),
            ("a\nb", HeaderError::MalformedValue),
            ("a\tb", HeaderError::MalformedValue),
            ("a\0b", HeaderError::MalformedValue),
            ("ключ", HeaderError::MalformedValue),
            (&"a".repeat(MAX_VALUE_LENGTH + 1), HeaderError::LongValue),
        ] {
            assert_eq!(check_value(bad), Err(error), "{bad:?}");
        }
    }
}
