//! What all pages have around them.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

use crate::http::auth::Caller;
use crate::http::error::{ApiError, ProblemDocument};
use crate::http::public::guard::SignedIn;
use crate::state::Shared;

/// Somebody at a page.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) name: String,
    pub(super) csrf: String,
    /// Looks after the organization.
    pub(super) administers: bool,
    pub(super) owns: bool,
    path: String,
}

impl Visit {
    pub(super) fn new(caller: &Caller, browser: &SignedIn, path: &str) -> Self {
        Self {
            name: browser.session.name.clone(),
            csrf: browser.csrf(),
            administers: caller.principal.administers(),
            owns: caller.principal.owns(),
            path: path.to_owned(),
        }
    }

    /// Whether a page is of the part of the console that begins at `part`.
    fn is_at(&self, part: &str) -> bool {
        if part == "/" { self.path == "/" } else { self.path.starts_with(part) }
    }
}

impl FromRequestParts<Shared> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &Shared) -> Result<Self, ApiError> {
        let visit = parts.extensions.get::<Self>().cloned();
        visit.ok_or_else(|| ApiError::Internal("a page is not behind the door".into()))
    }
}

/// Where one can go: path, name, and whether it is for administrators only.
const PLACES: [(&str, &str, bool); 7] = [
    ("/", "Overview", false),
    ("/servers", "Servers", false),
    ("/workspaces", "Workspaces", false),
    ("/requests", "Requests", false),
    ("/explain", "Explain", true),
    ("/audit", "Audit log", true),
    ("/settings", "Settings", true),
];

#[derive(Template)]
#[template(path = "console/shell.html")]
struct Shell<'a> {
    visit: &'a Visit,
    title: &'a str,
    places: Vec<(&'static str, &'static str, bool)>,
    /// Rendered, so what is not ours is escaped in it.
    content: String,
}

#[derive(Template)]
#[template(path = "console/problems.html")]
struct Problems<'a> {
    problem: &'a ProblemDocument,
}

#[derive(Template)]
#[template(path = "console/problem.html")]
struct Problem<'a> {
    problem: &'a ProblemDocument,
    problems: String,
}

#[derive(Template)]
#[template(path = "console/bare.html")]
struct Bare<'a> {
    title: &'a str,
    text: &'a str,
    /// Of the way on, to the first page.
    onward: &'a str,
}

/// A page.
pub(super) fn page(visit: &Visit, title: &str, content: &impl Template) -> Response {
    page_of(visit, StatusCode::OK, title, render(content))
}

fn page_of(visit: &Visit, status: StatusCode, title: &str, content: String) -> Response {
    let places = PLACES
        .into_iter()
        .filter(|(_, _, administrators)| visit.administers || !administrators)
        .map(|(path, name, _)| (path, name, visit.is_at(path)));
    (status, Html(render(&Shell { visit, title, places: places.collect(), content }))).into_response()
}

/// Templates write into a string and cannot fail.
pub(super) fn render(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}

/// A part of a page.
pub(super) fn part(content: &impl Template) -> Response {
    Html(render(content)).into_response()
}

/// A refusal within a page.
pub(super) fn problems(problem: &ProblemDocument) -> Html<String> {
    Html(render(&Problems { problem }))
}

/// A refusal as a page.
pub(super) fn problem_page(visit: &Visit, status: StatusCode, problem: &ProblemDocument) -> Response {
    let problems = render(&Problems { problem });
    page_of(visit, status, &problem.title, render(&Problem { problem, problems }))
}

/// A refusal to somebody who is not known.
pub(super) fn bare_problem(problem: &ProblemDocument) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Html(render(&Bare { title: &problem.title, text: &problem.detail, onward: "Try again" })))
        .into_response()
}

pub(super) fn nobody_can_sign_in() -> Response {
    let text = "No way to sign in is configured. Add the section `sign_in` to portcullis.yaml, so that people come in \
                by your OpenID provider. Programs use the admin API with the admin token: /openapi.json describes it.";
    Html(render(&Bare { title: "Nobody can sign in", text, onward: "Try again" })).into_response()
}

/// Where signing out ends: signing in again is up to the person, who may still be known to the company's provider.
pub(super) fn signed_out() -> Response {
    let text = "The console is closed in this browser.";
    Html(render(&Bare { title: "Signed out", text, onward: "Sign in again" })).into_response()
}

/// 303: the next request is a `GET`.
pub(super) fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// Filters of templates.
pub(super) mod filters {
    #![expect(
        unreachable_pub,
        clippy::inline_always,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "askama wants the shape, and makes a type of it"
    )]

    use std::fmt::Display;

    /// RFC 3339 as people read it: `2026-11-23 10:00:00 UTC`, with the fraction where there is one.
    #[askama::filter_fn]
    pub fn when(time: impl Display, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(time.to_string().replace('T', " ").replace('Z', " UTC"))
    }
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
