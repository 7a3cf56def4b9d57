//! What of an upstream's response head reaches the client, and whether its body may.
//!
//! Headers pass by a list of names that MCP clients use; all others are held back, because a header of a foreign
//! server acts on the gateway's own origin: `Set-Cookie`, `Location`, `Access-Control-*`, `Alt-Svc`,
//! `Clear-Site-Data`, `Strict-Transport-Security`, and `WWW-Authenticate`, which would send the client to sign in at a
//! server whose credentials it must never hold.

use portcullis_wire::lease::MAX_CHALLENGE_BYTES;

use super::needles::Needles;
use crate::step::Headers;

/// How to treat a response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPlan {
    /// Not a JSON-RPC message, or no body at all.
    Pass,
    /// One JSON document.
    Json,
    /// One JSON document, whose head waits until it is read. Never chosen by [`judge`].
    HeldJson,
    /// A stream of server-sent events.
    Sse,
}

/// What to do with a response head.
#[derive(Debug, PartialEq)]
pub enum Head {
    /// Send these headers, then the body by this plan.
    Forward { headers: Headers, plan: BodyPlan },
    /// Send nothing of the upstream's response.
    Refuse(Refusal),
}

/// Why an upstream's response is not passed on. Always answered with status 502 ([`Refusal::STATUS`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Status 3xx: following it, or letting the client follow it, would leave the registered server.
    Redirected,
    /// The injected credential was refused ([`CredentialRefusal`]). The client's own was fine, so it must not see that.
    RefusedCredential,
    /// A body that has to be read is compressed, although the request forbade it.
    Encoded,
    /// A body that has to be read is neither JSON nor server-sent events in UTF-8, or says two things about itself.
    ContentType,
    /// A response that has to be read whole is too long for that.
    TooLarge,
    /// No status, or one that ends HTTP (101).
    Malformed,
}

/// An upstream's word that it does not take the injected credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRefusal {
    /// 401, or 403 with the error `insufficient_scope` (RFC 6750, section 3.1).
    pub status: u16,
    /// `WWW-Authenticate`, cut to [`MAX_CHALLENGE_BYTES`].
    pub challenge: Option<String>,
}

impl CredentialRefusal {
    /// `None` for every other response.
    pub fn of(headers: &Headers) -> Option<Self> {
        let status = status(headers).filter(|status| matches!(status, 401 | 403))?;
        let challenges: Vec<&[u8]> = values(headers, b"www-authenticate").collect();
        let challenge = challenges.join(&b", "[..]);
        let wants_scope = memchr::memmem::find(&challenge, b"insufficient_scope").is_some();
        if status == 403 && !wants_scope {
            return None;
        }
        let mut challenge = String::from_utf8_lossy(&challenge).into_owned();
        challenge.truncate(challenge.floor_char_boundary(MAX_CHALLENGE_BYTES));
        Some(Self { status, challenge: Some(challenge).filter(|text| !text.is_empty()) })
    }
}

impl Refusal {
    pub const STATUS: u32 = 502;

    /// For the access log; also the response-code details behind `portcullis_`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Redirected => "upstream_redirected",
            Self::RefusedCredential => "upstream_unauthorized",
            Self::Encoded => "upstream_encoded",
            Self::ContentType => "upstream_content_type",
            Self::TooLarge => "upstream_too_large",
            Self::Malformed => "upstream_malformed",
        }
    }

    /// For the person who made the request.
    pub fn message(self) -> &'static str {
        match self {
            Self::Redirected => "The server answered with a redirect, which the gateway does not follow.",
            Self::RefusedCredential => {
                "The server refused the gateway's stored credential. An administrator must renew it."
            }
            Self::Encoded => "The server sent a compressed response that the gateway could not check.",
            Self::ContentType => "The server sent a response that is neither JSON nor an event stream.",
            Self::TooLarge => "The server sent a response that is longer than the gateway can check.",
            Self::Malformed => "The server sent a response that is not valid HTTP for MCP.",
        }
    }
}

