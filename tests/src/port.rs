//! Free ports on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A port that nobody else gets while this lives. Let go of it right before the program that is to have it starts.
#[derive(Debug)]
pub struct Reserved(TcpListener);

impl Reserved {
    /// Takes a port that the system chooses, or `wanted`.
    pub fn take(wanted: Option<u16>) -> io::Result<Self> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, wanted.unwrap_or(0))).map(Self)
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
