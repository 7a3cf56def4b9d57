//! A line between two programs that can be cut, fall silent, slow down or garble what comes back.
//!
//! Bytes go on as they come while nothing is wrong. What is on the line when it falls silent is not lost: it goes on when
//! the line does, as TCP would have it sent again.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CHUNK: usize = 64 * 1024;
/// What is no answer in any protocol.
const GARBAGE: &[u8] = b"\x15\x03\x01\x00 not what you asked for\r\n\r\n{\"result\":\"granted\"}";

/// What becomes of connections and of what is sent over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    /// Connections break, and new ones break at once.
    Cut,
    /// Connections stay, new ones are taken, and nothing comes through: a partition that TCP does not notice.
    Silent,
    /// Whatever comes back takes so much longer.
    Slow(Duration),
    /// Whatever is asked is answered with bytes that mean nothing.
    Garbled,
}

/// What is true of a line.
#[derive(Clone, Copy, Debug)]
struct Condition {
    state: State,
    /// Connections that were made before this one hear nothing any more.
    stranded: u64,
    /// How many were made.
    made: u64,
}

impl Condition {
    fn of(&self, connection: u64) -> State {
        if connection < self.stranded { State::Silent } else { self.state }
    }
}

/// Where the line leads.
#[derive(Clone, Debug)]
pub enum End {
    Tcp(SocketAddr),
    Socket(PathBuf),
}

/// A line; dropping it breaks it.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    condition: watch::Sender<Condition>,
    task: JoinHandle<()>,
}

impl Line {
    /// Lays a line from a free port to `end`.
    pub async fn to(end: End) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let condition = watch::Sender::new(Condition { state: State::Open, stranded: 0, made: 0 });
        let seen = condition.clone();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = seen.borrow().made;
                seen.send_modify(|condition| condition.made += 1);
                let connection = Connection { number, line: seen.subscribe() };
                tokio::spawn(connect(near, end.clone(), connection));
            }
        });
        Ok(Self { address, condition, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, state: State) {
        self.condition.send_modify(|condition| condition.state = state);
    }

    /// Leaves the connections that there are for good, without a word; new ones are as good as ever. So it is when a
    /// machine vanishes and another one takes its address.
    pub fn strand(&self) {
        self.condition.send_modify(|condition| condition.stranded = condition.made);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
        self.set(State::Cut);
    }
}

/// One connection's look at the line.
#[derive(Clone, Debug)]
struct Connection {
    number: u64,
    line: watch::Receiver<Condition>,
}

impl Connection {
    fn now(&self) -> State {
        self.line.borrow().of(self.number)
    }

    /// Waits for a state that `wanted` says yes to; `None` when the line is gone.
    async fn wait_for(&mut self, wanted: impl Fn(State) -> bool) -> Option<State> {
        let number = self.number;
        let condition = self.line.wait_for(|condition| wanted(condition.of(number))).await.ok()?;
        Some(condition.of(number))
    }
}

async fn connect(mut near: TcpStream, end: End, connection: Connection) {
    let now = connection.now();
    if now == State::Cut {
        return;
    }
    if now == State::Garbled {
        let mut asked = [0; 1024];
        // Whether it is read does not matter to who sends garbage.
        let _ = near.read(&mut asked).await;
        let _ = near.write_all(GARBAGE).await;
        return;
    }
    let unreachable = |error| tracing::debug!(%error, "the far end cannot be reached");
    match end {
        End::Tcp(address) => match TcpStream::connect(address).await {
            Ok(far) => join(near, far, connection).await,
            Err(error) => unreachable(error),
        },
        End::Socket(path) => match UnixStream::connect(path).await {
            Ok(far) => join(near, far, connection).await,
            Err(error) => unreachable(error),
        },
    }
}

/// Carries both ways until either end hangs up or the line breaks.
async fn join(near: TcpStream, far: impl AsyncRead + AsyncWrite + Send, mut connection: Connection) {
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = tokio::io::split(far);
    let there = carry(&mut near_in, &mut far_out, connection.clone(), false);
    let back = carry(&mut far_in, &mut near_out, connection.clone(), true);
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = connection.wait_for(|now| matches!(now, State::Cut | State::Garbled)) => {}
    }
}

async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut connection: Connection,
    is_back: bool,
) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        let Some(now) = connection.wait_for(|now| now != State::Silent).await else { return };
        if let (State::Slow(pause), true) = (now, is_back) {
            tokio::time::sleep(pause).await;
        }
        if to.write_all(chunk.get(..length).unwrap_or_default()).await.is_err() {
            return;
        }
    }
    // One way may end before the other, and not in silence either.
    if connection.wait_for(|now| now != State::Silent).await.is_some() {
        let _ = to.shutdown().await;
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience::within;

    /// A line to something that repeats what it is told.
    async fn echo() -> (Line, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.into_split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        let line = Line::to(End::Tcp(address)).await.expect("a line");
        let stream = TcpStream::connect(line.address()).await.expect("connects");
        (line, stream)
    }

    async fn hears(stream: &mut TcpStream, wanted: &[u8]) {
        let mut heard = vec![0; wanted.len()];
        within("what was said", stream.read_exact(&mut heard)).await.expect("reads");
        assert_eq!(heard, wanted);
    }

    #[tokio::test]
    async fn what_was_said_in_silence_is_heard_after_it() {
        let (line, mut stream) = echo().await;
        stream.write_all(b"one").await.expect("says");
        hears(&mut stream, b"one").await;
        line.set(State::Silent);
        stream.write_all(b"two").await.expect("says");
        line.set(State::Slow(Duration::from_millis(1)));
        hears(&mut stream, b"two").await;
    }

    #[tokio::test]
    async fn a_cut_line_breaks_what_there_is_and_what_comes() {
        let (line, mut stream) = echo().await;
        stream.write_all(b"one").await.expect("says");
        hears(&mut stream, b"one").await;
        line.set(State::Cut);
        let mut rest = Vec::new();
        // A reset is as good an end as any.
        let _ = within("the end", stream.read_to_end(&mut rest)).await;
        assert!(rest.is_empty());
        let mut another = TcpStream::connect(line.address()).await.expect("connects");
        let _ = within("the end", another.read_to_end(&mut rest)).await;
        assert!(rest.is_empty());
    }

    #[tokio::test]
    async fn who_is_stranded_hears_nothing_and_who_comes_is_heard() {
        let (line, mut stream) = echo().await;
        stream.write_all(b"one").await.expect("says");
        hears(&mut stream, b"one").await;
        line.strand();
        stream.write_all(b"two").await.expect("says");
        let mut another = TcpStream::connect(line.address()).await.expect("connects");
        another.write_all(b"three").await.expect("says");
        hears(&mut another, b"three").await;
        let mut heard = [0; 3];
        assert!(stream.try_read(&mut heard).is_err(), "would block");
    }

    #[tokio::test]
    async fn a_garbled_line_answers_without_asking() {
        let (line, _) = echo().await;
        line.set(State::Garbled);
        let mut stream = TcpStream::connect(line.address()).await.expect("connects");
        stream.write_all(b"one").await.expect("says");
        let mut heard = Vec::new();
        within("garbage", stream.read_to_end(&mut heard)).await.expect("reads");
        assert_eq!(heard, GARBAGE);
    }
}
