//! The endpoints of the gateway's own authorization server, and what MCP clients read to find them.
//!
//! - [`metadata`]: what the server and every resource say about themselves, and the keys.
//! - [`authorize`]: the request of a client, checked before anybody is sent anywhere.
//! - [`consent`]: the page on which a member allows it, and back to the client.
//! - [`chain`]: between the two, on to the account that the server wants of the member.
//! - [`token`]: codes and refresh tokens; [`tokens`]: revoking and asking about them; [`register`]: new clients.
//! - [`form`], [`client_auth`], [`error`]: what these have in common.
//!
//! The issuer is that of the configuration: no header of a request can change it.

mod authorize;
pub(super) mod chain;
mod client_auth;
pub(super) mod consent;
mod error;
mod form;
mod metadata;
mod register;
mod token;
mod tokens;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::routing::MethodRouter;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::authorization_server::AuthorizationSettings;
use crate::state::Shared;

/// SDKs send it with everything, so that browsers ask first.
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

pub(super) fn routes(settings: &AuthorizationSettings) -> Router<Shared> {
    let documents = documents().layer(for_everybody());
    let endpoints = endpoints().layer(for_listed(&settings.browser_origins));
    steps().merge(documents).merge(endpoints)
}

listed! {
    DOCUMENTS, documents:
    "/.well-known/oauth-authorization-server" => get metadata::server, options preflight;
    "/.well-known/openid-configuration" => get metadata::server, options preflight;
    "/.well-known/oauth-protected-resource/{first}/mcp" => get metadata::resource, options preflight;
    "/.well-known/oauth-protected-resource/{first}/{second}/mcp" =>
        get metadata::workspace_resource, options preflight;
    "/oauth/jwks" => get metadata::keys, options preflight;
}

listed! {
    ENDPOINTS, endpoints:
    "/oauth/token" => post token::token, options preflight;
    "/oauth/revoke" => post tokens::revoke, options preflight;
    "/oauth/register" => post register::register, options preflight;
}

listed! {
    STEPS, steps:
    "/oauth/authorize" => get authorize::authorize;
    "/oauth/consent" => get consent::show, post consent::decide;
    "/oauth/continue" => post chain::go_on;
    "/oauth/introspect" => post tokens::introspect;
}

/// What browsers ask before the request itself. The layers answer in its place; without the route they would not be
/// asked.
async fn preflight() {}

/// Documents without secrets, which web pages may read wherever they are from.
fn for_everybody() -> CorsLayer {
    CorsLayer::new().allow_origin(Any).allow_methods([Method::GET]).allow_headers([PROTOCOL_VERSION])
}

/// What hands out tokens answers web pages of listed origins only.
fn for_listed(origins: &[String]) -> CorsLayer {
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new().allow_origin(AllowOrigin::list(origins)).allow_methods([Method::POST]).allow_headers([
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        PROTOCOL_VERSION,
    ])
}
