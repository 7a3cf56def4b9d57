//! The headers of every reply, and the last touch to pages that failed.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::realm::Realm;
use super::trouble::{PageError, Trouble};
use crate::http::error::PROBLEM_MEDIA_TYPE;
use crate::state::Shared;

/// No script at all, styles from the one stylesheet, forms to ourselves only. A form that leads to a provider is
/// answered with a page that goes on from there, because browsers apply `form-action` to redirects too.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, &str); 2] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    // Pages with a form say `same-origin` themselves: with `no-referrer` a browser sends `Origin: null` with the form.
    (header::REFERRER_POLICY, "no-referrer"),
];

/// What no page of either side does without.
pub(in crate::http) const OF_EVERY_PAGE: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Turns what went wrong into a page with an incident id, and sets the headers.
pub(super) async fn dress(
    State((app, realm)): State<(Shared, Realm)>,
    request: Request,
    next: Next,
) -> Response {
    let wants_page = accepts_html(&request);
    let mut response = next.run(request).await;
    if wants_page && is_problem_document(&response) {
        response = PageError::of_status(response.status()).into_response();
    }
    if let Some(trouble) = response.extensions_mut().remove::<Trouble>() {
        let set_cookies = response.headers_mut().remove(header::SET_COOKIE);
        response = trouble.into_page(&*app.entropy, realm);
        response.headers_mut().extend(set_cookies.map(|value| (header::SET_COOKIE, value)));
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS.into_iter().chain(OF_EVERY_PAGE) {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Browsers name it; programs that ask for nothing in particular get a problem document.
fn accepts_html(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// What [`crate::http::finish`] answers for paths without a route and for panics.
fn is_problem_document(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == PROBLEM_MEDIA_TYPE)
}
