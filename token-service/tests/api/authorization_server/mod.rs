//! The gateway as an authorization server of clients and browsers that mean it harm: every row of a catalogue, with what
//! has to become of it, and the good cases beside them.
//!
//! [`catalogue`] has a line for each row. Everything goes through the listeners of a running [`stand::Stand`].

mod authorize;
mod catalogue;
mod chain;
mod codes;
mod consent;
mod documents;
mod keys;
mod leases;
mod metadata;
mod refreshing;
mod registrations;
mod seen;
mod stand;
mod tokens;
