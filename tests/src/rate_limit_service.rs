//! A rate limit service as Envoy asks one: `envoy.service.ratelimit.v3.RateLimitService` over gRPC.
//!
//! It counts descriptors, and lets as many of each key pass as it was told. The few messages are read and written by
//! hand: the two that there are have four fields that matter.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use axum::http::{HeaderMap, HeaderValue, Response};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, server};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const METHOD: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// `RateLimitResponse.Code`.
const OK: u8 = 1;
const OVER_LIMIT: u8 = 2;

/// Keys and values, as Envoy sent them.
pub type Descriptor = Vec<(String, String)>;

/// The running service. Dropping it ends it.
#[derive(Debug)]
pub struct RateLimitService {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    /// How many requests of each descriptor pass, by the key of its last entry; all of others.
    limits: HashMap<&'static str, usize>,
    seen: Mutex<Vec<Descriptor>>,
}

impl RateLimitService {
    pub async fn start(limits: &[(&'static str, usize)]) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts { limits: limits.iter().copied().collect(), seen: Mutex::default() });
        let shared = Arc::clone(&counts);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, Arc::clone(&shared)));
            }
        });
        Ok(Self { address, counts, serving })
    }

    /// Every descriptor that was asked about, in order.
    pub fn seen(&self) -> Vec<Descriptor> {
        self.counts.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RateLimitService {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn connection(stream: TcpStream, counts: Arc<Counts>) {
    let Ok(mut connection) = server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let counts = Arc::clone(&counts);
        let is_known = request.uri().path() == METHOD;
        tokio::spawn(async move {
            if is_known {
                drop(answer(request.into_body(), respond, &counts).await);
            }
        });
    }
}

/// A unary call: one message each way, each behind a flag and its length, and the outcome in the trailers.
async fn answer(
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    counts: &Counts,
) -> anyhow::Result<()> {
    let mut request = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        request.extend_from_slice(&chunk);
    }
    let code = counts.judge(descriptors(request.get(5..).context("no message")?)?);
    let message = [0, 0, 0, 0, 2, 0x08, code];
    let response = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(Bytes::copy_from_slice(&message), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)?;
    Ok(())
}

impl Counts {
    fn judge(&self, descriptors: Vec<Descriptor>) -> u8 {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut code = OK;
        for descriptor in descriptors {
            let before = seen.iter().filter(|other| **other == descriptor).count();
            let key = descriptor.last().map(|(key, _)| key.as_str()).unwrap_or_default();
            if self.limits.get(key).is_some_and(|limit| before >= *limit) {
                code = OVER_LIMIT;
            }
            seen.push(descriptor);
        }
        code
    }
}

/// `RateLimitRequest.descriptors` (2), their `entries` (1), and of those `key` (1) and `value` (2).
fn descriptors(request: &[u8]) -> anyhow::Result<Vec<Descriptor>> {
    let mut descriptors = Vec::new();
    for descriptor in fields(request, 2)? {
        let mut entries = Vec::new();
        for entry in fields(descriptor, 1)? {
            let text = |number| -> anyhow::Result<String> {
                let found = fields(entry, number)?.first().copied().unwrap_or_default();
                Ok(String::from_utf8(found.to_vec())?)
            };
            entries.push((text(1)?, text(2)?));
        }
        descriptors.push(entries);
    }
    Ok(descriptors)
}

/// The length-delimited fields of that number.
fn fields(mut message: &[u8], wanted: u64) -> anyhow::Result<Vec<&[u8]>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let value = varint(&mut message)?;
        match tag & 7 {
            // A number, which is read already.
            0 => {}
            2 => {
                let (bytes, rest) = message.split_at_checked(usize::try_from(value)?).context("cut off")?;
                if tag >> 3 == wanted {
                    found.push(bytes);
                }
                message = rest;
            }
            other => anyhow::bail!("no field of kind {other} is expected"),
        }
    }
    Ok(found)
}

fn varint(bytes: &mut &[u8]) -> anyhow::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().context("cut off")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    ensure!(false, "a number without end");
    Ok(value)
}
