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
use axum::routing::{get, post};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::authorization_server::AuthorizationSettings;
use crate::state::Shared;

/// SDKs send it with everything, so that browsers ask first.
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

pub(super) fn routes(settings: &AuthorizationSettings) -> Router<Shared> {
    let documents = Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata::server))
        .route("/.well-known/openid-configuration", get(metadata::server))
        .route("/.well-known/oauth-protected-resource/{first}/mcp", get(metadata::resource))
        .route(
            "/.well-known/oauth-protected-resource/{first}/{second}/mcp",
            get(metadata::workspace_resource),
        )
        .route("/oauth/jwks", get(metadata::keys))
        .layer(for_everybody());
    let endpoints = Router::new()
        .route("/oauth/token", post(token::token))
        .route("/oauth/revoke", post(tokens::revoke))
        .route("/oauth/register", post(register::register))
        .layer(for_listed(&settings.browser_origins));
    Router::new()
        .route("/oauth/authorize", get(authorize::authorize))
        .route("/oauth/consent", get(consent::show).post(consent::decide))
        .route("/oauth/continue", post(chain::go_on))
        .route("/oauth/introspect", post(tokens::introspect))
        .merge(documents)
        .merge(endpoints)
}

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
