//! Looks for secrets where they must not be, in every spelling in which they could lie around.
//!
//! A [`Canary`] is a secret with a name; what is printed is the name. [`Search`] finds all spellings of all canaries in
//! one pass over each place. What it cannot find: a secret that is compressed, encrypted, or cut into pieces.

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;

use aho_corasick::{AhoCorasick, BuildError};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter texts are found by chance.
const SHORTEST: usize = 8;

/// A secret to look for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Canary {
    pub name: String,
    secret: String,
}

/// Somewhere to look.
#[derive(Clone)]
pub struct Place {
    pub name: String,
    pub content: Vec<u8>,
}

/// A secret where it must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub canary: String,
    pub spelling: &'static str,
    pub place: String,
    /// What stands before it.
    pub before: String,
}

/// All spellings of some canaries.
pub struct Search {
    automaton: AhoCorasick,
    /// For each pattern: whose it is, and in which spelling.
    patterns: Vec<(String, &'static str)>,
}

impl Canary {
    /// # Panics
    /// If the secret is so short that it would be found by chance.
    pub fn new(name: impl Into<String>, secret: impl Into<String>) -> Self {
        let (name, secret) = (name.into(), secret.into());
        assert!(secret.len() >= SHORTEST, "{name} is too short to look for");
        Self { name, secret }
    }

    /// The ways in which it may be written, as bytes. Some may be the same.
    pub fn spellings(&self) -> Vec<(&'static str, Vec<u8>)> {
        let (secret, bytes) = (self.secret.as_str(), self.secret.as_bytes());
        let escaped = serde_json::to_string(secret).unwrap_or_default();
        let escaped = escaped.get(1..escaped.len() - 1).unwrap_or_default();
        let each = |write: &dyn Fn(&mut String, u8)| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                write(&mut text, *byte);
                text
            })
        };
        let hex = each(&|text, byte| _ = write!(text, "{byte:02x}"));
        let mut spellings = vec![
            ("raw", secret.to_owned()),
            ("hex", hex.clone()),
            ("HEX", hex.to_uppercase()),
            ("percent-encoded", percent_encoded(bytes, false)),
            ("percent-encoded throughout", percent_encoded(bytes, true)),
            ("percent-encoded throughout, in lower case", percent_encoded(bytes, true).to_lowercase()),
            ("of a form", url::form_urlencoded::byte_serialize(bytes).collect()),
            ("JSON-escaped", escaped.to_owned()),
            ("JSON-escaped with slashes", escaped.replace('/', "\\/")),
            ("JSON-escaped throughout", each(&|text, byte| _ = write!(text, "\\u{byte:04x}"))),
            ("JSON-escaped twice", escaped.replace('\\', "\\\\").replace('"', "\\\"")),
            ("HTML-escaped", html_escaped(secret)),
            ("as a list of numbers", each(&|text, byte| _ = write!(text, "{byte}, "))),
        ];
        spellings.extend(base64_of(bytes));
        let mut spellings: Vec<_> =
            spellings.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
        spellings.push(("UTF-16", secret.encode_utf16().flat_map(u16::to_le_bytes).collect()));
        spellings
    }
}

/// Base64 has three spellings, by the position at which the secret begins. Of the first and last symbols those are left
/// out that depend on what stands around it.
fn base64_of(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let mut spellings = Vec::new();
    for rest in (0..3).filter_map(|skip| bytes.get(skip..)) {
        let whole = rest.get(..rest.len() / 3 * 3).unwrap_or_default();
        spellings.push(("Base64", STANDARD_NO_PAD.encode(whole)));
        spellings.push(("Base64 for URLs", URL_SAFE_NO_PAD.encode(whole)));
    }
    spellings
}

fn percent_encoded(bytes: &[u8], throughout: bool) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if !throughout && (byte.is_ascii_alphanumeric() || b"-._~".contains(byte)) {
            text.push(char::from(*byte));
        } else {
            _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// As the pages write it.
fn html_escaped(text: &str) -> String {
    [('&', "&#38;"), ('<', "&#60;"), ('>', "&#62;"), ('"', "&#34;"), ('\'', "&#39;")]
        .into_iter()
        .fold(text.to_owned(), |text, (character, escaped)| text.replace(character, escaped))
}

impl Place {
    pub fn new(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), content: content.into() }
    }
}

