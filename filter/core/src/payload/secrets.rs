//! What looks like a secret. Errs on the side of hiding: a log that hides a word too many is still a log.

use std::ops::Range;

/// Put in place of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// What kinds of value a key makes secret. `true`, `false` and `null` never are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    Open,
    /// Everything but numbers: `max_tokens: 100` is a count.
    Text,
    Everything,
}

/// Parts of key names in lower case, without separators.
const SECRET_KEYS: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "accesskey",
    "authorization",
    "credential",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "cookie",
    "clientassertion",
];
const SECRET_TEXT_KEYS: [&str; 3] = ["token", "session", "bearer"];
/// Keys of MCP itself that only sound secret.
const OPEN_KEYS: [&str; 2] = ["progresstoken", "tokentype"];

/// Judges a key, whatever its case and separators.
pub(super) fn key_secrecy(key: &str) -> Secrecy {
    let plain: Vec<u8> = key
        .bytes()
        .filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' '))
        .map(|byte| byte.to_ascii_lowercase())
        .collect();
    if OPEN_KEYS.iter().any(|open| open.as_bytes() == plain) {
        Secrecy::Open
    } else if holds_one_of(&plain, &SECRET_KEYS) {
        Secrecy::Everything
    } else if holds_one_of(&plain, &SECRET_TEXT_KEYS) {
        Secrecy::Text
    } else {
        Secrecy::Open
    }
}

/// For keys of a few letters, quicker than one search for each part.
fn holds_one_of(text: &[u8], parts: &[&str]) -> bool {
    (0..text.len()).filter_map(|at| text.get(at..)).any(|rest| {
        parts.iter().any(|part| rest.first() == part.as_bytes().first() && rest.starts_with(part.as_bytes()))
    })
}

/// Prefixes of credentials and how many more characters there must be at least.
const PREFIXES: [(&[u8], usize); 22] = [
    (b"pcl_", 8),
    (b"ghp_", 8),
    (b"gho_", 8),
    (b"ghu_", 8),
    (b"ghs_", 8),
    (b"ghr_", 8),
    (b"github_pat_", 8),
    (b"glpat-", 8),
    (b"xoxa-", 8),
    (b"xoxb-", 8),
    (b"xoxe-", 8),
    (b"xoxe.", 8),
    (b"xoxp-", 8),
    (b"xoxr-", 8),
    (b"xoxs-", 8),
    (b"xapp-", 8),
    (b"sk-", 16),
    (b"lin_api_", 8),
    (b"lin_oauth_", 8),
    (b"ntn_", 8),
    (b"AKIA", 16),
    (b"ASIA", 16),
];

/// Base64 of JSON that is longer than this is taken for a token even if it is no JSON Web Token; what is shorter may be
/// a pagination cursor.
const LONGEST_CURSOR: usize = 1024;

const LONGEST_KEY: usize = 64;

/// `text` with everything in it that looks like a credential masked; `None` if nothing does. `cut` says that the text
/// goes on: what reaches its end may be the start of a credential.
pub(super) fn redact_text(text: &str, cut: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut redacted: Option<String> = None;
    let mut copied = 0;
    let mut at = 0;
    let mut inside_word = false;
    while let Some(byte) = bytes.get(at) {
        let starts_word = !inside_word && (byte.is_ascii_alphanumeric() || *byte == b'-');
        let rest = bytes.get(at..).unwrap_or_default();
        if starts_word && let Some(found) = secret_at(rest, cut) {
            let start = at.saturating_add(found.start);
            let end = at.saturating_add(found.end);
            let redacted = redacted.get_or_insert_default();
            redacted.push_str(text.get(copied..start).unwrap_or_default());
            redacted.push_str(REDACTED);
            copied = end;
            at = end;
            inside_word = false;
        } else {
            inside_word = byte.is_ascii_alphanumeric();
            at = at.saturating_add(1);
        }
    }
    let mut redacted = redacted?;
    redacted.push_str(text.get(copied..).unwrap_or_default());
    Some(redacted)
}

