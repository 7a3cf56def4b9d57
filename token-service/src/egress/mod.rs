//! The one way out: every fetch of an address that somebody else chose goes through [`EgressClient`].

use std::path::PathBuf;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use ipnet::IpNet;
use url::Url;

/// What may be reached besides public addresses on port 443.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Private upstreams: this host may resolve into this network, on any port.
    pub allowed: Vec<AllowedPrivate>,
    /// Plain http and any port on loopback addresses: for a laptop.
    pub development_loopback: bool,
    /// Certificates (PEM) that are trusted besides the system's.
    pub extra_roots: Option<PathBuf>,
}

/// One entry of the allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedPrivate {
    host: String,
    network: IpNet,
}

/// Why an entry of the allow-list is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowedPrivateError {
    #[error("the host must be one name or IP address, without scheme, port or wildcard")]
    Host,
    #[error("the network must be written as address and prefix length, such as 10.1.0.0/16")]
    Network,
}

impl AllowedPrivate {
    /// `host` as it is in URLs, `network` in CIDR notation.
    pub fn parse(_host: &str, _network: &str) -> Result<Self, AllowedPrivateError> {
        todo!()
    }
}

#[derive(Debug)]
pub struct EgressClient {}

#[derive(Clone, Debug)]
pub struct EgressRequest {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The largest body that is read, in bytes.
    pub limit: usize,
}

#[derive(Clone, Debug)]
pub struct EgressReply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why nothing usable came back. Messages name classes of failures; addresses, bodies and timings stay inside.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("the address may not be fetched: {0}")]
    Refused(&'static str),
    #[error("the host could not be reached")]
    Unreachable,
    #[error("the host's certificate is not trusted")]
    Untrusted,
    #[error("the host did not answer in time")]
    Timeout,
    #[error("the answer is too large")]
    TooLarge,
    #[error("the connection broke off")]
    Broken,
}

impl EgressError {
    /// Whether the other side may have received the request.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Timeout | Self::TooLarge | Self::Broken)
    }

    /// Whether it may be otherwise next time, with nobody doing anything.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::Broken)
    }
}

impl EgressClient {
    pub fn new(_policy: &EgressPolicy) -> Result<Self, String> {
        todo!()
    }

    /// Whether `url` may be fetched as far as can be said before its host is resolved.
    pub fn check(&self, _url: &Url) -> Result<(), EgressError> {
        todo!()
    }

    /// Follows no redirect: a 3xx is an answer like any other.
    pub async fn fetch(&self, _request: EgressRequest) -> Result<EgressReply, EgressError> {
        todo!()
    }
}
