//! An upstream that answers what a test tells it to, one piece at a time.
//!
//! [`ScriptedUpstream::next_request`] hands over a request that has arrived; its [`Conversation`] sends the head and
//! then each chunk when the test says so, and notices when the gateway hangs up. So a test can prove what passes
//! through before the next byte exists, without looking at a clock.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::Serving;
use super::journal::{self, Entry, Journal};
use crate::patience::within;

/// A running scripted server.
#[derive(Debug)]
pub struct ScriptedUpstream {
    pub journal: Journal,
    serving: Serving,
    arrivals: Mutex<mpsc::Receiver<Conversation>>,
}

/// One request that waits for its answer.
#[derive(Debug)]
pub struct Conversation {
    pub request: Entry,
    answer: oneshot::Sender<Response>,
}

/// The body of an answer that has begun. Dropping it ends the body.
#[derive(Debug)]
pub struct Answer {
    chunks: mpsc::Sender<Result<Bytes, Infallible>>,
}

impl ScriptedUpstream {
    pub fn start(listener: TcpListener) -> std::io::Result<Self> {
        let (inbox, arrivals) = mpsc::channel(64);
        let journal = Journal::default();
        let router = Router::new()
            .fallback(arrive)
            .with_state(inbox)
            .layer(middleware::from_fn_with_state(journal.clone(), journal::record));
        let serving = Serving::start(listener, router)?;
        Ok(Self { journal, serving, arrivals: Mutex::new(arrivals) })
    }

    pub fn url(&self) -> String {
        format!("http://{}/scripted/mcp?tenant=7", self.serving.address)
    }

    /// Waits for the next request.
    ///
    /// # Panics
    /// If the server has ended.
    pub async fn next_request(&self) -> Conversation {
        let mut arrivals = self.arrivals.lock().await;
        within("a request to the upstream", arrivals.recv()).await.expect("the scripted upstream runs")
    }
}

impl Conversation {
    /// Sends status and headers, and leaves the body to the [`Answer`].
    ///
    /// # Panics
    /// On a malformed head, or if the gateway has hung up.
    pub fn begin(self, status: u16, headers: &[(&str, &str)]) -> Answer {
        self.begin_bytes(status, headers)
    }

    /// [`Self::begin`] with values that need not be text.
    ///
    /// # Panics
    /// As that.
    pub fn begin_bytes(self, status: u16, headers: &[(&str, impl AsRef<[u8]>)]) -> Answer {
        let (chunks, body) = mpsc::channel(1);
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, value.as_ref());
        }
        let response = response.body(Body::from_stream(ReceiverStream::new(body))).expect("a sound head");
        self.answer.send(response).expect("the gateway waits for the answer");
        Answer { chunks }
    }

    /// Sends a whole answer.
    ///
    /// # Panics
    /// As [`Self::begin`].
    pub async fn answer(self, status: u16, headers: &[(&str, &str)], body: &str) {
        self.begin(status, headers).send(body).await;
    }

    /// Sends a JSON answer with status 200.
    ///
    /// # Panics
    /// As [`Self::begin`].
    pub async fn json(self, body: &serde_json::Value) {
        self.answer(200, &[("content-type", "application/json")], &body.to_string()).await;
    }

    /// Begins an event stream.
    ///
    /// # Panics
    /// As [`Self::begin`].
    pub fn events(self) -> Answer {
        self.begin(200, &[("content-type", "text/event-stream"), ("cache-control", "no-cache")])
    }

    /// Waits until the gateway has hung up without waiting for an answer.
    pub async fn abandoned(&mut self) {
        self.answer.closed().await;
    }
}

impl Answer {
    /// Sends text as it is.
    ///
    /// # Panics
    /// If the gateway has hung up.
    pub async fn send(&self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    /// Sends bytes as they are, perhaps parts of characters.
    ///
    /// # Panics
    /// If the gateway has hung up.
    pub async fn send_bytes(&self, bytes: &[u8]) {
        self.chunks.send(Ok(Bytes::copy_from_slice(bytes))).await.expect("the gateway reads");
    }

    /// Sends bytes to a gateway that may not want them; `false` once it has hung up.
    pub async fn offer(&self, bytes: &[u8]) -> bool {
        self.chunks.send(Ok(Bytes::copy_from_slice(bytes))).await.is_ok()
    }

    /// Sends one event that carries `message`.
    ///
    /// # Panics
    /// As [`Self::send`].
    pub async fn event(&self, message: &serde_json::Value) {
        self.send(&format!("event: message\ndata: {message}\n\n")).await;
    }

    /// [`Self::event`] to a gateway that may have hung up; whether it still reads.
    pub async fn try_event(&self, message: &serde_json::Value) -> bool {
        let event = format!("event: message\ndata: {message}\n\n");
        self.chunks.send(Ok(Bytes::from(event))).await.is_ok()
    }

    /// Waits until the gateway has hung up.
    pub async fn abandoned(&self) {
        self.chunks.closed().await;
    }
}

async fn arrive(State(inbox): State<mpsc::Sender<Conversation>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (answer, response) = oneshot::channel();
    let conversation = Conversation { request: journal::entry(&parts, &body), answer };
    if inbox.send(conversation).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    response.await.unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mcp::{Agent, Era};

    #[tokio::test]
    async fn each_event_is_out_before_the_next_is_written() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let upstream = ScriptedUpstream::start(listener).expect("starts");
        let agent = Agent::new(upstream.url(), None, Era::Modern);
        let client = async {
            let request = agent.post(&agent.message("tools/list", json!({})));
            agent.stream(request).await
        };
        let server = async { upstream.next_request().await.events() };
        let (mut stream, answer) = tokio::join!(client, server);
        for number in 0..3 {
            answer.event(&json!({"number": number})).await;
            assert_eq!(stream.next_message().await["number"], number);
        }
        drop(stream);
        answer.abandoned().await;
    }
}
