//! Every route and every layer, on one screen.
//!
//! A listener for each audience, so that none can reach what is meant for another:
//!
//! - *internal*, for filters and their Envoys: leases, the watch, what unconnected members are answered, records. Every reply carries the marker header.
//! - *admin*, for administrators and their programs: the admin API, behind a session or the admin token, and the console
//!   behind a session.
//! - *metrics*, for Prometheus, if there is one besides *internal*: figures, and nothing else.
//! - *public*, through Envoy for anybody: the pages for connecting accounts, see [`mod@public`].

/// Makes the routes and their list from one list, so that whoever goes through the list leaves none out.
macro_rules! listed {
    ($list:ident, $make:ident: $($path:expr => $($method:ident $handler:path),+;)+) => {
        /// Every route by method and path, as `axum` spells it.
        pub const $list: &[(&str, &str)] = &[$($((stringify!($method), $path)),+),+];

        pub(super) fn $make() -> Router<Shared> {
            Router::new()$(.route($path, MethodRouter::new()$(.$method($handler))+))+
        }
    };
}

pub mod admin;
pub mod auth;
pub mod error;
pub mod health;
pub mod leases;
pub mod listen;
pub mod lists_changed;
pub mod metrics;
pub mod public;
pub mod read;
pub mod records;
mod request_log;
pub mod sessions;
pub mod states;
mod tls;
pub mod unconnected;
pub mod watch;

use std::any::Any;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use portcullis_wire::catalogue::LISTS_CHANGED_PATH;
use portcullis_wire::unconnected::{PATH as UNCONNECTED_PATH, SESSIONS_PATH, STATES_PATH};
use portcullis_wire::{CONTRACT_VERSION, LEASES_PATH, MARKER_HEADER, WATCH_PATH};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::admin::{
    administrators, admissions, approvals, audit, catalogue, connections, data_keys, description, explain,
    issuers, keys, limits, me, members, oauth_clients, policies, presets, provisions, quarantines,
    records as request_records, server_checks, servers, sessions as client_sessions, signing_keys, start,
    status, workspaces,
};
use self::error::ApiError;
use self::public::realm::Realm;
use self::request_log::Audience;
use crate::state::Shared;

/// For filters.
pub fn internal(shared: Shared) -> Router {
    let routes = Router::new()
        .route(LEASES_PATH, post(leases::lease))
        .route(WATCH_PATH, get(watch::watch))
        .route(LISTS_CHANGED_PATH, post(lists_changed::note))
        .route(STATES_PATH, post(states::open))
        .route(SESSIONS_PATH, post(sessions::open))
        .route(UNCONNECTED_PATH, post(unconnected::post).get(unconnected::get).delete(unconnected::delete))
        .route(records::EXPORT_PATH, post(records::export))
        .route("/metrics", get(metrics::show))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .with_state(shared);
    finish(routes, Audience::Internal).layer(map_response(mark))
}

/// For administrators.
pub fn admin(shared: Shared) -> Router {
    let (routes, document) = admin_api(&shared).split_for_parts();
    let document = Arc::new(description::complete(document));
    let routes =
        routes.with_state(Arc::clone(&shared)).layer(Extension(document)).layer(map_response(harden));
    let pages = public::admin_routes().with_state(Arc::clone(&shared));
    let console = admin::console::routes(&shared).with_state(Arc::clone(&shared));
    finish(routes.merge(console).merge(public::dress(pages, Realm::Admin, shared)), Audience::Admin)
}

/// For Prometheus.
pub fn metrics(shared: Shared) -> Router {
    finish(Router::new().route("/metrics", get(metrics::show)).with_state(shared), Audience::Metrics)
}

/// For anybody.
pub fn public(shared: Shared) -> Router {
    let routes = public::routes().merge(public::oauth_routes(&shared)).with_state(Arc::clone(&shared));
    public::dress(finish(routes, Audience::Public), Realm::Public, shared)
}

