//! One watch on one connection.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use portcullis_filter_core::step::{CallOutcome, Headers};
use portcullis_filter_core::watch::{News, Watch};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How often is looked whether the next poll is due, where it is not due at once.
const TICK: Duration = Duration::from_millis(50);

/// Longer than any filter bears silence in what is measured here.
const STALENESS_BUDGET_MS: u64 = 300_000;

pub(super) struct Watcher {
    watch: Watch,
    stream: Option<TcpStream>,
    polls: u64,
}

impl Watcher {
    pub(super) fn new(filter: String) -> Self {
        Self { watch: Watch::new(filter, STALENESS_BUDGET_MS), stream: None, polls: 0 }
    }

    pub(super) async fn connect(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// One poll: what it brought and when, and whether that was later than the filter would have waited.
    pub(super) async fn poll(&mut self) -> anyhow::Result<(News, Instant, bool)> {
        self.polls += 1;
        let poll = loop {
            if let Some(poll) = self.watch.due(now_ms()?, self.polls) {
                break poll;
            }
            tokio::time::sleep(TICK).await;
        };
        let stream = self.stream.as_mut().context("no connection")?;
        // As Envoy writes what the filter sends.
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: token-service\r\naccept: application/json\r\nx-envoy-internal: true\r\n\
             x-envoy-expected-rq-timeout-ms: {}\r\n\r\n",
            poll.path_with_query, poll.timeout_ms
        );
        let sent_ms = now_ms()?;
        stream.write_all(request.as_bytes()).await?;
        let (headers, body) = read(stream).await?;
        // What a filter does with it is another figure.
        let (at, now_ms) = (Instant::now(), now_ms()?);
        let is_late = now_ms.saturating_sub(sent_ms) > poll.timeout_ms;
        let news = self.watch.on_reply(self.polls, CallOutcome::Replied { headers, body }, now_ms);
        let news = news.context("the poll is not known")?.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        Ok((news, at, is_late))
    }
}

/// A reply with a length.
async fn read(stream: &mut TcpStream) -> anyhow::Result<(Headers, Vec<u8>)> {
    // Made when there is something to read: thousands of watches wait here.
    stream.readable().await?;
    let mut received = Vec::with_capacity(512);
    let end = loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        ensure!(stream.read_buf(&mut received).await? > 0, "the connection was closed");
    };
    let head = std::str::from_utf8(received.get(..end).unwrap_or_default())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("a status line")?;
    let mut headers: Headers = vec![(b":status".to_vec(), status.into())];
    let mut length = None;
    for line in lines {
        let (name, value) = line.split_once(": ").context("a header")?;
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse::<usize>()?);
        }
        headers.push((name.to_ascii_lowercase().into(), value.into()));
    }
    let Some(length) = length else { bail!("a reply without a length: {head}") };
    let mut body = received.split_off(end + 4);
    let missing = length.checked_sub(body.len()).context("more than one reply")?;
    let have = body.len();
    body.resize(have + missing, 0);
    stream.read_exact(body.get_mut(have..).unwrap_or_default()).await?;
    Ok((headers, body))
}

#[expect(clippy::disallowed_methods, reason = "the shell of a filter, which asks the system for the time")]
fn now_ms() -> anyhow::Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}
