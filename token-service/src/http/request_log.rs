//! One log line a request: listener, method, route, status, time. Never the query, headers, bodies or raw path.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use portcullis_wire::WATCH_PATH;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::measure;
use crate::telemetry::continue_trace;

/// Which of the three listeners a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    Internal,
    Admin,
    Public,
    Metrics,
}

impl Audience {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Admin => "admin",
            Self::Public => "public",
            Self::Metrics => "metrics",
        }
    }
}

pub(super) async fn log(State(audience): State<Audience>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    // The route's pattern: what a caller put into an unknown path stays out of the log.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let span = span(audience, &method, route.as_deref());
    if audience == Audience::Internal {
        continue_trace(&span, request.headers());
    }
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    let route = route.as_deref().unwrap_or("-");
    let took = (route != WATCH_PATH).then(|| begun.elapsed());
    measure::http_request(audience.as_str(), &method, route, response.status(), took);
    write(audience, &method, route, response.status(), begun);
    response
}

/// Filters alone are believed about traces. What is asked for all the time, whether or not anything happens, is in none.
fn span(audience: Audience, method: &Method, route: Option<&str>) -> Span {
    let route = route.unwrap_or("-");
    if [WATCH_PATH, "/livez", "/readyz", "/metrics"].contains(&route) {
        return Span::none();
    }
    let listener = audience.as_str();
    let name = format!("{} {route}", measure::known_method(method));
    tracing::info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        listener,
        http.route = route,
        http.response.status_code = Empty
    )
}

fn write(audience: Audience, method: &Method, route: &str, status: StatusCode, begun: Instant) {
    let listener = audience.as_str();
    let method = method.as_str();
    let status_code = status.as_u16();
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    if status.is_server_error() {
        tracing::warn!(listener, method, route, status = status_code, milliseconds, "request");
    } else if audience == Audience::Admin {
        tracing::info!(listener, method, route, status = status_code, milliseconds, "request");
    } else {
        // Filters ask every second; their decisions are in the access log.
        tracing::debug!(listener, method, route, status = status_code, milliseconds, "request");
    }
}
