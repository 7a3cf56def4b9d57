//! The one way out: every fetch of an address that somebody else chose goes through [`EgressClient`].
//!
//! 1. [`target`] judges the URL: scheme, port, user name, and an address written in place of a name. Pure.
//! 2. The host is resolved here, and only addresses that [`address`] and the allow-list let pass are left over. An
//!    address in the URL takes the same way, because no resolver is ever asked about it.
//! 3. Exactly these addresses are dialled, without proxy, redirects, cookies or decompression, within bounds of time
//!    and size, by a client that is made for the one request and keeps no connection: what was checked is what is used.
//!
//! Errors name classes of failures. Whoever chose the address must not be able to use the gateway as a port scanner.

mod address;
mod client;
mod limits;
mod resolver;
mod target;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use ipnet::IpNet;
use url::{Host, Url};

pub use client::EgressClient;
pub use resolver::{Resolve, SystemResolver};

/// What may be reached besides public addresses on port 443.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Private upstreams: this host may resolve into this network, on any port.
    pub allowed: Vec<AllowedPrivate>,
    /// Plain http and any port on loopback addresses, by the name `localhost` or by address: for a laptop.
    pub development_loopback: bool,
    /// Certificates (PEM) that are trusted besides the system's.
    pub extra_roots: Option<PathBuf>,
}

/// One entry of the allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedPrivate {
    /// As `url` spells it.
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
    #[error("the address has bits beyond the prefix; write {0}")]
    HostBits(IpNet),
    #[error(
        "the network is too wide to mean anything; name the one that the host is in, /8 (IPv6: /16) or narrower"
    )]
    TooWide,
    #[error("the network holds no address that a server can have")]
    NoServers,
}

impl AllowedPrivate {
    /// `host` as it is in URLs, `network` in CIDR notation.
    pub fn parse(host: &str, network: &str) -> Result<Self, AllowedPrivateError> {
        let name_like = !host.contains('*') && !host.contains('%');
        let host = name_like.then(|| Host::parse(host).ok()).flatten().ok_or(AllowedPrivateError::Host)?;
        let network: IpNet = network.parse().map_err(|_| AllowedPrivateError::Network)?;
        if network != network.trunc() {
            return Err(AllowedPrivateError::HostBits(network.trunc()));
        }
        let widest = if matches!(network, IpNet::V4(_)) { 8 } else { 16 };
        if network.prefix_len() < widest {
            return Err(AllowedPrivateError::TooWide);
        }
        if address::never(network.network()) && address::never(network.broadcast()) {
            return Err(AllowedPrivateError::NoServers);
        }
        Ok(Self { host: host.to_string(), network })
    }
}

#[derive(Clone)]
pub struct EgressRequest {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The largest body that is read, in bytes.
    pub limit: usize,
}

#[derive(Clone)]
pub struct EgressReply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

// Headers, bodies and queries carry codes and tokens.
impl fmt::Debug for EgressRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {}, {} bytes",
            self.method,
            self.url.origin().ascii_serialization(),
            self.body.len()
        )
    }
}

impl fmt::Debug for EgressReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "status {}, {} bytes", self.status, self.body.len())
    }
}

/// Why nothing usable came back. Messages name classes of failures; addresses, bodies and timings stay inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// In one word.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::Broken => "broken",
        }
    }

    /// Whether the other side may have received the request.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Timeout | Self::TooLarge | Self::Broken)
    }

    /// Whether it may be otherwise next time, with nobody doing anything.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::Broken)
    }
}
