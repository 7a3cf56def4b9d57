//! Fetching the keys of an issuer (RFC 7517).

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use portcullis_wire::watch::VerificationKey;
use serde_json::Value;
use url::Url;

use super::json::{self, MAX_DOCUMENT};
use crate::domain::jwks::{self, JwksError};
use crate::egress::{EgressClient, EgressError, EgressRequest};

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error(transparent)]
    Egress(#[from] EgressError),
    #[error("the answer has status {0}")]
    Status(u16),
    #[error("the answer is not a JSON object, or has a key twice")]
    NotJson,
    #[error("{0}")]
    NotAKeySet(JwksError),
    #[error("no key of it can be used: EdDSA, ES256, or RS256 with 2048 bits or more")]
    NoUsableKey,
}

/// The keys that can be used. Others, which a set may hold for other purposes, are passed over.
pub async fn fetch(egress: &EgressClient, address: &Url) -> Result<Vec<VerificationKey>, KeySetError> {
    let accept = HeaderValue::from_static("application/jwk-set+json, application/json");
    let headers = HeaderMap::from_iter([(header::ACCEPT, accept)]);
    let request = EgressRequest {
        method: Method::GET,
        url: address.clone(),
        headers,
        body: Bytes::new(),
        limit: MAX_DOCUMENT,
    };
    let reply = egress.fetch(request).await?;
    if reply.status != 200 {
        return Err(KeySetError::Status(reply.status));
    }
    let set = json::object(&reply).map_err(|_| KeySetError::NotJson)?;
    let (keys, _) = jwks::read_some(Value::Object(set)).map_err(KeySetError::NotAKeySet)?;
    if keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(keys) }
}
