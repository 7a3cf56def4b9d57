//! The public listener: pages for people (sign-in, connecting an account, what is connected), and the endpoints at
//! which MCP clients sign in.
//!
//! - [`guard`]: who sends a request, and that a form comes from a page of ours. No handler can skip it.
//! - [`sign_in`]: how somebody becomes a signed-in browser, whatever the method.
//! - [`connect`]: the link of an agent, the consent page, and off to the provider.
//! - [`callback`]: back from the provider; everything is checked before a code is redeemed.
//! - [`connections`]: what a person has connected, to connect again or disconnect.
//! - [`oauth`]: signing MCP clients in.
//! - [`client_document`]: what the gateway says about itself as an OAuth client.
//! - [`trouble`]: every way a page can fail, and the one mapping to status and text.
//!
//! A `GET` changes nothing, so that link previews do no harm. Pages run no scripts. The gateway's own address is that
//! of the configuration, never that of a request.

mod callback;
mod client_document;
mod connect;
mod connections;
mod cookies;
mod guard;
mod headers;
mod next;
mod oauth;
mod page;
mod sign_in;
mod trouble;
mod words;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::state::Shared;

/// The pages' routes.
pub(super) fn routes(shared: &Shared) -> Router<Shared> {
    Router::new()
        .merge(oauth::routes(&shared.settings.authorization))
        .route("/", get(connections::home))
        .route("/connect/{ticket}", get(connect::show).post(connect::agree))
        .route("/callback/{server}", get(callback::back))
        .route("/connections", get(connections::list))
        .route("/connections/sign-out", post(connections::sign_out))
        .route("/connections/{server}/connect", post(connections::connect))
        .route("/connections/{server}/connected", get(connections::connected))
        .route("/connections/{server}/keep", post(connections::keep))
        .route("/connections/{server}/disconnect", post(connections::disconnect))
        .route("/sign-in", get(sign_in::show).post(sign_in::choose))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/oauth/client/{server}", get(client_document::show))
        .route(page::STYLESHEET, get(page::stylesheet))
}

/// What all replies of the public listener have in common; the outermost layer.
pub(super) fn dress(routes: Router, shared: Shared) -> Router {
    routes.layer(from_fn_with_state(shared, headers::dress))
}
