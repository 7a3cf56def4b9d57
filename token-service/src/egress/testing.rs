//! Real listeners and a resolver that answers as told, for tests of what goes out.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use super::{EgressPolicy, EgressRequest, Resolve};

/// What a server does once its answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Close,
    /// Leaves the connection open and silent.
    Hold,
    /// Writes the answer again and again.
    Repeat,
}

/// Answers every connection with the same bytes and remembers what it was sent.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// One entry for each connection: its request as far as it was read.
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::serve(move |stream, seen| {
            let answer = Arc::clone(&answer);
            async move {
                let _ = converse(stream, &seen, &answer, then).await;
            }
        })
        .await
    }

    pub(crate) async fn serve<F: Future<Output = ()> + Send + 'static>(
        handle: impl Fn(tokio::net::TcpStream, Arc<Mutex<Vec<String>>>) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(handle(stream, Arc::clone(&all)));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().expect("not poisoned").len()
    }

    pub(crate) fn url(&self, host: &str) -> Url {
        Url::parse(&format!("http://{host}:{}/path?query", self.address.port())).expect("a URL")
    }
}

/// Reads a request up to the end of its headers, and answers it.
pub(crate) async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<String>>,
    answer: &[u8],
    then: Then,
) -> io::Result<()> {
    let index = {
        let mut seen = seen.lock().expect("not poisoned");
        seen.push(String::new());
        seen.len() - 1
    };
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    seen.lock().expect("not poisoned")[index] = String::from_utf8_lossy(&request).into_owned();
    stream.write_all(answer).await?;
    match then {
        Then::Close => stream.shutdown().await,
        Then::Hold => std::future::pending().await,
        Then::Repeat => loop {
            stream.write_all(answer).await?;
        },
    }
}

/// Gives one answer after the other, the last one for ever, whatever the name.
#[derive(Debug)]
pub(crate) struct Answers(Mutex<VecDeque<Vec<IpAddr>>>);

impl Answers {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parsed =
            answers.iter().map(|answer| answer.iter().map(|text| text.parse().expect("an IP")).collect());
        Arc::new(Self(Mutex::new(parsed.collect())))
    }

    pub(crate) fn left(&self) -> usize {
        self.0.lock().expect("not poisoned").len()
    }
}

#[async_trait::async_trait]
impl Resolve for Answers {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().expect("not poisoned");
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        answer.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

pub(crate) fn development() -> EgressPolicy {
    EgressPolicy { development_loopback: true, ..EgressPolicy::default() }
}

pub(crate) fn get(url: Url) -> EgressRequest {
    let (method, limit) = (axum::http::Method::GET, 1000);
    EgressRequest {
        method,
        url,
        headers: axum::http::HeaderMap::new(),
        body: axum::body::Bytes::new(),
        limit,
    }
}