impl Search {
    pub fn new<'a>(canaries: impl IntoIterator<Item = &'a Canary>) -> Result<Self, BuildError> {
        let (mut patterns, mut texts) = (Vec::new(), Vec::new());
        for canary in canaries {
            let mut seen = BTreeSet::new();
            for (spelling, text) in canary.spellings() {
                if seen.insert(text.clone()) {
                    patterns.push((canary.name.clone(), spelling));
                    texts.push(text);
                }
            }
        }
        Ok(Self { automaton: AhoCorasick::new(texts)?, patterns })
    }

    /// Each canary that is in `place`, once for each of its spellings.
    pub fn find_in(&self, place: &Place) -> Vec<Found> {
        const BEFORE: usize = 80;
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for hit in self.automaton.find_overlapping_iter(&place.content) {
            let Some((canary, spelling)) = self.patterns.get(hit.pattern().as_usize()) else { continue };
            if seen.insert(hit.pattern()) {
                let from = hit.start().saturating_sub(BEFORE);
                let before = place.content.get(from..hit.start()).unwrap_or_default();
                found.insert(Found {
                    canary: canary.clone(),
                    spelling,
                    place: place.name.clone(),
                    before: String::from_utf8_lossy(before).into_owned(),
                });
            }
        }
        found.into_iter().collect()
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Canary({})", self.name)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {} bytes", self.name, self.content.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters that every escape has to do with.
    const SECRET: &str = "canary \"s\\cr/t\" <&+=%'~> 5d1f0c";

    fn found(content: impl Into<Vec<u8>>) -> Vec<&'static str> {
        let search = Search::new(&[Canary::new("it", SECRET)]).expect("a search");
        search.find_in(&Place::new("here", content)).into_iter().map(|found| found.spelling).collect()
    }

    #[test]
    fn what_others_write_is_found() {
        let json = serde_json::json!({"a": format!("x{SECRET}y")}).to_string();
        let twice = serde_json::json!({ "a": json }).to_string();
        let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("a", SECRET).finish();
        let mut url = url::Url::parse("https://a.example/").expect("a URL");
        url.query_pairs_mut().append_pair("q", SECRET);
        let utf16: Vec<u8> = SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for written in [
            SECRET.into(),
            format!("{SECRET:?}").into_bytes(),
            json.clone().into_bytes(),
            json.replace('/', "\\/").into_bytes(),
            twice.into_bytes(),
            form.into_bytes(),
            url.to_string().into_bytes(),
            format!("{:?}", SECRET.as_bytes()).replace(']', ", ]").into_bytes(),
            utf16,
        ] {
            assert!(!found(written.clone()).is_empty(), "{}", String::from_utf8_lossy(&written));
        }
    }

    #[test]
    fn base64_is_found_wherever_the_secret_begins() {
        for before in 0..7 {
            for after in 0..4 {
                let text = format!("{}{SECRET}{}", "u".repeat(before), "v".repeat(after));
                for (engine, name) in [(&STANDARD_NO_PAD, "Base64"), (&URL_SAFE_NO_PAD, "Base64 for URLs")] {
                    let spellings = found(engine.encode(&text));
                    assert!(!spellings.is_empty(), "{name} after {before}, before {after}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(found("canary \"s\\cr/t\" <&+=%'~> 5d1f0").is_empty());
        assert!(found("").is_empty());
        let short = std::panic::catch_unwind(|| Canary::new("it", "short"));
        assert!(short.is_err());
    }

    #[test]
    fn nothing_secret_is_printed() {
        let canary = Canary::new("it", SECRET);
        assert_eq!(format!("{canary:?} {:?}", Place::new("here", SECRET)), "Canary(it) here, 31 bytes");
    }
}
