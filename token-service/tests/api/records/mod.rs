//! Records of requests: in over OTLP as from Envoy, out by the admin API.

mod command;
mod hostile;
mod intake;
mod search;
mod stand;
