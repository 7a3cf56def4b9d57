//! The service through its front doors: the same builder as `main`, over a database of its own and real sockets.

#![expect(clippy::disallowed_methods, reason = "here HTTP clients are filters, administrators and browsers")]

mod access;
#[path = "../../../wire/tests/contract/additions.rs"]
mod additions;
mod admin_api;
mod admin_side;
mod audit;
mod authorization;
mod authorization_server;
mod browser;
mod callback;
mod catalogue;
mod command_line;
mod commands;
mod commands_setup;
mod company;
mod configuration;
mod connect_link;
mod connections;
mod connections_page;
mod contract;
mod data_keys;
mod governance;
mod harness;
mod identity_provider;
mod key_limits;
mod lease_connections;
mod lease_identity;
mod leases;
mod lifecycle;
mod limits;
mod metrics;
mod mutual_tls;
mod payloads;
mod provider;
#[path = "../../../wire/tests/contract/recorded.rs"]
mod recorded;
mod records;
mod reply;
mod secrets;
mod setup_page;
mod sign_in;
mod tracker;
mod unconnected;
mod upstream_oauth;
mod watch;
