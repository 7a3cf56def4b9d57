//! Who comes to a page, that a form is one of ours, and what a refusal looks like to people.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::form::Form;
use super::shell::{self, Visit};
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ProblemDocument};
use crate::http::public::guard::{SignedIn, is_from_us};
use crate::http::public::realm::Realm;
use crate::http::read::read_body;
use crate::state::{Service, Shared};

/// Rules may be long lists.
const FORM_LIMIT: usize = 1024 * 1024;

/// Scripts and styles of ours only, and none in the page: what a server or a member calls itself cannot become one.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const IS_HTMX: HeaderName = HeaderName::from_static("hx-request");

/// An operation refused, on the way to a page that says so.
pub(super) struct Refused(ApiError);

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let document = self.0.into_document();
        let mut response = StatusCode::from_u16(document.status).unwrap_or_default().into_response();
        response.extensions_mut().insert(Arc::new(document));
        response
    }
}

/// The door to every page.
pub(super) async fn enter(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let wants_part = request.headers().contains_key(IS_HTMX);
    let is_change = request.method() == Method::POST;
    let visit = match admit(&app, request).await {
        Ok(admitted) => admitted,
        Err(response) => return dress(response),
    };
    let (visit, request) = visit;
    let response = next.run(request).await;
    let Some(document) = response.extensions().get::<Arc<ProblemDocument>>().map(Arc::clone) else {
        return dress(response);
    };
    dress(refusal(&visit, &document, wants_part && is_change))
}

/// The request with whoever sends it, or what they get instead.
async fn admit(app: &Shared, request: Request) -> Result<(Visit, Request), Response> {
    let (mut parts, body) = request.into_parts();
    let refuse = |error: ApiError| Refused(error).into_response();
    let found = SignedIn::in_realm(app, Realm::Admin, &parts.headers).await;
    let Some(browser) = found.map_err(|error| outside(error.into()))? else {
        return Err(to_sign_in(app, &parts.headers));
    };
    let caller = Caller::of_browser(app, &browser).await.map_err(|error| outside(error.into()))?;
    let visit = Visit::new(&caller, &browser, parts.uri.path());
    let form = if parts.method == Method::POST {
        let body = read_body(body, FORM_LIMIT).await.map_err(refuse).map_err(|r| finish_early(&visit, r))?;
        let form = Form::read(&parts.headers, &body, &browser);
        let is_ours = is_from_us(&parts.headers, Realm::Admin.url(&app.settings));
        form.filter(|_| is_ours).ok_or_else(|| finish_early(&visit, refuse(ApiError::ForgedForm)))?
    } else {
        Form::default()
    };
    parts.extensions.insert(Arc::new(caller));
    parts.extensions.insert(visit.clone());
    parts.extensions.insert(Arc::new(form));
    Ok((visit, Request::from_parts(parts, axum::body::Body::empty())))
}

fn finish_early(visit: &Visit, response: Response) -> Response {
    match response.extensions().get::<Arc<ProblemDocument>>() {
        Some(document) => refusal(visit, document, false),
        None => response,
    }
}

/// Nobody is signed in. A part of a page cannot become the sign-in page, so the whole page goes there.
fn to_sign_in(app: &Service, headers: &HeaderMap) -> Response {
    if headers.contains_key(IS_HTMX) {
        let to = HeaderValue::from_static("/sign-in");
        return (StatusCode::UNAUTHORIZED, [(HeaderName::from_static("hx-redirect"), to)]).into_response();
    }
    if app.can_sign_in() { shell::see_other("/sign-in") } else { shell::nobody_can_sign_in() }
}

/// Somebody who is not known yet, because the database cannot say.
fn outside(error: ApiError) -> Response {
    let document = error.into_document();
    shell::bare_problem(&document)
}

fn refusal(visit: &Visit, document: &ProblemDocument, as_part: bool) -> Response {
    let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if as_part {
        // The form stays as it is, with what was typed; only the place for problems changes.
        let headers = [
            ("hx-retarget", "#problems"),
            ("hx-reswap", "innerHTML show:#problems:top"),
            ("hx-push-url", "false"),
        ];
        return (status, headers, shell::problems(document)).into_response();
    }
    shell::problem_page(visit, status, document)
}

fn dress(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
