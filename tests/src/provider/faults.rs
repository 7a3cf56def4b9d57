//! What goes wrong at a provider, when a test says so.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use tokio::sync::watch;
use url::form_urlencoded;

use super::ledger::{Event, Ledger};

/// Of a request, in bytes.
const MOST_ECHOED: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Metadata,
    Register,
    Authorize,
    Token,
    Revoke,
    Userinfo,
}

/// What becomes of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not handled: this status with a plain text, and `Retry-After: 1` for 429 and 503.
    Status(u16),
    /// Not handled: 200 with a page, as a captive portal would.
    Html,
    /// Not handled: this JSON text with this status.
    Json(u16, &'static str),
    /// Not handled: an OAuth error with this status and code, that repeats the whole request.
    Echo(u16, &'static str),
    /// Handled after this long.
    Slow(Duration),
    /// Handled, and the connection breaks before the answer is whole.
    LoseAnswer,
    /// Not handled: the connection breaks.
    Break,
}

/// The faults to come, and the requests held. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    queues: Arc<Mutex<HashMap<Endpoint, VecDeque<Fault>>>>,
    gates: Arc<Mutex<HashMap<Endpoint, Gate>>>,
}

#[derive(Clone, Debug)]
struct Gate {
    open: watch::Receiver<bool>,
    arrived: watch::Sender<usize>,
}

/// Requests to one endpoint wait while this lives.
#[derive(Debug)]
pub struct Hold {
    open: watch::Sender<bool>,
    arrived: watch::Receiver<usize>,
}

impl Hold {
    /// Waits until `count` requests have arrived.
    ///
    /// # Panics
    /// If the provider has ended.
    pub async fn arrived(&mut self, count: usize) {
        self.arrived.wait_for(|arrived| *arrived >= count).await.expect("the provider runs");
    }

    /// How many have arrived so far.
    pub fn count(&self) -> usize {
        *self.arrived.borrow()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.open.send_replace(true);
    }
}

impl Faults {
    pub(super) fn add(&self, endpoint: Endpoint, faults: impl IntoIterator<Item = Fault>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(endpoint).or_default().extend(faults);
    }

    pub(super) fn hold(&self, endpoint: Endpoint) -> Hold {
        let (open, is_open) = watch::channel(false);
        let (arrived, count) = watch::channel(0);
        let gate = Gate { open: is_open, arrived };
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint, gate);
        Hold { open, arrived: count }
    }

    pub(super) fn forget(&self, endpoint: Endpoint) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).remove(&endpoint);
    }

    fn next(&self, endpoint: Endpoint) -> Option<Fault> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&endpoint)?.pop_front()
    }

    async fn pass_gate(&self, endpoint: Endpoint) {
        let gate = self.gates.lock().unwrap_or_else(PoisonError::into_inner).get(&endpoint).cloned();
        if let Some(mut gate) = gate {
            gate.arrived.send_modify(|count| *count += 1);
            // A hold that is gone lets everybody through.
            let _ = gate.open.wait_for(|open| *open).await;
        }
    }
}

/// Middleware of one endpoint.
pub(super) async fn spoil(
    State((endpoint, faults, ledger)): State<(Endpoint, Faults, Ledger)>,
    request: Request,
    next: Next,
) -> Response {
    faults.pass_gate(endpoint).await;
    let Some(fault) = faults.next(endpoint) else { return next.run(request).await };
    let response = match &fault {
        Fault::Status(status) => refusing(*status),
        Fault::Html => Html("<title>Sign in to the network</title>").into_response(),
        Fault::Json(status, text) => json(*status, text),
        Fault::Echo(status, error) => echo(*status, error, request).await,
        Fault::Slow(pause) => {
            tokio::time::sleep(*pause).await;
            next.run(request).await
        }
        Fault::LoseAnswer => {
            next.run(request).await;
            broken()
        }
        Fault::Break => broken(),
    };
    ledger.add(Event::Fault { endpoint, fault });
    response
}

fn refusing(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, "not now").into_response();
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn json(status: u16, text: &'static str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// The request's authorization and form as they came, and undone of their encodings.
async fn echo(status: u16, error: &str, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let shown = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let form = to_bytes(body, MOST_ECHOED).await.unwrap_or_default();
    let fields: Vec<(String, String)> = form_urlencoded::parse(&form).into_owned().collect();
    let words = format!("you sent {shown:?}, {} and {fields:?}", String::from_utf8_lossy(&form));
    let body = serde_json::json!({"error": error, "error_description": words, "sent": fields});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, Json(body)).into_response()
}

/// The body fails, and the connection with it; the head may be out by then or not.
fn broken() -> Response {
    let body = tokio_stream::once(Err::<Bytes, _>(std::io::Error::other("broken on purpose")));
    Body::from_stream(body).into_response()
}
