//! What records hold of payloads: how much, and which places in them never.
//!
//! A place is named by a JSON pointer (RFC 6901) in which the step `*` stands for every element of an array and every
//! member of an object. The token-service takes pointers that are well formed and not too many; the filter follows them.

use serde::{Deserialize, Serialize};

use crate::policy::Pointer;
use crate::watch::PayloadPolicy;

/// Bytes of each of parameters and response that a record holds, unless something else is said.
pub const DEFAULT_LIMIT: u32 = 4_096;

/// Bounds of [`Capture::limit`], in bytes.
pub const LEAST_LIMIT: u32 = 256;
pub const MOST_LIMIT: u32 = 65_536;

/// In one list.
pub const MOST_POINTERS: usize = 32;

/// Of one pointer, in bytes.
pub const LONGEST_POINTER: usize = 256;

/// Of one pointer.
pub const MOST_STEPS: usize = 16;

/// The step that stands for all there are.
pub const EVERY: &str = "*";

/// How the payloads of one server are recorded, for filters that know more than [`PayloadPolicy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    pub policy: PayloadPolicy,
    /// Bytes of text, of the parameters and of the response each.
    pub limit: u32,
    #[serde(default, skip_serializing_if = "Redaction::is_empty")]
    pub redact: Redaction,
}

/// Places that a record under [`PayloadPolicy::Redacted`] never shows, besides what looks like a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    /// Pointers into a request's `params`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// Pointers into a response's `result`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub response: Vec<String>,
}

impl Redaction {
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty() && self.response.is_empty()
    }

    /// Both lists, by the names that they have here and in configuration.
    pub fn lists(&self) -> [(&'static str, &[String]); 2] {
        [("parameters", &self.parameters), ("response", &self.response)]
    }
}

/// Reads one pointer of a [`Redaction`].
///
/// # Errors
/// What is wrong with it.
pub fn parse_pointer(text: &str) -> Result<Pointer, &'static str> {
    if text.len() > LONGEST_POINTER {
        return Err("is longer than 256 bytes");
    }
    let pointer = Pointer::parse(text)?;
    if pointer.steps().count() > MOST_STEPS {
        return Err("has more than 16 steps");
    }
    Ok(pointer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_bounded() {
        let steps = |text: &str| parse_pointer(text).map(|pointer| pointer.steps().count());
        assert_eq!(steps("/arguments/*/email"), Ok(3));
        assert_eq!(steps(&"/a".repeat(16)), Ok(16));
        assert_eq!(steps(&"/a".repeat(17)), Err("has more than 16 steps"));
        assert_eq!(steps(&format!("/{}", "a".repeat(255))), Ok(1));
        assert_eq!(steps(&format!("/{}", "a".repeat(256))), Err("is longer than 256 bytes"));
        for bad in ["", "arguments", "$.arguments", "/a~"] {
            assert!(steps(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_says_nothing_crosses_as_nothing() {
        let capture = |redact| Capture { policy: PayloadPolicy::Redacted, limit: 1_000, redact };
        let json = |capture: &Capture| serde_json::to_string(capture).expect("writes");
        let nothing = capture(Redaction::default());
        assert_eq!(json(&nothing), r#"{"policy":"redacted","limit":1000}"#);
        let something = capture(Redaction { parameters: vec!["/a".into()], response: Vec::new() });
        assert_eq!(json(&something), r#"{"policy":"redacted","limit":1000,"redact":{"parameters":["/a"]}}"#);
        for capture in [nothing, something] {
            assert_eq!(serde_json::from_str::<Capture>(&json(&capture)).expect("reads"), capture);
        }
    }
}
