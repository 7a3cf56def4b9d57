//! The one way out: every fetch of an address that somebody else chose goes through [`EgressClient`].

use std::path::PathBuf;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
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
    /// Compared with the URL's host, lower case.
    pub host: String,
    /// CIDR.
    pub network: String,
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
}

impl EgressClient {
    pub fn new(_policy: &EgressPolicy) -> Result<Self, String> {
        todo!()
    }

    /// Follows no redirect: a 3xx is an answer like any other.
    pub async fn fetch(&self, _request: EgressRequest) -> Result<EgressReply, EgressError> {
        todo!()
    }
}
