//! The public listener: pages for people (sign-in, connecting an account, what is connected), and the endpoints at
//! which MCP clients sign in. On the admin listener: sign-in.
//!
//! - [`guard`]: who sends a request, and that a form comes from a page of ours. No handler can skip it.
//! - [`realm`]: the two places where people sign in.
//! - [`sign_in`]: how somebody becomes a signed-in browser, whatever the method; [`company`] is one of them.
//! - [`connect`]: the link of an agent, the consent page, and off to the provider.
//! - [`callback`]: back from the provider; everything is checked before a code is redeemed.
//! - [`connections`]: what a person has connected, to connect again or disconnect.
//! - [`setup`]: what to put into a client.
//! - [`oauth`]: signing MCP clients in.
//! - [`client_document`]: what the gateway says about itself as an OAuth client.
//! - [`trouble`]: every way a page can fail, and the one mapping to status and text.
//!
//! A `GET` changes nothing, so that link previews do no harm. Pages run no scripts. The gateway's own address is that
//! of the configuration, never that of a request.

mod callback;
mod client_document;
mod company;
mod connect;
mod connections;
mod cookies;
pub(super) mod guard;
pub(super) mod headers;
mod next;
mod oauth;
mod page;
pub(super) mod realm;
mod setup;
mod setup_page;
mod sign_in;
mod trouble;
mod trouble_signing_in;
mod words;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;

pub use self::oauth::{DOCUMENTS, ENDPOINTS, STEPS};
use self::realm::Realm;
use super::health;
use crate::state::Shared;

listed! {
    ROUTES, routes:
    "/livez" => get health::live;
    "/readyz" => get health::ready;
    "/" => get connections::home;
    "/connect/{ticket}" => get connect::show, post connect::agree;
    "/callback/{server}" => get callback::back;
    "/connections" => get connections::list;
    "/connections/sign-out" => post connections::sign_out;
    "/connections/{server}/connect" => post connections::connect;
    "/connections/{server}/connected" => get connections::connected;
    "/connections/{server}/keep" => post connections::keep;
    "/connections/{server}/disconnect" => post connections::disconnect;
    "/setup" => get setup::list;
    "/setup/{workspace}/{server}" => get setup::of_server;
    "/setup/{workspace}/{server}/{client}/{credential}/{step}" => get setup::snippet;
    "/sign-in" => get sign_in::show, post sign_in::choose;
    "/sign-in/callback" => get sign_in::back;
    "/sign-out" => get sign_in::signed_out, post sign_in::sign_out;
    "/oauth/client/{server}" => get client_document::show;
    page::STYLESHEET => get page::stylesheet;
}

listed! {
    ADMIN_ROUTES, admin_routes:
    "/sign-in" => get sign_in::show_admin, post sign_in::choose_admin;
    "/sign-in/callback" => get sign_in::back_admin;
    page::STYLESHEET => get page::stylesheet;
}

/// Where MCP clients sign in.
pub(super) fn oauth_routes(shared: &Shared) -> Router<Shared> {
    oauth::routes(&shared.settings.authorization)
}

/// What all replies with pages have in common; the outermost layer.
pub(super) fn dress(routes: Router, realm: Realm, shared: Shared) -> Router {
    routes.layer(from_fn_with_state((shared, realm), headers::dress))
}
