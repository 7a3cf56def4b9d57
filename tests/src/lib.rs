//! The whole system run for real: Envoy with the shipped configuration, the filter, the token-service, MCP servers.
//!
//! A story starts a [`stack::Stack`], speaks to it as an agent would ([`mcp`], or byte by byte with [`raw`]), and
//! looks at what the client got, what the upstream received ([`upstream::journal`]) and what was logged
//! ([`access_log`]). Everything listens on loopback and dies with the process that started it.

pub mod access_log;
pub mod admin;
pub mod artifacts;
pub mod bench;
pub mod browser;
pub mod canaries;
pub mod collector;
#[expect(
    deprecated,
    reason = "the suite asks for what is left of the legacy era too: logging, sampling, roots"
)]
pub mod conformance;
pub mod demo;
pub mod denials;
pub mod envoy;
pub mod everything;
pub mod faults;
pub mod fetched;
pub mod figures;
pub mod http;
pub mod idp;
pub mod mcp;
pub mod mesh;
pub mod oauth_client;
pub mod oidc;
pub mod openbao;
pub mod parsers;
pub mod patience;
pub mod person;
pub mod port;
pub mod postgres;
pub mod process;
pub mod proofs;
pub mod provider;
pub mod rate_limit_service;
pub mod raw;
pub mod revocation;
pub mod rotation;
pub mod scrape;
pub mod sdk;
pub mod seed;
pub mod service;
pub mod shim;
pub mod soak;
pub mod stack;
pub mod upstream;
pub mod watches;