/// Where the secret is, if the word at the start of `text` is one or announces one. Ranges end between characters,
/// because they end before or after ASCII.
fn secret_at(text: &[u8], cut: bool) -> Option<Range<usize>> {
    let end = credential(text, cut).or_else(|| scheme_and_token(text));
    end.map(|end| 0..end).or_else(|| private_key(text)).or_else(|| assignment(text))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.~+/=%".contains(&byte)
}

/// How many bytes at the start of `text` satisfy `belongs`.
fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !belongs(*byte)).unwrap_or(text.len())
}

/// A credential that is known by its first characters, or a JSON Web Token.
fn credential(text: &[u8], cut: bool) -> Option<usize> {
    let first = text.first()?;
    let known = PREFIXES.iter().find(|(prefix, _)| prefix.first() == Some(first) && text.starts_with(prefix));
    let is_jwt = text.starts_with(b"eyJ");
    if known.is_none() && !is_jwt {
        return None;
    }
    let length = run(text, is_token_byte);
    let goes_on = cut && length == text.len();
    let long_enough = if let Some((prefix, more)) = known {
        length >= prefix.len().saturating_add(*more)
    } else {
        // Header, payload and signature.
        let parts = text.get(..length).unwrap_or_default().split(|byte| *byte == b'.').count();
        length >= LONGEST_CURSOR || (length >= 20 && parts >= 3)
    };
    (long_enough || goes_on).then_some(length)
}

/// `Bearer x` or `Basic x`, the scheme included.
fn scheme_and_token(text: &[u8]) -> Option<usize> {
    let scheme = [b"bearer".as_slice(), b"basic"]
        .into_iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    let after = text.get(scheme.len()..)?;
    let spaces = run(after, |byte| byte == b' ');
    let token = run(after.get(spaces..)?, is_token_byte);
    (spaces > 0 && token >= 8).then(|| scheme.len().saturating_add(spaces).saturating_add(token))
}

/// A PEM block (RFC 7468) of a private key, to its last line or to the end of the text.
fn private_key(text: &[u8]) -> Option<Range<usize>> {
    let label = text.strip_prefix(b"-----BEGIN ")?;
    let label = label.get(..run(label, |byte| byte != b'-'))?;
    if !label.ends_with(b"PRIVATE KEY") {
        return None;
    }
    let end_line = [b"-----END ".as_slice(), label, b"-----"].concat();
    let end = memchr::memmem::find(text, &end_line).map(|at| at.saturating_add(end_line.len()));
    Some(0..end.unwrap_or(text.len()))
}

/// The value in `password=x`, `"api_key": "x"`, `Authorization: Basic x`, `?access_token=x&` and the like.
fn assignment(text: &[u8]) -> Option<Range<usize>> {
    // Longer words are no keys, and measuring each to its end would take quadratic time.
    let start = text.get(..LONGEST_KEY).unwrap_or(text);
    let word_length = run(start, |byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let is_quote = |byte: u8| matches!(byte, b'"' | b'\'' | b'`' | b'\\');
    let mut at = word_length;
    let mut skip = |belongs: &dyn Fn(u8) -> bool| {
        let length = run(text.get(at..).unwrap_or_default(), belongs);
        at = at.saturating_add(length);
        length
    };
    skip(&|byte| is_quote(byte) || byte == b' ');
    if skip(&|byte| byte == b':' || byte == b'=') == 0 {
        return None;
    }
    let word = std::str::from_utf8(text.get(..word_length)?).ok()?;
    let secrecy = key_secrecy(word);
    if secrecy == Secrecy::Open {
        return None;
    }
    skip(&|byte| is_quote(byte) || byte == b' ');
    let value = text.get(at..)?;
    let lower = word.to_ascii_lowercase();
    let is_header = lower.ends_with("authorization") || lower.ends_with("cookie");
    let length = if is_header {
        run(value, |byte| !is_quote(byte) && byte >= b' ')
    } else {
        scheme_and_token(value).unwrap_or_else(|| {
            run(value, |byte| !is_quote(byte) && byte > b' ' && !b",;&()[]{}<>".contains(&byte))
        })
    };
    let shown = value.get(..length)?;
    // "token: see below" is prose, and so is a count.
    let is_text = length >= 8 && !shown.iter().all(u8::is_ascii_digit);
    (length > 0 && (secrecy == Secrecy::Everything || is_text)).then(|| at..at.saturating_add(length))
}
