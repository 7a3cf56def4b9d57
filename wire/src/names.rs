//! Names that are parsed once and valid for ever after.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The path segment that names a server or a workspace: `^[a-z0-9][a-z0-9-]{0,62}$`, and not a reserved word.
///
/// Exactly one spelling reaches a server, so a slug needs no folding and no escapes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// So that maps by slug are asked with texts.
impl std::borrow::Borrow<str> for Slug {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Segments that the gateway keeps for itself, now or soon.
pub const RESERVED_SLUGS: [&str; 23] = [
    "admin",
    "api",
    "assets",
    "authorize",
    "callback",
    "connect",
    "connections",
    "console",
    "health",
    "healthz",
    "introspect",
    "livez",
    "mcp",
    "oauth",
    "readyz",
    "register",
    "revoke",
    "setup",
    "sign-in",
    "sign-out",
    "static",
    "token",
    "well-known",
];

/// Why a text is not a [`Slug`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlugError {
    Malformed,
    Reserved,
}

impl fmt::Display for SlugError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => {
                "a slug has 1 to 63 lower-case letters, digits and hyphens, and starts with a letter or digit"
            }
            Self::Reserved => "this slug is reserved by the gateway; choose another",
        })
    }
}

impl std::error::Error for SlugError {}

impl Slug {
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        let mut bytes = text.bytes();
        let starts_well = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let goes_on_well =
            bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !starts_well || !goes_on_well || text.len() > 63 {
            return Err(SlugError::Malformed);
        }
        if RESERVED_SLUGS.contains(&text) {
            return Err(SlugError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;

    fn try_from(text: String) -> Result<Self, SlugError> {
        Self::parse(&text)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Slug, SlugError};

    #[test]
    fn one_spelling_only() {
        for good in ["linear", "a", "0", "git-hub-2", &"a".repeat(63)] {
            assert_eq!(Slug::parse(good).map(|slug| slug.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-a", "Linear", "a_b", "a.b", "a/b", "é", "a ", &"a".repeat(64)] {
            assert_eq!(Slug::parse(bad), Err(SlugError::Malformed), "{bad:?}");
        }
        assert_eq!(Slug::parse("connect"), Err(SlugError::Reserved));
    }
}
