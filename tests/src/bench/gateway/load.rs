//! Requests over open connections, as fast as they are answered or at a rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::http::{Head, is_complete};

/// Open connections.
const CONNECTIONS: usize = 16;

/// Whole requests, ready to be sent; in turn, and again from the first.
#[derive(Debug)]
pub struct Requests {
    texts: Vec<Vec<u8>>,
    next: AtomicUsize,
    expected: Expected,
}

/// What each answer has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Served,
    Refused,
}

/// What came of so many requests.
#[derive(Clone, Debug)]
pub struct Slice {
    pub requests: usize,
    pub took: Duration,
}

/// Connections to one gateway.
#[derive(Debug)]
pub struct Load {
    address: SocketAddr,
    connections: Vec<Connection>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Requests {
    pub fn new(texts: Vec<Vec<u8>>) -> Arc<Self> {
        Arc::new(Self { texts, next: AtomicUsize::new(0), expected: Expected::Served })
    }

    /// None of which may be served.
    pub fn refused(texts: Vec<Vec<u8>>) -> Arc<Self> {
        Arc::new(Self { texts, next: AtomicUsize::new(0), expected: Expected::Refused })
    }

    /// The one that is sent first; it is sent again.
    pub fn first(&self) -> &[u8] {
        self.texts.first().map(Vec::as_slice).unwrap_or_default()
    }

    fn take(&self) -> &[u8] {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.texts.len().max(1);
        self.texts.get(next).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Load {
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(address).await?);
        }
        Ok(Self { address, connections })
    }

    /// Sends `count` requests as fast as they are answered.
    pub async fn run(&mut self, requests: &Arc<Requests>, count: usize) -> anyhow::Result<Slice> {
        let (begun, left) = (Instant::now(), Arc::new(AtomicUsize::new(count)));
        let mut sending = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let (requests, left) = (Arc::clone(requests), Arc::clone(&left));
            sending.spawn(async move {
                let one_less = |left: usize| left.checked_sub(1);
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                    connection.exchange(&requests).await?;
                }
                anyhow::Ok(connection)
            });
        }
        while let Some(connection) = sending.join_next().await {
            self.connections.push(connection??);
        }
        Ok(Slice { requests: count, took: begun.elapsed() })
    }

    /// Sends `rate` requests a second for so long, whether those before are answered or not, as far as there are connections;
    /// how long each answer's first bytes took, counted from when the request was due.
    pub async fn pace(
        &mut self,
        requests: &Arc<Requests>,
        rate: u32,
        during: Duration,
    ) -> anyhow::Result<Vec<Duration>> {
        let begun = Instant::now();
        let (next, mut sending) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for mut connection in self.connections.drain(..) {
            let (requests, next) = (Arc::clone(requests), Arc::clone(&next));
            sending.spawn(async move {
                let mut took = Vec::new();
                loop {
                    let number = u32::try_from(next.fetch_add(1, Ordering::Relaxed))?;
                    let due = Duration::from_secs(1) / rate * number;
                    if due >= during {
                        return anyhow::Ok((connection, took));
                    }
                    sleep_until(begun + due).await;
                    took.push(connection.exchange(&requests).await?.saturating_duration_since(begun + due));
                }
            });
        }
        let mut all = Vec::new();
        while let Some(sent) = sending.join_next().await {
            let (connection, took) = sent??;
            self.connections.push(connection);
            all.extend(took);
        }
        Ok(all)
    }

    /// Sends one request over a connection of its own; the whole answer.
    pub async fn once(&self, request: &[u8]) -> anyhow::Result<String> {
        let mut connection = Connection::open(self.address).await?;
        connection.send(request).await?;
        Ok(String::from_utf8_lossy(&connection.received).into_owned())
    }
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("the gateway does not listen")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(256 * 1024) })
    }

    /// When the answer to the next request began.
    async fn exchange(&mut self, requests: &Requests) -> anyhow::Result<Instant> {
        let first = self.send(requests.take()).await?;
        let received = &self.received;
        let shown = || String::from_utf8_lossy(received.get(..1000).unwrap_or(received)).into_owned();
        let served = received.starts_with(b"HTTP/1.1 200");
        let expected = requests.expected;
        ensure!(served == (expected == Expected::Served), "not {expected:?}: {}", shown());
        Ok(first)
    }

    async fn send(&mut self, request: &[u8]) -> anyhow::Result<Instant> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let (mut head, mut first) = (None, None);
        loop {
            ensure!(self.stream.read_buf(&mut self.received).await? > 0, "the gateway has hung up");
            first = first.or_else(|| Some(Instant::now()));
            head = match head {
                None => Head::find(&self.received)?,
                known => known,
            };
            if let (Some(head), Some(first)) = (head, first)
                && is_complete(&head, &self.received)
            {
                return Ok(first);
            }
        }
    }
}

impl Slice {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
        let requests = self.requests as f64;
        requests / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
