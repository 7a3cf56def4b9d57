//! What a token of an identity provider has to say besides its signature: for whom it is, and which claims it has.
//!
//! The filter verifies a token and hands over the values; the rules are judged here, for each server anew, so that a token
//! which is accepted for one server says nothing about another.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_wire::lease::DenyReason;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timestamp;

/// The largest program that a pattern may become, in bytes.
const PATTERN_SIZE: usize = 64 * 1024;

/// What one server, or all of them, ask of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRules {
    /// Accepted values of `aud`; empty means the URL of the server path that is called, and no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// All of them have to hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimRule>,
    /// How old a token may be, in seconds since `iat`; a token without `iat` is too old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
}

/// One claim and what it has to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRule {
    pub claim: ClaimPath,
    pub test: ClaimTest,
}

/// A claim by its name, or by a JSON pointer (RFC 6901) such as `/realm_access/roles`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimPath(String);

/// How a claim is judged. Values of another type than the test is about do not pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimTest {
    /// The same value, of the same type.
    Equals(Value),
    /// A list with this value in it, or a text with this word in it, as `scope` is one (RFC 8693, section 4.2).
    Contains(Value),
    /// A text that the whole of this pattern matches.
    Matches(Pattern),
}

/// A regular expression that is anchored at both ends. It takes linear time (crate `regex`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

/// What a token says, as far as rules ask.
#[derive(Clone, Copy, Debug)]
pub struct TokenView<'a> {
    pub audiences: &'a [String],
    /// Seconds since the epoch.
    pub issued_at: Option<u64>,
    pub claims: &'a BTreeMap<String, Value>,
}

impl TokenRules {
    /// Whether the token may be used, where `resource` is the URL of the server path that is called.
    pub fn judge(
        &self,
        token: TokenView<'_>,
        resource: &str,
        tolerance: Duration,
        now: Timestamp,
    ) -> Result<(), DenyReason> {
        if !self.accepts_audience(token.audiences, resource) {
            return Err(DenyReason::WrongAudience);
        }
        if let Some(max_age) = self.max_age {
            let issued = token.issued_at.map(Timestamp::from_seconds).ok_or(DenyReason::ExpiredCredential)?;
            if issued.plus(Duration::from_secs(max_age)).plus(tolerance) <= now {
                return Err(DenyReason::ExpiredCredential);
            }
        }
        let holds =
            |rule: &ClaimRule| rule.claim.find(token.claims).is_some_and(|value| rule.test.passes(value));
        if self.claims.iter().all(holds) { Ok(()) } else { Err(DenyReason::NotForThisServer) }
    }

    /// Of several audiences one will do if the gateway's operator has named it. A token that is for a server path is for
    /// nobody else besides: that somebody could use it here.
    fn accepts_audience(&self, audiences: &[String], resource: &str) -> bool {
        if self.audiences.is_empty() {
            return matches!(audiences, [only] if only == resource);
        }
        audiences.iter().any(|audience| self.audiences.contains(audience))
    }
}

impl ClaimPath {
    /// `None` if it is empty, longer than 256 bytes, or has a control character.
    pub fn parse(text: &str) -> Option<Self> {
        let good = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
        // A pointer to the whole, and one to a claim with an empty name, lead nowhere.
        (good && !matches!(text, "/") && !text.starts_with("//")).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the claim that it begins with, which is what the filter hands over.
    pub fn name(&self) -> String {
        match self.0.strip_prefix('/') {
            None => self.0.clone(),
            Some(pointer) => unescape(pointer.split('/').next().unwrap_or_default()),
        }
    }

    /// The value in a token's claims.
    pub fn find<'a>(&self, claims: &'a BTreeMap<String, Value>) -> Option<&'a Value> {
        let claim = claims.get(&self.name())?;
        match self.0.strip_prefix('/').and_then(|pointer| pointer.split_once('/')) {
            Some((_, rest)) => claim.pointer(&format!("/{rest}")),
            None => Some(claim),
        }
    }
}

/// RFC 6901, section 4.
fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

impl ClaimTest {
    fn passes(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Equals(wanted), value) => wanted == value,
            (Self::Contains(wanted), Value::Array(items)) => items.contains(wanted),
            (Self::Contains(Value::String(wanted)), Value::String(text)) => {
                text.split(' ').any(|word| word == wanted)
            }
            (Self::Matches(pattern), Value::String(text)) => pattern.matches(text),
            _ => false,
        }
    }
}

impl Pattern {
    /// The error says what is wrong with the expression.
    pub fn parse(text: &str) -> Result<Self, String> {
        compile(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Leases are asked for rarely, so the expression is compiled each time.
    fn matches(&self, text: &str) -> bool {
        compile(&self.0).is_ok_and(|expression| expression.is_match(text))
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    // By itself first: `a)|(b` would break out of the brackets.
    RegexBuilder::new(text).size_limit(PATTERN_SIZE).build()?;
    RegexBuilder::new(&format!(r"\A(?:{text})\z")).size_limit(PATTERN_SIZE).build()
}

#[cfg(test)]
mod tests;
