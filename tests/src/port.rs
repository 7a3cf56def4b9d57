//! Free ports on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that the system hands out by itself (32768 and up on Linux): between our letting go of a port and
/// its new owner's taking it, no outgoing connection can come in the way.
const RANGE: Range<u16> = 12_000..32_000;
/// How many ports a process uses before it meets its neighbour's.
const STRIDE: u32 = 61;

/// A port that nobody else gets while this lives. Let go of it right before the program that is to have it starts.
#[derive(Debug)]
pub struct Reserved(TcpListener);

impl Reserved {
    /// Takes a free port, or `wanted`. No port is taken twice in the life of this process.
    pub fn take(wanted: Option<u16>) -> io::Result<Self> {
        if let Some(port) = wanted {
            return Self::bind(port).map_err(|error| {
                io::Error::new(error.kind(), format!("port {port} cannot be used: {error}"))
            });
        }
        let mut last_error = None;
        for _ in RANGE {
            match Self::bind(next()) {
                Ok(reserved) => return Ok(reserved),
                Err(error) => last_error = Some(error),
            }
        }
        Err(last_error.unwrap_or_else(|| io::Error::other("no port is free")))
    }

    fn bind(port: u16) -> io::Result<Self> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(Self)
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Processes that run at the same time begin at different places.
fn next() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let count = TAKEN.fetch_add(1, Ordering::Relaxed);
    let place = std::process::id().wrapping_mul(STRIDE).wrapping_add(count);
    let width = u32::from(RANGE.end - RANGE.start);
    RANGE.start + u16::try_from(place % width).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_once() {
        let first = Reserved::take(None).expect("a port").address().expect("an address");
        let second = Reserved::take(None).expect("a port").address().expect("an address");
        assert_ne!(first, second, "although the first is free again");
        assert!(RANGE.contains(&first.port()));
    }
}
