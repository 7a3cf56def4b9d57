//! The gateway as an authorization server of clients and browsers that mean it harm: what has to become of
//! whatever they may do, and the good cases beside it.
//!
//! The rows are in `tests/catalogue/authorization_server.yaml`. Everything goes through the listeners of a running [`stand::Stand`].

mod authorize;
mod chain;
mod codes;
mod consent;
mod documents;
mod keys;
mod leases;
mod metadata;
mod redirects;
mod refreshing;
mod registrations;
mod seen;
mod stand;
mod tokens;