/// The admin API and its description, made from the same list. `routes!` is the one way to add a route here.
fn admin_api(shared: &Shared) -> OpenApiRouter<Shared> {
    let open = OpenApiRouter::with_openapi(description::frame()).routes(routes!(start::description));
    let behind_the_door = OpenApiRouter::new()
        .routes(routes!(servers::list, servers::create))
        .routes(routes!(servers::show, servers::change, servers::delete))
        .routes(routes!(server_checks::check))
        .routes(routes!(provisions::list))
        .routes(routes!(provisions::add, provisions::remove, admissions::change))
        .routes(routes!(admissions::list))
        .routes(routes!(admissions::set, admissions::remove))
        .routes(routes!(workspaces::list, workspaces::create))
        .routes(routes!(workspaces::show, workspaces::change, workspaces::delete))
        .routes(routes!(me::show))
        .routes(routes!(me::sign_out))
        .routes(routes!(administrators::list, administrators::create))
        .routes(routes!(administrators::show, administrators::change, administrators::delete))
        .routes(routes!(members::list, members::create))
        .routes(routes!(members::show, members::change, members::delete))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::show, keys::change, keys::delete))
        .routes(routes!(keys::rotate))
        .routes(routes!(policies::list))
        .routes(routes!(policies::set, policies::delete))
        .routes(routes!(limits::list))
        .routes(routes!(limits::set, limits::delete))
        .routes(routes!(catalogue::tools))
        .routes(routes!(catalogue::tool))
        .routes(routes!(catalogue::prompts))
        .routes(routes!(catalogue::resources))
        .routes(routes!(approvals::approve, approvals::withdraw))
        .routes(routes!(connections::list))
        .routes(routes!(connections::of_member))
        .routes(routes!(connections::show, connections::delete))
        .routes(routes!(connections::decide))
        .routes(routes!(client_sessions::of_member))
        .routes(routes!(client_sessions::delete))
        .routes(routes!(oauth_clients::list))
        .routes(routes!(oauth_clients::delete))
        .routes(routes!(signing_keys::list))
        .routes(routes!(signing_keys::rotate))
        .routes(routes!(data_keys::list))
        .routes(routes!(data_keys::rotate))
        .routes(routes!(presets::list))
        .routes(routes!(issuers::list))
        .routes(routes!(audit::list))
        .routes(routes!(quarantines::list))
        .routes(routes!(quarantines::show, quarantines::set, quarantines::lift))
        .routes(routes!(explain::explain))
        .routes(routes!(request_records::list))
        .routes(routes!(request_records::download))
        .routes(routes!(request_records::tail))
        .routes(routes!(request_records::summary))
        .routes(routes!(request_records::show))
        .routes(routes!(status::show))
        .route_layer(from_fn_with_state(Arc::clone(shared), auth::authenticate));
    open.merge(behind_the_door)
}

/// What all listeners have in common. The last layer is the outermost: the log sees what the others made of it.
fn finish(routes: Router, audience: Audience) -> Router {
    routes
        .fallback(async || ApiError::NotFound { what: "page" })
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(audience, request_log::log))
}

/// The panic itself is logged by [`crate::telemetry::log_panics`], by its place only.
fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    ApiError::Internal("a handler panicked".into()).into_response()
}

async fn mark(mut response: Response) -> Response {
    let marker = HeaderName::from_static(MARKER_HEADER);
    response.headers_mut().insert(marker, HeaderValue::from_static(CONTRACT_VERSION));
    response
}

/// Replies may hold what only this administrator should see, and a page of ours runs no scripts.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_panic_is_a_problem_document_without_its_message() {
        let broken = Router::new().route("/", get(async || -> () { panic!("the secret is hunter2") }));
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let reply = finish(broken, Audience::Admin).oneshot(request).await.expect("a reply");
        assert_eq!(reply.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = to_bytes(reply.into_body(), 10_000).await.expect("a body");
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("urn:portcullis:problem:internal") && !body.contains("hunter2"), "{body}");
    }
}
