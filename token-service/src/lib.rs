//! The token-service: registry, policy, leases and sealed credentials behind the filter.
//!
//! In dependency order:
//!
//! - [`clock`]: time and chance as values that are passed in.
//! - [`domain`]: what there is (servers, workspaces, members, keys, policies) and who may have a lease. Pure.
//! - [`store`]: the storage contract, and SQLite or PostgreSQL behind it.
//! - [`vault`]: the root key, the data keys, and sealing; API keys and the admin token.
//! - [`presets`]: what is known of well-known servers.
//! - [`config`]: `portcullis.yaml`, read strictly and checked whole.
//! - [`credentials`]: sealing and opening a server's credential headers.
//! - [`egress`]: the one way out to addresses that others choose.
//! - [`oauth`]: being an OAuth client of upstream servers.
//! - [`broker`]: a usable credential for a caller and a server, whatever it takes.
//! - [`connect`]: how a member gets a connection: the link, and the way through the provider.
//! - [`company`]: signing in at the company's OpenID Connect provider.
//! - [`authorization_server`]: signing MCP clients in.
//! - [`identity_provider`]: issuers whose tokens are accepted: their keys, and their word about tokens.
//! - [`watch_hub`], [`news`], [`key_use`], [`shutdown`]: what a running service keeps in memory.
//! - [`state`]: all of these together, as handlers share them.
//! - [`lease`], [`explain`]: deciding on a lease, and saying why.
//! - [`unconnected`]: MCP answers for members who have yet to connect an account.
//! - [`record_store`], [`records`]: records of requests: what keeps them, and the way in and out.
//! - [`quarantine`]: connections whose server has moved to another origin.
//! - [`apply`]: making the store say what `portcullis.yaml` says, at start and whenever the file changes.
//! - [`http`]: the three listeners.
//! - [`admin_client`]: the administrators' commands, which ask the admin API of a running service.
//! - [`store_commands`]: the commands about the database itself.
//! - [`check_server`]: how a server wants to be authorised, for whoever is about to register it.
//! - [`render`]: the registry as resources of a mesh or of Envoy.
//! - [`import`]: what other gateways know of servers, as a part of `portcullis.yaml`.
//! - [`measure`]: what is counted and measured, for Prometheus.
//! - [`telemetry`]: the log, and what is never in it.
//! - [`app`]: the composition root; `main` and the tests use the same.

pub mod admin_client;
pub mod app;
pub mod apply;
pub mod authorization_server;
pub mod broker;
pub mod check_server;
pub mod clock;
pub mod company;
pub mod config;
pub mod connect;
pub mod credentials;
pub mod domain;
pub mod egress;
pub mod explain;
pub mod http;
pub mod identity_provider;
pub mod import;
mod jobs;
pub mod key_use;
pub mod lease;
pub mod measure;
pub mod news;
pub mod oauth;
pub mod presets;
pub mod quarantine;
pub mod record_store;
pub mod records;
pub mod render;
pub mod replicas;
pub mod shutdown;
pub mod state;
pub mod store;
pub mod store_commands;
pub mod telemetry;
mod text;
pub mod unconnected;
pub mod vault;
pub mod watch_hub;
