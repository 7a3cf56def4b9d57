//! The admin API, one noun a file. Every operation is in `/openapi.json`.
//!
//! Who asks is known before a handler runs ([`crate::http::auth`]); what the caller may do is decided in
//! [`crate::domain::access`] whenever an object is looked up ([`acting`]).
//!
//! Objects are named in paths by id; servers and workspaces by slug too. What `portcullis.yaml` declares is shown and
//! cannot be changed here. Secrets go in and never come out, but for a new API key, which is shown once.

pub mod acting;
pub mod administrators;
pub mod admissions;
pub mod approvals;
pub mod audit;
mod auth_body;
mod auth_reader;
mod auth_view;
pub mod catalogue;
pub mod check;
pub mod commit;
pub mod connections;
pub mod console;
pub mod data_keys;
pub mod description;
pub mod explain;
mod explain_view;
pub mod issuers;
mod key_limits;
pub mod keys;
pub mod limits;
pub mod me;
pub mod members;
pub mod oauth_clients;
pub mod page;
pub mod policies;
pub mod presets;
pub mod provisions;
pub mod quarantines;
pub mod records;
mod server_body;
pub mod server_checks;
pub mod servers;
pub mod sessions;
pub mod signing_keys;
pub mod start;
pub mod status;
pub mod time;
pub mod workspaces;
