//! A server that takes as little as possible: it has its answers ready and chooses by the path.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::http::{Head, is_complete};

/// Answers by the first part of the path.
pub type Answers = BTreeMap<&'static str, Vec<u8>>;

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Upstream {
    pub address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Upstream {
    pub async fn start(answers: Answers) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let answers = Arc::new(answers);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&answers)));
            }
        });
        Ok(Self { address, _serving: serving })
    }
}

/// Until the client hangs up.
async fn serve(mut stream: TcpStream, answers: Arc<Answers>) {
    if let Err(error) = serve_all(&mut stream, &answers).await {
        tracing::debug!(%error, "a connection of the bench's server has ended");
    }
}

async fn serve_all(stream: &mut TcpStream, answers: &Answers) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(64 * 1024);
    loop {
        received.clear();
        let head = loop {
            if stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
            if let Some(head) = Head::find(&received)?.filter(|head| is_complete(head, &received)) {
                break head;
            }
        };
        let path = head.first_line(&received).split(' ').nth(1).context("a path")?.to_owned();
        let name = path.split('/').nth(1).unwrap_or_default();
        let body = received.get(head.length..).unwrap_or_default();
        let shakes_hands = body.windows(12).take(4096).any(|window| window == b"\"initialize\"");
        let name = if shakes_hands { INITIALIZE } else { name };
        let answer = answers.get(name).with_context(|| format!("no answer for {path}"))?;
        stream.write_all(answer).await?;
    }
}

/// Under this name is the answer to `initialize`.
pub const INITIALIZE: &str = "initialize";

/// A response with a JSON body.
pub fn json(message: &Value, headers: &str) -> Vec<u8> {
    let body = message.to_string();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A response that streams each message as an event, in a chunk of its own.
pub fn events<'a>(messages: impl Iterator<Item = &'a Value>) -> Vec<u8> {
    let mut response =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for message in messages {
        let event = format!("event: message\ndata: {message}\n\n");
        let _ = write!(response, "{:x}\r\n{event}\r\n", event.len());
    }
    response.push_str("0\r\n\r\n");
    response.into_bytes()
}

/// A tool's answer of about 300 bytes.
pub fn small() -> Value {
    let text = "An issue about logins that time out behind the company's proxy, reported by three people. "
        .repeat(2);
    result(json!({"content": [{"type": "text", "text": text}], "isError": false}))
}

/// 200 tools of about 500 bytes, half of which policy hides.
pub fn tools() -> Value {
    let tools: Vec<Value> = (0..200).map(tool).collect();
    result(json!({"tools": tools, "ttlMs": 60_000, "cacheScope": "private"}))
}

fn tool(number: u32) -> Value {
    let prefix = if number.is_multiple_of(2) { "search" } else { "hidden" };
    let text =
        "Finds what matches the words of the query in titles, descriptions and comments, newest first. ";
    let words = json!({"type": "string", "description": "Words, all of which have to be there."});
    let limit = json!({"type": "integer", "minimum": 1, "maximum": 100, "description": "How many at most."});
    json!({
        "name": format!("{prefix}_issues_{number}"),
        "description": text.repeat(2),
        "inputSchema": {"type": "object", "properties": {"query": words, "limit": limit}, "required": ["query"]},
    })
}

/// What a long task tells of its progress, and its result.
pub fn progress(count: u32) -> Vec<Value> {
    let told = (1..=count).map(|done| {
        let params = json!({"progressToken": "bench", "progress": done, "total": count});
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    });
    told.chain([small()]).collect()
}

pub fn result(mut result: Value) -> Value {
    result["resultType"] = json!("complete");
    json!({"jsonrpc": "2.0", "id": 1, "result": result})
}
