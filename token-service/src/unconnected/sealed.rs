//! Values that clients and filters carry for the token-service, and cannot read or change.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::server::Sealed;
use crate::vault::{Place, Vault};

/// `value` as JSON, sealed to `place`, in characters that fit into a header.
///
/// # Panics
///
/// If `value` cannot be written as JSON: a map with keys other than strings.
pub(crate) fn seal<T: Serialize>(vault: &Vault, place: &Place, value: &T) -> String {
    let json = serde_json::to_string(value).expect("no value sealed here has keys other than strings");
    BASE64_URL_SAFE_NO_PAD.encode(vault.seal(place, &SecretString::from(json)).as_bytes())
}

/// Opens what was sealed to this very place; `None` for everything else.
pub(crate) fn open<T: DeserializeOwned>(vault: &Vault, place: &Place, text: &str) -> Option<T> {
    let sealed = Sealed::new(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?);
    let json = vault.unseal(place, &sealed).ok()?;
    serde_json::from_str(json.expose_secret()).ok()
}
