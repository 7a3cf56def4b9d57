//! The one gateway credential among the headers of a request.

use portcullis_wire::api_key::{ApiKey, looks_like_api_key};
use portcullis_wire::digest::Digest;
use portcullis_wire::secret::SecretText;

use super::fault::Fault;

/// The header for clients that need `Authorization` for something else. Its value is an API key alone.
pub const API_KEY_HEADER: &str = "x-portcullis-api-key";

/// Longest credential, in bytes.
pub const MAX_CREDENTIAL_LENGTH: usize = 8 * 1024;

/// A credential that is spelt right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    ApiKey(ApiKey),
    /// All else that was sent as a bearer token; [`super::VerifiedTokens::verify`] reads it.
    Token(SecretText),
}

/// A credential and what it is known by in caches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub presented: Presented,
    /// Of the whole text, so that no two credentials share an entry.
    pub digest: Digest,
}

/// Finds the credential in a header list with lower-case names. Exactly one is allowed, so that nobody has to guess
/// which of two counts; query and cookies are never looked at.
pub fn find(headers: &[(Vec<u8>, Vec<u8>)]) -> Result<Credential, Fault> {
    let mut shown = headers.iter().filter_map(|(name, value)| match name.as_slice() {
        b"authorization" => Some((true, value.as_slice())),
        name if name == API_KEY_HEADER.as_bytes() => Some((false, value.as_slice())),
        _ => None,
    });
    let (is_authorization, value) = shown.next().ok_or(Fault::NoCredential)?;
    // Envoy joins repeated headers with commas, which occur in no credential.
    if shown.next().is_some() || value.contains(&b',') {
        return Err(Fault::SeveralCredentials);
    }
    let text = spelling(if is_authorization { bearer(value)? } else { value })?;
    let presented = if looks_like_api_key(text) || !is_authorization {
        Presented::ApiKey(ApiKey::parse(text).ok_or(Fault::MisspeltApiKey)?)
    } else {
        Presented::Token(SecretText::new(text.to_owned()))
    };
    Ok(Credential { presented, digest: Digest::of("credential", &[text.as_bytes()]) })
}

/// What follows `Bearer` and one space (RFC 6750, section 2.1).
fn bearer(value: &[u8]) -> Result<&[u8], Fault> {
    let scheme_length = value.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(scheme_length).ok_or(Fault::MalformedCredential)?;
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return rest.strip_prefix(b" ").ok_or(Fault::MalformedCredential);
    }
    Err(if scheme.is_empty() { Fault::MalformedCredential } else { Fault::UnsupportedScheme })
}

/// Visible ASCII, some but not too much.
fn spelling(credential: &[u8]) -> Result<&str, Fault> {
    if credential.len() > MAX_CREDENTIAL_LENGTH {
        return Err(Fault::CredentialTooLong);
    }
    let text = std::str::from_utf8(credential).ok();
    text.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(Fault::MalformedCredential)
}
