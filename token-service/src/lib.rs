//! The token-service: registry, policy, leases and sealed credentials behind the filter.
//!
//! In dependency order:
//!
//! - [`clock`]: time and chance as values that are passed in.
//! - [`domain`]: what there is (servers, workspaces, members, keys, policies) and who may have a lease. Pure.
//! - [`store`]: the storage contract, and SQLite behind it.
//! - [`vault`]: the root key, the data keys, and sealing; API keys and the admin token.
//! - [`config`]: `portcullis.yaml`, read strictly and checked whole.

pub mod clock;
pub mod config;
pub mod domain;
pub mod store;
pub mod vault;
