//! Requests of clients to the token, revocation and introspection endpoints: a form, and nothing but a form.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::authorization_server::OAuthError;
use crate::http::public::guard::fields;
use crate::state::Shared;

const LIMIT: usize = 16 * 1024;

/// A form that was posted, with the headers that came with it.
pub(super) struct OAuthForm {
    pub(super) headers: HeaderMap,
    fields: Map<String, Value>,
}

impl OAuthForm {
    /// One without a value counts as absent (RFC 6749, section 3.2).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str).filter(|value| !value.is_empty())
    }

    /// Whether it is there, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    pub(super) fn require(&self, name: &str, missing: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or(OAuthError::InvalidRequest(missing))
    }
}

impl FromRequest<Shared> for OAuthForm {
    type Rejection = OAuthError;

    async fn from_request(request: Request, _app: &Shared) -> Result<Self, OAuthError> {
        let (parts, body) = request.into_parts();
        // They would end up in logs.
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(OAuthError::InvalidRequest("parameters belong into the body, not into the address"));
        }
        let body = to_bytes(body, LIMIT).await.map_err(|_| OAuthError::TooLarge)?;
        let fields = fields(&parts.headers, &body).ok_or(OAuthError::InvalidRequest(
            "send each parameter once, as application/x-www-form-urlencoded",
        ))?;
        Ok(Self { headers: parts.headers, fields })
    }
}
