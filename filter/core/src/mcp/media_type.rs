//! Whether a request's body claims to be what the gateway can judge.

use super::fault::{Fault, quote};
use super::headers::trim;
use crate::reply::code;

/// Accepts one `content-type` of `application/json`, in any case, with no charset or UTF-8, and no
/// `content-encoding`. Everything else is 415: what cannot be read must never pass unread.
///
/// `headers` is the whole list, names in lower case.
pub fn check_media_type(headers: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Fault> {
    let named = |wanted: &'static str| {
        headers.iter().filter(move |(name, _)| name == wanted.as_bytes()).map(|(_, value)| trim(value))
    };
    if let Some(encoding) = named("content-encoding").find(|value| !value.eq_ignore_ascii_case(b"identity")) {
        let encoding = quote(&String::from_utf8_lossy(encoding));
        return Err(refusal(format!("content-encoding {encoding} is not read here; send the body as it is")));
    }
    let mut types = named("content-type");
    match (types.next(), types.next()) {
        (Some(value), None) if is_json(value) => Ok(()),
        (Some(value), None) => {
            let value = quote(&String::from_utf8_lossy(value));
            Err(refusal(format!("content-type is {value}; send application/json in UTF-8")))
        }
        (None, _) => Err(refusal("content-type is missing; send application/json")),
        (Some(_), Some(_)) => Err(refusal("content-type is there twice; send application/json once")),
    }
}

fn refusal(message: impl Into<String>) -> Fault {
    Fault::new(415, code::INVALID_REQUEST, "unsupported_media_type", message)
}

/// Reads a media type (RFC 9110 section 8.3.1). Parameters other than the charset mean nothing for JSON and are
/// passed over, if they are well formed.
fn is_json(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b';').map(trim);
    if !parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(b"application/json")) {
        return false;
    }
    let mut charsets = 0_usize;
    for part in parts {
        if part.is_empty() {
            continue;
        }
        let Some((name, value)) = parameter(part) else { return false };
        if name.eq_ignore_ascii_case(b"charset") {
            charsets = charsets.saturating_add(1);
            if !value.eq_ignore_ascii_case(b"utf-8") || charsets > 1 {
                return false;
            }
        }
    }
    true
}

/// `name=token` or `name="token"`; quoted strings with escapes or separators in them are not taken.
fn parameter(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut sides = part.splitn(2, |byte| *byte == b'=');
    let (name, value) = (sides.next()?, sides.next()?);
    let value = value.strip_prefix(b"\"").map_or(Some(value), |rest| rest.strip_suffix(b"\""))?;
    (is_token(name) && is_token(value)).then_some((name, value))
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&str, &str)]) -> Result<(), u32> {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        check_media_type(&headers).map_err(|fault| fault.status)
    }

    #[test]
    fn json_in_utf_8_in_any_spelling() {
        for good in [
            "application/json",
            "Application/JSON; Charset=UTF-8",
            " application/json ;charset=\"utf-8\"; ",
            "application/json;profile=x",
        ] {
            assert_eq!(check(&[("content-type", good)]), Ok(()), "{good}");
        }
        assert_eq!(check(&[("content-type", "application/json"), ("content-encoding", "identity")]), Ok(()));
    }

    #[test]
    fn anything_else_is_unsupported() {
        for bad in [
            "",
            "text/json",
            "application/jsonx",
            "application/json-rpc",
            "application/ json",
            "application/json, text/plain",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=utf-8",
            "application/json; charset",
            "application/json; charset=\"utf-8",
            "application/json; charset =utf-8",
            "application/json;x=a,b",
        ] {
            assert_eq!(check(&[("content-type", bad)]), Err(415), "{bad}");
        }
        assert_eq!(check(&[]), Err(415));
        assert_eq!(check(&[("content-type", "application/json"); 2]), Err(415));
        for encoding in ["gzip", "br", "identity,gzip", ""] {
            let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
            assert_eq!(check(&headers), Err(415), "{encoding}");
        }
    }
}