/// Judges a response head.
///
/// `inspected` says that the body has to be read before the client may see it: lists, and streams that may carry
/// them. Headers that hold a credential do not pass, whatever their name.
pub fn judge(headers: &Headers, inspected: bool, needles: &Needles) -> Head {
    let Some(status) = status(headers) else { return Head::Refuse(Refusal::Malformed) };
    match status {
        401 | 403 if CredentialRefusal::of(headers).is_some() => {
            return Head::Refuse(Refusal::RefusedCredential);
        }
        200..=299 | 400..=599 => {}
        300..=399 => return Head::Refuse(Refusal::Redirected),
        _ => return Head::Refuse(Refusal::Malformed),
    }
    let encoded = is_encoded(headers);
    let plan = match content_type(headers) {
        _ if has_no_body(status, headers) => BodyPlan::Pass,
        // Nothing can be read of it, and nothing has to be.
        _ if encoded && !inspected => BodyPlan::Pass,
        _ if encoded => return Head::Refuse(Refusal::Encoded),
        ContentType::Json => BodyPlan::Json,
        ContentType::Sse => BodyPlan::Sse,
        // A proxy's error page, for example. Clients read no list out of it, and the status must stay what it is:
        // that is how clients find out which transport a server speaks.
        ContentType::Other if !inspected || status >= 400 => BodyPlan::Pass,
        ContentType::Ambiguous if !inspected => BodyPlan::Pass,
        ContentType::Other | ContentType::Ambiguous => return Head::Refuse(Refusal::ContentType),
    };
    // Lists lose entries, and event streams may lose events.
    let may_change = plan == BodyPlan::Sse || (inspected && plan == BodyPlan::Json);
    let headers = headers
        .iter()
        .filter(|(name, value)| passes(name, may_change) && !needles.occur_in(value))
        .cloned()
        .collect();
    Head::Forward { headers, plan }
}

/// Whether a header of this name reaches the client. What measures or validates the body does not where the body may
/// change.
fn passes(name: &[u8], may_change: bool) -> bool {
    match name {
        b"content-length" | b"etag" | b"last-modified" | b"accept-ranges" => !may_change,
        b":status"
        | b"allow"
        | b"cache-control"
        | b"content-encoding"
        | b"content-language"
        | b"content-type"
        | b"date"
        | b"retry-after"
        | b"transfer-encoding"
        | b"vary"
        | b"x-accel-buffering"
        // Envoy's own, for access logs; Envoy overwrites what an upstream sends under this name.
        | b"x-envoy-upstream-service-time" => true,
        // `mcp-session-id`, `mcp-protocol-version`, and what later versions add.
        _ => name.starts_with(b"mcp-"),
    }
}

/// Whether a body says beforehand that it is longer than `limit` bytes.
pub fn is_longer(headers: &Headers, limit: usize) -> bool {
    let length = |value| std::str::from_utf8(value).ok()?.parse::<usize>().ok();
    values(headers, b"content-length").any(|value| length(value).is_none_or(|length| length > limit))
}

fn status(headers: &Headers) -> Option<u16> {
    let mut values = values(headers, b":status");
    let status = std::str::from_utf8(values.next()?).ok()?.parse().ok()?;
    values.next().is_none().then_some(status)
}

fn has_no_body(status: u16, headers: &Headers) -> bool {
    let mut lengths = values(headers, b"content-length").peekable();
    let empty = lengths.peek().is_some() && lengths.all(|length| length == b"0");
    empty || matches!(status, 204 | 205)
}

fn is_encoded(headers: &Headers) -> bool {
    values(headers, b"content-encoding").any(|value| {
        let value = value.trim_ascii();
        !value.is_empty() && !value.eq_ignore_ascii_case(b"identity")
    })
}

enum ContentType {
    Json,
    Sse,
    /// None, or another.
    Other,
    /// More than one, or one that makes the client read other characters than the gateway.
    Ambiguous,
}

fn content_type(headers: &Headers) -> ContentType {
    let mut values = values(headers, b"content-type");
    let Some(value) = values.next() else { return ContentType::Other };
    let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let media_type = parts.next().unwrap_or_default();
    // A comma would be a list of types, which some clients read from the front and some from the back.
    if values.next().is_some() || value.contains(&b',') || !parts.all(keeps_utf8) {
        return ContentType::Ambiguous;
    }
    if media_type.eq_ignore_ascii_case(b"application/json") {
        ContentType::Json
    } else if media_type.eq_ignore_ascii_case(b"text/event-stream") {
        ContentType::Sse
    } else {
        ContentType::Other
    }
}

/// Whether a parameter of a media type is no `charset`, or says UTF-8.
fn keeps_utf8(parameter: &[u8]) -> bool {
    let mut halves = parameter.splitn(2, |byte| *byte == b'=');
    let name = halves.next().unwrap_or_default().trim_ascii();
    let value = halves.next().unwrap_or_default().trim_ascii();
    let value = value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value);
    !name.eq_ignore_ascii_case(b"charset")
        || [b"utf-8".as_slice(), b"utf8", b"us-ascii"].iter().any(|good| value.eq_ignore_ascii_case(good))
}

fn values<'h>(headers: &'h Headers, name: &'static [u8]) -> impl Iterator<Item = &'h [u8]> {
    headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
}
