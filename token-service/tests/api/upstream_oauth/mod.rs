//! The gateway as an OAuth client of servers that mean it harm: what has to become of whatever they may do.
//!
//! The rows are in `tests/catalogue/oauth.yaml`. Rows with many inputs are tables in the files beside this; each input is sent
//! through a running service by a [`stand::Stand`], from the link that an agent shows to the code that comes back, and
//! after each one the same server works again. A [`site::Site`] is the hostile part. It speaks TLS for `localhost`, so
//! that the service runs with the policy of a production: nothing but this one host and network is allowed.

mod addresses;
mod answers;
mod challenges;
mod headers;
mod issuers;
mod machines;
mod metadata;
mod registrations;
mod revocations;
pub(crate) mod site;
pub(crate) mod stand;
mod tokens;
