//! Which client sends a request: by the method that it is registered with, and by no other.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_wire::secret::SecretText;

use super::form::OAuthForm;
use crate::authorization_server::OAuthError;
use crate::authorization_server::clients::is_document;
use crate::domain::oauth_client::{DYNAMIC_PREFIX, MAX_CLIENT_ID, SecretCheck};
use crate::state::Service;

/// A client that has shown who it is, as far as it can.
pub(super) struct KnownClient {
    pub(super) id: String,
    /// It has shown a secret.
    pub(super) is_confidential: bool,
}

/// How a secret came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Header,
    Body,
}

/// The client of a request.
pub(super) async fn authenticate(app: &Service, form: &OAuthForm) -> Result<KnownClient, OAuthError> {
    let header = basic(&form.headers)?;
    let refused = OAuthError::InvalidClient { basic: header.is_some() };
    if form.has("client_assertion") || form.has("client_assertion_type") {
        return Err(refused);
    }
    let (id, secret) = match (header, form.has("client_secret")) {
        (Some(_), true) => {
            return Err(OAuthError::InvalidRequest("a client authenticates by one method"));
        }
        (Some((id, secret)), false) => {
            if form.get("client_id").is_some_and(|named| named != id) {
                return Err(OAuthError::InvalidRequest("client_id is another client's"));
            }
            (id, Some((Way::Header, secret)))
        }
        (None, has_secret) => {
            let id = form.require("client_id", "client_id is missing")?.to_owned();
            let secret = SecretText::new(form.get("client_secret").unwrap_or_default().to_owned());
            (id, has_secret.then_some((Way::Body, secret)))
        }
    };
    if id.len() > MAX_CLIENT_ID || !is_known(app, &id, secret.as_ref()).await? {
        return Err(refused);
    }
    Ok(KnownClient { id, is_confidential: secret.is_some() })
}

async fn is_known(app: &Service, id: &str, secret: Option<&(Way, SecretText)>) -> Result<bool, OAuthError> {
    if let Some(client) = app.configured_client(id) {
        let way = match client.authentication {
            SecretCheck::None => return Ok(secret.is_none()),
            SecretCheck::Basic(_) => Way::Header,
            SecretCheck::Post(_) => Way::Body,
        };
        return Ok(secret.is_some_and(|(given, text)| {
            *given == way && client.authentication.is_secret(id, text.expose())
        }));
    }
    if secret.is_some() {
        return Ok(false);
    }
    // Its document was read when its person agreed. What it may redeem is bound to its id and to its own secret of
    // PKCE, so nobody has to be asked again.
    if is_document(id) {
        return Ok(true);
    }
    if id.starts_with(DYNAMIC_PREFIX) {
        return Ok(app.store.dynamic_client(id, app.clock.now()).await?.is_some());
    }
    Ok(false)
}

/// Name and password of the `Authorization` header, each encoded as in a form (RFC 6749, section 2.3.1). `Err` for a
/// header that says something else.
fn basic(headers: &HeaderMap) -> Result<Option<(String, SecretText)>, OAuthError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(OAuthError::InvalidRequest("Authorization is given twice")),
    };
    let refused = OAuthError::InvalidClient { basic: true };
    let parsed = value.to_str().ok().and_then(|value| {
        let (scheme, encoded) = value.split_once(' ')?;
        let decoded =
            scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
        let text = String::from_utf8(decoded).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((decode(id)?, SecretText::new(decode(secret)?)))
    });
    match parsed {
        Some((id, secret)) if !id.is_empty() && !secret.expose().is_empty() => Ok(Some((id, secret))),
        _ => Err(refused),
    }
}

/// One value of a form.
fn decode(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        // Sent as it is by clients that do not encode.
        return Some(text.to_owned());
    }
    let pair = format!("x={text}");
    let (_, value) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
    Some(value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, String)> {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().expect("a value"))]);
        let (id, secret) = basic(&headers).ok()??;
        Some((id, secret.expose().to_owned()))
    }

    #[test]
    fn names_and_passwords_are_decoded_as_in_a_form() {
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(read(&encoded("a%3Ab+c:p%3Aw%2B%25")), pair("a:b c", "p:w+%"));
        assert_eq!(read(&encoded("a:b:c")), pair("a", "b:c"));
        assert_eq!(read(&encoded("a:x=y&z")), pair("a", "x=y&z"));
        for bad in ["Basic", "Basic !", &encoded("a"), &encoded("a:"), &encoded(":a"), "Bearer x", ""] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(matches!(basic(&HeaderMap::new()), Ok(None)));
    }
}
