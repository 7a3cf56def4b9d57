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
        let (error, description) = (self.word(), description(self));
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

/// What to tell the client's makers.
fn description(error: OAuthError) -> String {
    let fixed = match error {
        OAuthError::InvalidRedirectUri(description) => return description,
        OAuthError::InvalidRequest(description)
        | OAuthError::InvalidGrant(description)
        | OAuthError::InvalidClientMetadata(description) => description,
        OAuthError::InvalidClient { .. } => {
            "the client is unknown, or did not authenticate as it is registered"
        }
        OAuthError::UnsupportedGrantType => "grant_type is authorization_code or refresh_token",
        OAuthError::InvalidScope => "ask for no more than was allowed",
        OAuthError::InvalidTarget => "the token is for the one resource that was allowed",
        OAuthError::UnapprovedSoftwareStatement => "no software statements are accepted",
        OAuthError::TooMany => "too many clients have registered; try again in an hour",
        OAuthError::TooLarge => "at most 16 KiB are read",
        OAuthError::Unavailable => "try again in a moment",
        OAuthError::Server => "the log of the token-service says more",
    };
    fixed.to_owned()
}

/// For what is no OAuth request.
pub(super) fn unavailable(error: StoreError) -> Response {
    OAuthError::from(error).into_response()
}
