//! HTTP/1.1 byte by byte, for what no HTTP library would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::patience::within;

/// An open connection.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    /// Received and not yet read.
    buffer: Vec<u8>,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct RawResponse {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without the chunked coding.
    pub body: Vec<u8>,
}

impl RawResponse {
    /// The first value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl RawConnection {
    /// # Panics
    /// If nobody listens there.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        // What is sent in pieces goes in pieces.
        stream.set_nodelay(true).expect("an open connection");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes as they are. The peer may have hung up already, which the response then shows.
    pub async fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes).await {
            tracing::debug!(%error, "the peer has hung up");
        }
    }

    /// Reads one response, interim ones (1xx) skipped. `None` if the peer hangs up without one.
    ///
    /// # Panics
    /// If the response is malformed or does not come.
    pub async fn response(&mut self) -> Option<RawResponse> {
        within("a response", async {
            loop {
                let (status, headers) = self.head().await?;
                if status >= 200 {
                    let body = self.body(status, &headers).await;
                    return Some(RawResponse { status, headers, body });
                }
            }
        })
        .await
    }

    async fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if !self.fill().await {
                assert!(self.buffer.is_empty(), "half a head: {:?}", String::from_utf8_lossy(&self.buffer));
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|text| text.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some((status.expect("a status line"), headers))
    }

    async fn body(&mut self, status: u16, headers: &[(String, String)]) -> Vec<u8> {
        let header =
            |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if status == 204 || status == 304 {
            return Vec::new();
        }
        if header("transfer-encoding").is_some() {
            return self.chunks().await;
        }
        if let Some(length) = header("content-length") {
            return self.take(length.parse().expect("a length")).await;
        }
        while self.fill().await {}
        std::mem::take(&mut self.buffer)
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            let size = size.expect("a chunk size");
            if size == 0 {
                self.line().await;
                return body;
            }
            body.extend(self.take(size).await);
            self.line().await;
        }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            assert!(self.fill().await, "the peer has hung up in a body");
        }
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.fill().await, "the peer has hung up in a body");
        }
        self.buffer.drain(..length).collect()
    }

    /// Whether there was more to read. A reset counts as a hang-up.
    async fn fill(&mut self) -> bool {
        self.stream.read_buf(&mut self.buffer).await.is_ok_and(|count| count > 0)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
