//! What a token endpoint answered. Nothing of a body goes into an error: it may repeat a token.
//!
//! | answer | means |
//! |---|---|
//! | 200 with an `access_token` | tokens, or `Unusable` |
//! | 200 or 4xx with `error` | by its code: `InvalidGrant`, `NotDone`, `Ambiguous` or `Refused` |
//! | 429; 503 with `Retry-After` | `NotDone` |
//! | anything else: 5xx, 3xx, HTML, no body | `Ambiguous` |

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use secrecy::SecretString;
use serde_json::Value;

use super::{TokenError, Tokens};
use crate::clock::Timestamp;
use crate::egress::EgressReply;
use crate::oauth::account;
use crate::oauth::json::{self, JsonError, Object};

const MAX_TOKEN: usize = 16 * 1024;
/// What "never" is for a lifetime: ten years, in seconds.
const MAX_LIFETIME: f64 = 315_360_000.0;
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// `invalid_grant` (RFC 6749, section 5.2), and what providers with error codes of their own document in its place.
const GRANT_IS_GONE: [&str; 5] = [
    "invalid_grant",
    // GitHub
    "bad_refresh_token",
    "bad_verification_code",
    // Slack
    "invalid_refresh_token",
    "invalid_code",
];

/// Codes that may be repeated to administrators and in logs: RFC 6749, section 5.2, and RFC 8707.
const REPEATABLE: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
];

/// What GitHub and Slack say in place of `invalid_client`.
const CLIENT_IS_UNKNOWN: [&str; 3] =
    ["incorrect_client_credentials", "bad_client_secret", "invalid_client_id"];

pub(super) fn read(reply: &EgressReply, now: Timestamp) -> Result<Tokens, TokenError> {
    let retry_after = retry_after(&reply.headers, now);
    match (reply.status, json::object(reply)) {
        (429, _) => Err(TokenError::NotDone { retry_after }),
        (503, _) if retry_after.is_some() => Err(TokenError::NotDone { retry_after }),
        (200, Ok(object)) if !object.contains_key("error") => tokens(&object),
        (200, Err(JsonError::DuplicateKey)) => Err(TokenError::Unusable("its answer has a key twice")),
        (200 | 400..=499, Ok(object)) => Err(error(&object, retry_after)),
        _ => Err(TokenError::Ambiguous),
    }
}

fn error(object: &Object, retry_after: Option<Duration>) -> TokenError {
    match object.get("error").and_then(Value::as_str) {
        Some(code) if GRANT_IS_GONE.contains(&code) => TokenError::InvalidGrant,
        Some("temporarily_unavailable" | "slow_down") => TokenError::NotDone { retry_after },
        Some("server_error") | None => TokenError::Ambiguous,
        Some(code) if CLIENT_IS_UNKNOWN.contains(&code) => {
            TokenError::Refused { code: "invalid_client".to_owned() }
        }
        Some(code) if REPEATABLE.contains(&code) => TokenError::Refused { code: code.to_owned() },
        Some(_) => TokenError::Refused { code: "other".to_owned() },
    }
}

fn tokens(object: &Object) -> Result<Tokens, TokenError> {
    let access = match object.get("access_token") {
        // Some proxy's `{}`, and not what a token endpoint says.
        None => return Err(TokenError::Ambiguous),
        Some(value) => token(value)
            .ok_or(TokenError::Unusable("access_token is not visible ASCII of 1 to 16384 bytes"))?,
    };
    if !is_bearer(object) {
        return Err(TokenError::Unusable("token_type is not Bearer"));
    }
    let refresh = match present(object, "refresh_token") {
        None => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(value) => Some(
            token(value)
                .ok_or(TokenError::Unusable("refresh_token is not visible ASCII of 1 to 16384 bytes"))?,
        ),
    };
    let (expires_in, scopes) = (expires_in(object)?, scopes(object)?);
    Ok(Tokens { access, refresh, expires_in, scopes, account: account::named_in(object) })
}

/// Slack calls the kind of a token what others call its owner: `user` is a Bearer token of a person, and `bot` one that
/// its MCP server does not take. Its answers are known by their `ok`.
fn is_bearer(object: &Object) -> bool {
    let token_type = object.get("token_type").and_then(Value::as_str).unwrap_or_default();
    let from_slack = object.get("ok") == Some(&Value::Bool(true));
    token_type.eq_ignore_ascii_case("bearer") || (from_slack && token_type == "user")
}

