//! Who may use the admin API: whoever shows the admin token.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use super::error::ApiError;
use crate::state::Shared;

/// Lets a request through only with `Authorization: Bearer <admin token>`.
pub async fn require_admin_token(
    State(app): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match bearer(request.headers()) {
        Some(token) if app.admin_token.accepts(token) => Ok(next.run(request).await),
        presented => {
            tracing::warn!(presented = presented.is_some(), "admin request refused");
            Err(ApiError::Unauthorized)
        }
    }
}

/// The credential of the one `Authorization` header; two of them say nothing clear.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_credential() {
        let headers = |values: &[&str]| {
            let pairs = values.iter().map(|value| (header::AUTHORIZATION, value.parse().expect("a value")));
            pairs.collect::<HeaderMap>()
        };
        assert_eq!(bearer(&headers(&["Bearer x"])), Some("x"));
        assert_eq!(bearer(&headers(&["bearer x"])), Some("x"));
        assert_eq!(bearer(&headers(&[])), None);
        assert_eq!(bearer(&headers(&["Basic x"])), None);
        assert_eq!(bearer(&headers(&["Bearer"])), None);
    }

    #[test]
    fn two_headers_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, "Bearer a".parse().expect("a value"));
        headers.append(header::AUTHORIZATION, "Bearer b".parse().expect("a value"));
        assert_eq!(bearer(&headers), None);
    }
}
