//! The console: the pages of the admin listener.
//!
//! A page is one more client of the admin API: it calls the functions that answer the API, as whoever is signed in. What
//! the API does not show or do, no page does. Pages work without scripts, but for charts and the live log; with them
//! (htmx) a form that is refused keeps what was typed.
//!
//! - [`entry`]: who comes, that a form is one of ours, and what a refusal looks like.
//! - [`form`]: the fields of a form, and how they become the body of an operation.
//! - [`shell`]: what all pages have around them.
//! - the rest: one noun a file.

mod access;
mod assets;
mod audit;
mod check;
mod entry;
mod explain;
mod form;
mod keys;
mod members;
mod overview;
mod quarantine;
mod requests;
mod rules;
mod server;
mod server_form;
mod servers;
mod settings;
mod shell;
mod tools;
mod workspaces;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;

pub use self::assets::ASSET_ROUTES;

use crate::state::Shared;

// `-` is no slug, so no server hides behind the pages of all servers, nor they behind one.
listed! {
    CONSOLE_ROUTES, pages:
    "/" => get overview::show;
    "/servers" => get servers::list;
    "/servers/-/new" => get servers::blank, post servers::create;
    "/servers/-/check" => post check::server;
    "/servers/{server}" => get server::show, post server::change;
    "/servers/{server}/delete" => post server::delete;
    "/servers/{server}/access" => post access::change;
    "/servers/{server}/moved" => post access::decide;
    "/servers/{server}/tools" => get tools::list, post tools::toggle;
    "/servers/{server}/tools/{tool}" => get tools::show, post tools::approve;
    "/servers/{server}/rules" => get rules::show, post rules::change;
    "/workspaces" => get workspaces::list, post workspaces::create;
    "/workspaces/{workspace}" => get workspaces::show, post workspaces::change;
    "/workspaces/{workspace}/delete" => post workspaces::delete;
    "/workspaces/{workspace}/members" => get members::list, post members::create;
    "/workspaces/{workspace}/keys" => get keys::list, post keys::create;
    "/members/{member}" => get members::show, post members::change;
    "/members/{member}/delete" => post members::delete;
    "/members/{member}/access" => post access::of_member;
    "/keys/{key}" => get keys::show, post keys::change;
    "/keys/{key}/rotate" => post keys::rotate;
    "/keys/{key}/delete" => post keys::delete;
    "/connections/{connection}/delete" => post access::disconnect;
    "/sessions/{session}/delete" => post access::sign_out;
    "/quarantine/{target}" => post quarantine::set;
    "/quarantine/{target}/lift" => post quarantine::lift;
    "/requests" => get requests::list;
    "/requests/live" => get requests::live;
    "/requests/{record}" => get requests::show;
    "/explain" => get explain::show;
    "/audit" => get audit::list;
    "/settings" => get settings::show;
    "/settings/administrators" => post settings::appoint;
    "/settings/administrators/{administrator}" => post settings::change;
    "/settings/administrators/{administrator}/delete" => post settings::dismiss;
    "/sign-out" => post settings::sign_out;
}

/// The pages, behind the door, and what they load, which says nothing of anybody.
pub fn routes(shared: &Shared) -> Router<Shared> {
    pages()
        .route_layer(from_fn_with_state(std::sync::Arc::clone(shared), entry::enter))
        .merge(assets::files())
}
