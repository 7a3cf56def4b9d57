//! Names to addresses, by the system.

use std::fmt;
use std::io;
use std::net::IpAddr;

/// Resolves names. An argument of the client, so that tests can answer in their own way.
#[async_trait::async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// What the operating system is configured to use.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait::async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = tokio::net::lookup_host((host, 0)).await?;
        Ok(addresses.map(|address| address.ip()).collect())
    }
}
