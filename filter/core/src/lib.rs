//! Every decision of the filter, as pure code.
//!
//! This crate knows nothing of proxy-wasm: it takes bytes, names and times and returns values. The shell in `filter/`
//! turns Envoy's callbacks into calls of [`exchange::Exchange`] and [`worker::Worker`] and carries out what they
//! return. So every rule can be tested natively, on wasm32 under Node, and by a fuzzer.
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

pub mod cache;
pub mod config;
pub mod exchange;
pub mod identity;
pub mod json;
pub mod leases;
pub mod mcp;
pub mod memory;
pub mod metrics;
pub mod networks;
pub mod origin;
pub mod path;
pub mod payload;
pub mod rates;
pub mod registry;
pub mod reply;
pub mod response;
pub mod running;
pub mod shared;
pub mod step;
pub mod trace;
pub mod watch;
pub mod worker;
