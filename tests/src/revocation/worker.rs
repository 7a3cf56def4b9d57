//! A connection that one worker of one Envoy has, and what that worker says to a call.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::http::Request;
use bytes::Bytes;
use h2::client::SendRequest;
use serde_json::json;
use tokio::net::TcpStream;

use super::WORKERS;
use crate::envoy::Envoy;
use crate::stack::OPEN;

/// Connections that are opened at most until one Envoy's workers all have one.
const MOST_CONNECTIONS: usize = 200;

/// HTTP/2, because Envoy closes an HTTP/1.1 connection after an answer that comes before the request was read to its
/// end.
#[derive(Debug)]
pub(super) struct Pinned {
    streams: SendRequest<Bytes>,
    call: Call,
}

/// A call, the same each time.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The gateway that is named; another one may be asked.
    pub(super) gateway: SocketAddr,
    pub(super) key: String,
}

impl Pinned {
    async fn open(address: SocketAddr, call: &Call) -> anyhow::Result<Self> {
        let (streams, connection) = h2::client::handshake(TcpStream::connect(address).await?).await?;
        // Its end shows in the next call.
        tokio::spawn(connection);
        Ok(Self { streams, call: call.clone() })
    }

    /// Whether a call is served. One that is cut off is not.
    pub(super) async fn is_served(&mut self) -> anyhow::Result<bool> {
        let (head, body) = self.call.message()?;
        let mut streams = self.streams.clone().ready().await.context("a worker has hung up")?;
        let (answer, mut upload) = streams.send_request(head, false)?;
        // Whoever has answered already takes no more.
        let _ = upload.send_data(body, true);
        let Ok(answer) = answer.await else { return Ok(false) };
        let status = answer.status();
        let (mut download, mut text) = (answer.into_body(), Vec::new());
        while let Some(part) = download.data().await {
            let Ok(part) = part else { return Ok(false) };
            text.extend_from_slice(&part);
            download.flow_control().release_capacity(part.len())?;
        }
        // A denial of a tool has the status 200 as well.
        Ok(status == 200 && String::from_utf8_lossy(&text).contains("\"result\""))
    }
}

impl Call {
    fn message(&self) -> anyhow::Result<(Request<()>, Bytes)> {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "probe", "version": "1"},
        });
        let params = json!({"name": "whoami", "arguments": {}, "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let head = Request::post(format!("http://{}/{OPEN}/mcp", self.gateway))
            .header("x-portcullis-api-key", &self.key)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "whoami")
            .body(())?;
        Ok((head, body.into()))
    }
}

/// Opens connections until every worker of one Envoy has one. Which one has the latest is told by the listener's figures
/// of each worker.
pub(super) async fn pin_all(address: SocketAddr, envoy: &Envoy, call: &Call) -> anyhow::Result<Vec<Pinned>> {
    let mut found: Vec<Option<Pinned>> = (0..WORKERS).map(|_| None).collect();
    for _ in 0..MOST_CONNECTIONS {
        let before = connections(envoy).await?;
        let mut worker = Pinned::open(address, call).await?;
        worker.is_served().await?;
        let after = connections(envoy).await?;
        let fresh = before.iter().zip(&after).position(|(before, after)| after > before);
        let place = found.get_mut(fresh.context("no worker has the connection")?);
        place.context("a worker too many")?.get_or_insert(worker);
        if found.iter().all(Option::is_some) {
            return Ok(found.into_iter().flatten().collect());
        }
    }
    anyhow::bail!("not every worker of {address} gets a connection")
}

/// How many connections each worker has taken so far.
async fn connections(envoy: &Envoy) -> anyhow::Result<Vec<u64>> {
    let mut counts = Vec::new();
    for worker in 0..WORKERS {
        counts.push(envoy.stat(&format!("worker_{worker}.downstream_cx_total")).await?);
    }
    Ok(counts)
}
