//! The one mapping of [`OAuthError`] to status and body (RFC 6749, section 5.2).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::authorization_server::OAuthError;
use crate::store::StoreError;

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::InvalidClient { .. } => StatusCode::UNAUTHORIZED,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Server => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let basic = matches!(self, Self::InvalidClient { basic: true });
        let retry_after = match self {
            Self::TooMany => Some("3600"),
            Self::Unavailable => Some("1"),
            _ => None,
        };
        let (error, description) = words(self);
        let body = Json(json!({"error": error, "error_description": description}));
        let mut response = (status, [(header::CACHE_CONTROL, "no-store")], body).into_response();
        let headers = response.headers_mut();
        if basic {
            let challenge = HeaderValue::from_static("Basic realm=\"portcullis\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}

fn words(error: OAuthError) -> (&'static str, String) {
    match error {
        OAuthError::InvalidRequest(description) => ("invalid_request", description.to_owned()),
        OAuthError::InvalidClient { .. } => (
            "invalid_client",
            "the client is unknown, or did not authenticate as it is registered".to_owned(),
        ),
        OAuthError::InvalidGrant(description) => ("invalid_grant", description.to_owned()),
        OAuthError::UnsupportedGrantType => {
            ("unsupported_grant_type", "grant_type is authorization_code or refresh_token".to_owned())
        }
        OAuthError::InvalidScope => ("invalid_scope", "ask for no more than was allowed".to_owned()),
        OAuthError::InvalidTarget => {
            ("invalid_target", "the token is for the one resource that was allowed".to_owned())
        }
        OAuthError::InvalidRedirectUri(description) => ("invalid_redirect_uri", description),
        OAuthError::InvalidClientMetadata(description) => ("invalid_client_metadata", description.to_owned()),
        OAuthError::UnapprovedSoftwareStatement => {
            ("unapproved_software_statement", "no software statements are accepted".to_owned())
        }
        OAuthError::TooMany => {
            ("temporarily_unavailable", "too many clients have registered; try again in an hour".to_owned())
        }
        OAuthError::TooLarge => ("invalid_request", "at most 16 KiB are read".to_owned()),
        OAuthError::Unavailable => ("temporarily_unavailable", "try again in a moment".to_owned()),
        OAuthError::Server => ("server_error", "the log of the token-service says more".to_owned()),
    }
}

/// For what is no OAuth request.
pub(super) fn unavailable(error: StoreError) -> Response {
    OAuthError::from(error).into_response()
}
