//! One request from its first header to its last byte, as a state machine without IO.
//!
//! ```text
//!  New ──headers──► Judging ──verdict──► Forwarded ──response──► …
//!                      │ refused            │ response refused
//!                      └──────► Closed ◄────┘
//! ```
//!
//! [`judging`] decides about the request, [`answering`] about the response. An exchange is woken when something that
//! it waited for has come, and then simply looks at everything again: deciding twice costs two look-ups and leaves no
//! half-remembered verdict behind.

mod answering;
mod forward;
mod head;
mod judging;
mod record;

use portcullis_wire::watch::VerificationKey;

use self::answering::Forwarded;
use self::judging::{Judging, Progress};
use self::record::Record;
use crate::reply::LocalReply;
use crate::step::{Headers, ResponseChunk, ResponseHead, Step};
use crate::worker::Worker;

/// Checks signatures; the shell has the host's fast function and the pure-Rust fallback.
pub trait SignatureVerifier {
    /// Whether `token` (a compact JWS whose header and claims the core has already judged) is signed by `key`.
    fn verify(&self, token: &str, key: &VerificationKey) -> bool;
}

/// What the core may ask of its surroundings during an event.
pub struct Surroundings<'a> {
    /// Milliseconds since the epoch.
    pub now_ms: u64,
    pub verifier: &'a dyn SignatureVerifier,
}

/// Reads the buffered request body from the host.
pub type ReadBody<'a> = &'a dyn Fn() -> Option<Vec<u8>>;

/// One request.
#[derive(Debug)]
pub struct Exchange {
    stream: u32,
    state: State,
    record: Record,
}

#[derive(Debug)]
enum State {
    New,
    Judging(Box<Judging>),
    Forwarded(Box<Forwarded>),
    /// Answered by the gateway, or over.
    Closed,
}

impl Exchange {
    /// `stream` is the host's context id, which [`crate::step::Effect::Wake`] names.
    pub fn new(stream: u32) -> Self {
        Self { stream, state: State::New, record: Record::default() }
    }

    pub fn on_request_headers(
        &mut self,
        worker: &mut Worker,
        headers: Headers,
        end_of_stream: bool,
        around: &Surroundings<'_>,
    ) -> Step {
        match Judging::begin(headers, end_of_stream, worker, &mut self.record) {
            Ok(judging) => {
                self.state = State::Judging(Box::new(judging));
                self.advance(worker, &|| None, around)
            }
            Err(reply) => self.close(reply),
        }
    }

    /// `size` is all that is buffered so far; `body` reads it and is asked at most once, when it is complete and
    /// everything else is decided.
    pub fn on_request_body(
        &mut self,
        worker: &mut Worker,
        size: usize,
        end_of_stream: bool,
        body: ReadBody<'_>,
        around: &Surroundings<'_>,
    ) -> Step {
        let State::Judging(judging) = &mut self.state else { return Step::Done };
        match judging.on_body(size, end_of_stream, worker) {
            Err(reply) => self.close(reply),
            Ok(()) if end_of_stream => self.advance(worker, body, around),
            Ok(()) => Step::Wait,
        }
    }

    /// Goes on after [`crate::step::Effect::Wake`].
    pub fn resume(&mut self, worker: &mut Worker, body: ReadBody<'_>, around: &Surroundings<'_>) -> Step {
        self.advance(worker, body, around)
    }

    fn advance(&mut self, worker: &mut Worker, body: ReadBody<'_>, around: &Surroundings<'_>) -> Step {
        let State::Judging(judging) = &mut self.state else { return Step::Done };
        match judging.decide(self.stream, worker, &mut self.record, body, around) {
            Ok(Progress::Waiting) => Step::Wait,
            Ok(Progress::Released(headers, forwarded)) => {
                self.record.allowed();
                self.state = State::Forwarded(forwarded);
                Step::Forward(headers)
            }
            Err(reply) => self.close(reply),
        }
    }

    fn close(&mut self, reply: LocalReply) -> Step {
        self.state = State::Closed;
        self.record.refused(&reply);
        // What the gateway says itself holds no secret, so it is logged whatever the server's payload policy.
        self.record.set("response", String::from_utf8_lossy(&reply.body));
        Step::Reply(reply)
    }

    pub fn on_response_headers(
        &mut self,
        worker: &Worker,
        headers: &Headers,
        end_of_stream: bool,
    ) -> ResponseHead {
        let State::Forwarded(forwarded) = &mut self.state else { return ResponseHead::Keep };
        let head = forwarded.on_headers(worker, headers, end_of_stream);
        if let ResponseHead::Reply(reply) = &head {
            self.record.response_refused(reply);
            self.state = State::Closed;
        }
        head
    }

    /// Whether the shell has to read this response's body at all.
    pub fn wants_response_body(&self) -> bool {
        matches!(self.state, State::Forwarded(_))
    }

    pub fn on_response_body(&mut self, chunk: &[u8], end_of_stream: bool) -> ResponseChunk {
        let State::Forwarded(forwarded) = &mut self.state else { return ResponseChunk::Keep };
        let chunk = forwarded.on_body(chunk, end_of_stream);
        if end_of_stream {
            forwarded.report(&mut self.record);
        }
        chunk
    }

    /// The head to send in place of one that [`ResponseHead::Hold`] holds back, after a chunk of the body that ends the
    /// wait; `None` as long as it lasts, and for heads that are not held.
    pub fn take_response_head(&mut self) -> Option<Headers> {
        let State::Forwarded(forwarded) = &mut self.state else { return None };
        forwarded.take_head()
    }

    /// The fields of the access-log record that are new or changed since the last call: filter-state keys (without
    /// the `portcullis.` prefix) and values.
    pub fn take_record(&mut self) -> Vec<(&'static str, String)> {
        self.record.take()
    }

    /// The stream is over, complete or not; records what is known of it and forgets it in the worker.
    pub fn on_done(&mut self, worker: &mut Worker) {
        worker.forget(self.stream);
        if let State::Forwarded(forwarded) = &self.state {
            forwarded.report(&mut self.record);
        }
        self.state = State::Closed;
    }
}
