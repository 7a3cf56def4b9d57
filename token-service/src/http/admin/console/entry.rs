//! Who comes to a page, that a form is one of ours, and what a refusal looks like to people.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::form::Form;
use super::shell::{self, Visit};
use crate::http::auth::Caller;
use crate::http::error::{ApiError, ProblemDocument};
use crate::http::public::guard::{SignedIn, is_from_us};
use crate::http::public::headers::OF_EVERY_PAGE;
use crate::http::public::realm::Realm;
use crate::http::read::read_body;
use crate::state::{Service, Shared};
use crate::store::StoreError;

/// Rules may be long lists.
const FORM_LIMIT: usize = 1024 * 1024;

/// Scripts and styles of ours only, and none in the page: what a server or a member calls itself cannot become one.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const IS_HTMX: HeaderName = HeaderName::from_static("hx-request");
const IS_BOOSTED: HeaderName = HeaderName::from_static("hx-boosted");

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
    // A link that is followed by htmx wants a whole page, a form that is refused or a part that is loaded does not.
    let is_link = request.headers().contains_key(IS_BOOSTED) && request.method().is_safe();
    let as_part = request.headers().contains_key(IS_HTMX) && !is_link;
    let (visit, response) = match admit(&app, request).await {
        Ok((visit, request)) => (visit, next.run(request).await),
        Err(Turned::Away(response)) => return dress(response),
        Err(Turned::Back(visit, error)) => (*visit, Refused(error).into_response()),
    };
    match response.extensions().get::<Arc<ProblemDocument>>() {
        Some(document) => dress(refusal(&visit, document, as_part)),
        None => dress(response),
    }
}

/// Why a request goes no further.
enum Turned {
    /// Nobody knows who it is.
    Away(Response),
    /// It is known who it is, and the form is refused.
    Back(Box<Visit>, ApiError),
}

/// The request with whoever sends it.
async fn admit(app: &Shared, request: Request) -> Result<(Visit, Request), Turned> {
    let (mut parts, body) = request.into_parts();
    let unknown =
        |error: StoreError| Turned::Away(shell::bare_problem(&ApiError::from(error).into_document()));
    let browser = SignedIn::in_realm(app, Realm::Admin, &parts.headers).await.map_err(unknown)?;
    let browser = browser.ok_or_else(|| Turned::Away(to_sign_in(app, &parts.headers)))?;
    let caller = Caller::of_browser(app, &browser).await.map_err(unknown)?;
    let visit = Visit::new(&caller, &browser, parts.uri.path());
    let form = match parts.method {
        Method::POST => read_form(app, &parts.headers, body, &browser).await,
        _ => Ok(Form::default()),
    };
    let form = form.map_err(|error| Turned::Back(Box::new(visit.clone()), error))?;
    parts.extensions.insert(Arc::new(caller));
    parts.extensions.insert(visit.clone());
    parts.extensions.insert(Arc::new(form));
    Ok((visit, Request::from_parts(parts, Body::empty())))
}

async fn read_form(
    app: &Service,
    headers: &HeaderMap,
    body: Body,
    browser: &SignedIn,
) -> Result<Form, ApiError> {
    if !is_from_us(headers, Realm::Admin.url(&app.settings)) {
        return Err(ApiError::ForgedForm);
    }
    let body = read_body(body, FORM_LIMIT).await?;
    Form::read(headers, &body, browser).ok_or(ApiError::ForgedForm)
}

/// Nobody is signed in. A part of a page cannot become the sign-in page, so the whole page goes there.
fn to_sign_in(app: &Service, headers: &HeaderMap) -> Response {
    if headers.contains_key(IS_HTMX) {
        let to = HeaderValue::from_static("/sign-in");
        return (StatusCode::UNAUTHORIZED, [(HeaderName::from_static("hx-redirect"), to)]).into_response();
    }
    if app.can_sign_in() { shell::see_other("/sign-in") } else { shell::nobody_can_sign_in() }
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
    let own = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        // With `no-referrer` a browser sends `Origin: null` with a form.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in own.into_iter().chain(OF_EVERY_PAGE) {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
