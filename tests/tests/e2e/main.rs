//! Stories through a real Envoy. Each starts its own stack, so that none can help or hurt another.

mod accounts;
mod bad_input;
mod canaries;
mod company;
mod connect;
mod denied;
mod disconnect;
mod first_call;
mod governance;
mod harmless;
mod identity;
mod isolation;
mod lists;
mod log;
mod logged;
mod metrics;
mod records;
mod revoke;
mod run;
mod sessions;
mod setup;
mod streaming;
mod token_service_down;
mod traces;
mod upstream_down;
mod upstream_oauth;