fn present<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn token(value: &Value) -> Option<SecretString> {
    let text = value.as_str()?;
    let sendable = (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    sendable.then(|| text.to_owned().into())
}

/// Seconds as a number, or as a text that is one.
fn expires_in(object: &Object) -> Result<Option<Duration>, TokenError> {
    let number = match present(object, "expires_in") {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    let seconds: f64 = number.ok_or(TokenError::Unusable("expires_in is not a number"))?;
    // A token that was dead on arrival would be renewed for ever; the upstream's word on it is better.
    if seconds.is_nan() || seconds < 1.0 {
        return Ok(None);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on both sides")]
    let whole = seconds.min(MAX_LIFETIME) as u64;
    Ok(Some(Duration::from_secs(whole)))
}

/// Separated by spaces, as the standard says, by commas, as GitHub does, or an array.
fn scopes(object: &Object) -> Result<Option<BTreeSet<String>>, TokenError> {
    let unusable = TokenError::Unusable("scope is not a text");
    let scopes: BTreeSet<String> = match present(object, "scope") {
        None => return Ok(None),
        Some(Value::String(text)) => split(text).collect(),
        Some(Value::Array(values)) => {
            let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            texts.ok_or(unusable)?.into_iter().flat_map(split).collect()
        }
        Some(_) => return Err(unusable),
    };
    Ok(Some(scopes).filter(|scopes| !scopes.is_empty()))
}

fn split(text: &str) -> impl Iterator<Item = String> {
    text.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned)
}

/// RFC 9110, section 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = text.parse().map(Duration::from_secs).ok().or_else(|| {
        let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
        Some(now.until(Timestamp(u64::try_from(date).ok()?)))
    })?;
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    fn reply(status: u16, body: &str) -> EgressReply {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().expect("a value"));
        EgressReply { status, headers, body: body.to_owned().into() }
    }

    fn answer(status: u16, body: &str) -> Result<Tokens, TokenError> {
        read(&reply(status, body), Timestamp(0))
    }

    fn given(members: &str) -> Result<Tokens, TokenError> {
        answer(200, &format!(r#"{{"access_token":"at","token_type":"Bearer"{members}}}"#))
    }

    #[test]
    fn tokens_are_read() {
        let tokens = given(r#","expires_in":3600,"refresh_token":"rt","scope":"read  write","id_token":{}"#)
            .expect("tokens");
        assert_eq!(tokens.access.expose_secret(), "at");
        assert_eq!(tokens.refresh.as_ref().map(ExposeSecret::expose_secret), Some("rt"));
        assert_eq!(tokens.expires_in, Some(Duration::from_hours(1)));
        assert_eq!(tokens.scopes, Some(BTreeSet::from(["read".to_owned(), "write".to_owned()])));
        assert!(!format!("{tokens:?}").contains("rt"));
        let plain = answer(200, r#"{"access_token":"at","token_type":"bEARER"}"#).expect("tokens");
        assert!(plain.refresh.is_none() && plain.expires_in.is_none() && plain.scopes.is_none());
    }

    #[test]
    fn lifetimes() {
        for (value, seconds) in [
            ("1", Some(1)),
            ("\"3600\"", Some(3600)),
            ("3600.9", Some(3600)),
            ("1e18", Some(315_360_000)),
            ("18446744073709551616", Some(315_360_000)),
            ("0", None),
            ("-1", None),
            ("\"0\"", None),
            ("null", None),
            ("0.5", None),
            ("\"NaN\"", None),
            ("\"-inf\"", None),
        ] {
            let tokens = given(&format!(r#","expires_in":{value}"#)).expect(value);
            assert_eq!(tokens.expires_in, seconds.map(Duration::from_secs), "{value}");
        }
        for value in ["true", "[]", "\"soon\"", "{}", "\"\""] {
            let error = given(&format!(r#","expires_in":{value}"#)).map(|_| ());
            assert_eq!(error, Err(TokenError::Unusable("expires_in is not a number")), "{value}");
        }
    }

    #[test]
    fn scopes_in_every_spelling() {
        let set = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>());
        for (value, scopes) in [
            ("\"a b\"", set(&["a", "b"])),
            ("\"repo,gist\"", set(&["gist", "repo"])),
            ("[\"a\",\"b\"]", set(&["a", "b"])),
            ("\"\"", None),
            ("null", None),
            ("[]", None),
        ] {
            assert_eq!(given(&format!(r#","scope":{value}"#)).expect(value).scopes, scopes, "{value}");
        }
        assert!(given(r#","scope":7"#).is_err());
    }

    #[test]
    fn an_empty_refresh_token_is_none() {
        for value in ["\"\"", "null"] {
            assert!(given(&format!(r#","refresh_token":{value}"#)).expect(value).refresh.is_none());
        }
    }

    #[test]
    fn tokens_that_no_header_can_carry() {
        let long = format!("\"{}\"", "a".repeat(MAX_TOKEN + 1));
        for value in
            ["\"\"", "7", "null", "\"a b\"", "\"a\\r\\nx: y\"", "\"a\\u0000\"", "\"ä\"", "\"\\u007f\"", &long]
        {
            let body = format!(r#"{{"access_token":{value},"token_type":"Bearer"}}"#);
            assert!(matches!(answer(200, &body), Err(TokenError::Unusable(_))), "{value}");
        }
        assert!(matches!(given(r#","refresh_token":"a\nb""#), Err(TokenError::Unusable(_))));
        let largest = format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "a".repeat(MAX_TOKEN));
        assert!(answer(200, &largest).is_ok());
    }

    #[test]
    fn slack_has_words_of_its_own() {
        let body = r#"{"ok":true,"access_token":"xoxp-1","token_type":"user","scope":"search:read.public,chat:write",
            "expires_in":43200,"refresh_token":"xoxe-1","team":{"id":"T1","name":"Analytical Engines"}}"#;
        let tokens = answer(200, body).expect("tokens");
        assert_eq!(tokens.scopes.map(|scopes| scopes.len()), Some(2));
        assert_eq!(tokens.account.as_deref(), Some("Analytical Engines"));
        for (token_type, ok) in [("bot", "true"), ("user", "false"), ("user", "1")] {
            let body = format!(r#"{{"ok":{ok},"access_token":"at","token_type":"{token_type}"}}"#);
            assert!(matches!(answer(200, &body), Err(TokenError::Unusable(_))), "{body}");
        }
        for (code, error) in [
            ("invalid_refresh_token", TokenError::InvalidGrant),
            ("bad_client_secret", TokenError::Refused { code: "invalid_client".to_owned() }),
            ("token_revoked", TokenError::Refused { code: "other".to_owned() }),
        ] {
            let body = format!(r#"{{"ok":false,"error":"{code}"}}"#);
            assert_eq!(answer(200, &body).map(|_| ()), Err(error), "{code}");
        }
    }

    #[test]
    fn other_token_types() {
        for members in
            ["", r#","token_type":"mac""#, r#","token_type":"DPoP""#, r#","token_type":["Bearer"]"#]
        {
            let body = format!(r#"{{"access_token":"at"{members}}}"#);
            assert_eq!(answer(200, &body).map(|_| ()), Err(TokenError::Unusable("token_type is not Bearer")));
        }
        let twice = r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#;
        assert!(matches!(answer(200, twice), Err(TokenError::Unusable(_))));
    }

    #[test]
    fn errors_by_their_code() {
        let refused = |code: &str| TokenError::Refused { code: code.to_owned() };
        for status in [200, 400, 401, 403] {
            for (code, error) in [
                ("invalid_grant", TokenError::InvalidGrant),
                ("bad_refresh_token", TokenError::InvalidGrant),
                ("invalid_client", refused("invalid_client")),
                ("invalid_scope", refused("invalid_scope")),
                ("temporarily_unavailable", TokenError::NotDone { retry_after: None }),
                ("server_error", TokenError::Ambiguous),
                ("rt-3f9a is unknown", refused("other")),
                ("INVALID_GRANT", refused("other")),
            ] {
                let body = format!(r#"{{"error":"{code}","error_description":"rt-3f9a"}}"#);
                assert_eq!(answer(status, &body).map(|_| ()), Err(error), "{status} {code}");
            }
        }
    }

    #[test]
    fn everything_else_is_ambiguous() {
        for (status, body) in [
            (200, ""),
            (200, "{}"),
            (200, "<html>"),
            (200, r#"{"error":7}"#),
            (200, r#"{"access_token":"#),
            (201, r#"{"access_token":"at","token_type":"Bearer"}"#),
            (302, ""),
            (400, ""),
            (400, "{}"),
            (400, "<html>"),
            (401, ""),
            (403, "denied"),
            (404, "{}"),
            (408, ""),
            (500, r#"{"error":"invalid_grant"}"#),
            (502, "<html>"),
            (503, ""),
            (504, ""),
        ] {
            assert_eq!(answer(status, body).map(|_| ()), Err(TokenError::Ambiguous), "{status} {body}");
        }
        let mut page = reply(400, r#"{"error":"invalid_grant"}"#);
        page.headers.insert(header::CONTENT_TYPE, "text/html".parse().expect("a value"));
        assert_eq!(read(&page, Timestamp(0)).map(|_| ()), Err(TokenError::Ambiguous));
    }

    #[test]
    fn come_later() {
        let now = Timestamp::from_seconds(1_445_412_420);
        for (status, value, seconds) in [
            (429, Some("30"), Some(30)),
            (429, None, None),
            (429, Some("soon"), None),
            (429, Some("-5"), None),
            (503, Some("120"), Some(120)),
            (429, Some("999999999"), Some(3600)),
            (503, Some("Wed, 21 Oct 2015 07:28:00 GMT"), Some(60)),
            (503, Some("Wed, 21 Oct 2009 07:28:00 GMT"), Some(0)),
        ] {
            let mut reply = reply(status, "<html>");
            if let Some(value) = value {
                reply.headers.insert(header::RETRY_AFTER, value.parse().expect("a value"));
            }
            let retry_after = seconds.map(Duration::from_secs);
            assert_eq!(
                read(&reply, now).map(|_| ()),
                Err(TokenError::NotDone { retry_after }),
                "{status} {value:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_error_repeats_a_body(status in 200_u16..600, secret in "[a-z0-9]{12}", shape in 0_usize..5) {
            let body = match shape {
                0 => format!(r#"{{"error":"{secret}"}}"#),
                1 => format!(r#"{{"error":"invalid_request","error_description":"{secret}"}}"#),
                2 => format!(r#"{{"access_token":"{secret}","token_type":"mac"}}"#),
                3 => format!(r#"{{"{secret}":1,"{secret}":2}}"#),
                _ => secret.clone(),
            };
            let error = answer(status, &body).map(|_| ()).expect_err("never usable");
            let said = format!("{error} {error:?}");
            prop_assert!(!said.contains(&secret));
        }
    }
}
