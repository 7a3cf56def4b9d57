//! The service through its front doors: the same builder as `main`, over a database of its own and real sockets.

mod access;
mod admin_api;
mod audit;
mod authorization;
mod command_line;
mod configuration;
mod connections;
mod harness;
mod lease_identity;
mod leases;
mod lifecycle;
mod mutual_tls;
mod reply;
mod secrets;
mod watch;
