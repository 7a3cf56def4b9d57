//! Clients that register themselves (RFC 7591). Nothing that they say is believed, and no address of theirs is fetched.

use serde_json::{Map, Value, json};

use super::OAuthError;
use crate::clock::{Entropy, Timestamp, random};
use crate::domain::oauth_client::{DYNAMIC_PREFIX, DynamicClient};
use crate::domain::redirect_uri::{self, Schemes};
use crate::text::presentable;

/// The largest request, in bytes.
pub const MAX_REQUEST: usize = 16 * 1024;

const MAX_REDIRECT_URIS: usize = 10;

/// The longest name that is read, in characters; less of it is shown.
const MAX_NAME: usize = 100;

/// What one without a name is called.
const UNNAMED: &str = "A client without a name";

/// Whether a client that nobody vouches for may have these.
pub fn check_redirect_uris(uris: &[String]) -> Result<(), String> {
    if uris.is_empty() || uris.len() > MAX_REDIRECT_URIS {
        return Err(format!("redirect_uris has 1 to {MAX_REDIRECT_URIS} entries"));
    }
    uris.iter()
        .try_for_each(|uri| redirect_uri::check(uri, Schemes::Dotted))
        .map_err(|error| error.to_string())
}

/// A list of texts; `None` if it is anything else.
pub fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    value?.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

/// The client that a registration makes. Every one is public, whatever it asked for: a program that anybody can
/// register has no secret worth the name.
pub fn client(
    request: &Map<String, Value>,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<DynamicClient, OAuthError> {
    if request.contains_key("software_statement") {
        return Err(OAuthError::UnapprovedSoftwareStatement);
    }
    let uris = texts(request.get("redirect_uris"));
    let redirect_uris =
        uris.ok_or_else(|| OAuthError::InvalidRedirectUri("redirect_uris is missing".to_owned()))?;
    check_redirect_uris(&redirect_uris).map_err(OAuthError::InvalidRedirectUri)?;
    for (member, needed, problem) in [
        ("grant_types", "authorization_code", "grant_types must hold authorization_code"),
        ("response_types", "code", "response_types must hold code"),
    ] {
        let Some(value) = request.get(member) else { continue };
        if !texts(Some(value)).is_some_and(|values| values.iter().any(|value| value == needed)) {
            return Err(OAuthError::InvalidClientMetadata(problem));
        }
    }
    let name = match request.get("client_name") {
        None => None,
        Some(Value::String(name)) if name.chars().count() <= MAX_NAME => presentable(name),
        Some(_) => {
            return Err(OAuthError::InvalidClientMetadata("client_name is a text of at most 100 characters"));
        }
    };
    Ok(DynamicClient {
        id: format!("{DYNAMIC_PREFIX}{:032x}", u128::from_be_bytes(random(entropy))),
        name: name.unwrap_or_else(|| UNNAMED.to_owned()),
        redirect_uris,
        created_at: now,
        used_at: None,
    })
}

/// What the client is told about itself.
pub fn information(client: &DynamicClient) -> Value {
    json!({
        "client_id": client.id,
        "client_id_issued_at": client.created_at.as_millis() / 1000,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}
