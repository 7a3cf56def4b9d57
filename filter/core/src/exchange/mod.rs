//! One request from its first header to its last byte, as a state machine without IO.

use portcullis_wire::watch::VerificationKey;

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

/// One request.
#[derive(Debug)]
pub struct Exchange {
    stream: u32,
}

impl Exchange {
    /// `stream` is the host's context id, which [`crate::step::Effect::Wake`] names.
    pub fn new(stream: u32) -> Self {
        Self { stream }
    }

    pub fn on_request_headers(
        &mut self,
        worker: &mut Worker,
        headers: Headers,
        end_of_stream: bool,
        around: &Surroundings<'_>,
    ) -> Step {
        let _ = (self.stream, worker, headers, end_of_stream, around);
        Step::Wait
    }

    /// `size` is all that is buffered so far; `body` reads it and is asked at most once, when it is complete and
    /// everything else is decided.
    pub fn on_request_body(
        &mut self,
        worker: &mut Worker,
        size: usize,
        end_of_stream: bool,
        body: &dyn Fn() -> Option<Vec<u8>>,
        around: &Surroundings<'_>,
    ) -> Step {
        let _ = (worker, size, end_of_stream, body, around);
        Step::Wait
    }

    /// Goes on after [`crate::step::Effect::Wake`].
    pub fn resume(
        &mut self,
        worker: &mut Worker,
        body: &dyn Fn() -> Option<Vec<u8>>,
        around: &Surroundings<'_>,
    ) -> Step {
        let _ = (worker, body, around);
        Step::Wait
    }

    pub fn on_response_headers(
        &mut self,
        worker: &Worker,
        headers: &Headers,
        end_of_stream: bool,
    ) -> ResponseHead {
        let _ = (worker, headers, end_of_stream);
        ResponseHead::Keep
    }

    /// Whether the shell has to read this response's body at all.
    pub fn wants_response_body(&self) -> bool {
        false
    }

    pub fn on_response_body(&mut self, worker: &Worker, chunk: &[u8], end_of_stream: bool) -> ResponseChunk {
        let _ = (worker, chunk, end_of_stream);
        ResponseChunk::Keep
    }

    /// The fields of the access-log record that are new or changed since the last call: filter-state keys (without
    /// the `portcullis.` prefix) and values.
    pub fn take_record(&mut self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The stream is over; forget it.
    pub fn on_done(&mut self, worker: &mut Worker) {
        let _ = worker;
    }
}
