//! The proxy-wasm shell around [`portcullis_filter_core`].
//!
//! Envoy's callbacks come in, the core decides, and what it decides is carried out here. The shell has no opinion on
//! any request; what it does own is listed in the README: never trapping, one terminal action per stream, and failing
//! closed where the host refuses something.
// Tests may fail loudly; the filter may not.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod host;
mod http;
mod logging;
mod metrics;
mod pairs;
mod plugin;
mod shared;
mod stream;
mod verify;
mod vm;

proxy_wasm::main! {{
    start();
}}

/// What the module does when it is loaded: nothing but telling the SDK which contexts to make, because host calls are
/// not allowed yet.
pub fn start() {
    logging::start();
    proxy_wasm::set_root_context(|id| Box::new(plugin::Root::new(id)));
    proxy_wasm::set_http_context(|id, root| Box::new(http::Http::new(id, root)));
}
