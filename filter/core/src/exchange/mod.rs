//! One request from its first header to its last byte, as a state machine without IO.
//!
//! ```text
//!  New ──headers──► Judging ──verdict──► Forwarded ──response──► …
//!                      │ refused            │    │ the credential is refused
//!                      │   response refused │    ▼
//!                      │                    │  Renewing
//!                      └──────► Closed ◄────┴────┘ answered
//! ```
//!
//! [`judging`] decides about the request, [`answering`] about the response, and [`renewing`] sends a request once more
//! if the upstream refuses a credential that can be renewed. An exchange is woken when something that
//! it waited for has come, and then simply looks at everything again: deciding twice costs two look-ups and leaves no
//! half-remembered verdict behind.

mod answering;
mod asker;
mod cors;
mod forward;
mod head;
mod judging;
mod limits;
mod message;
mod record;
mod refusals;
mod releasing;
mod renewing;

use portcullis_wire::watch::VerificationKey;

use self::answering::Forwarded;
use self::cors::Cors;
use self::judging::{Judging, Progress};
use self::record::Record;
use self::refusals::{try_again, wrong_source};
use self::releasing::Release;
use self::renewing::{Outcome, Renewing};
use crate::leases::Access;
use crate::origin::SourceFault;
use crate::reply::LocalReply;
use crate::response::headers::CredentialRefusal;
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
    /// The client's address, asked of the host only where it matters; `None` if it does not say.
    pub source: &'a dyn Fn() -> Option<String>,
}

/// Reads the buffered request body from the host.
pub type ReadBody<'a> = &'a dyn Fn() -> Option<Vec<u8>>;

/// Milliseconds since the epoch, asked of the host only where they are needed; `None` if it does not say.
pub type Clock<'a> = &'a dyn Fn() -> Option<u64>;

/// One request.
#[derive(Debug)]
pub struct Exchange {
    stream: u32,
    state: State,
    record: Record,
    cors: Cors,
}

#[derive(Debug)]
enum State {
    New,
    Judging(Box<Judging>),
    Forwarded(Box<Forwarded>),
    /// Let go, refused for its credential, and to be answered otherwise.
    Renewing(Box<Renewing>),
    /// Answered by the gateway, or over.
    Closed,
}

impl Exchange {
    /// `stream` is the host's context id, which [`crate::step::Effect::Wake`] names.
    pub fn new(stream: u32) -> Self {
        Self { stream, state: State::New, record: Record::default(), cors: Cors::default() }
    }

    pub fn on_request_headers(
        &mut self,
        worker: &mut Worker,
        headers: Headers,
        end_of_stream: bool,
        around: &Surroundings<'_>,
    ) -> Step {
        self.record.begin(around.now_ms);
        let source = worker.config().allowed.judge(&headers);
        self.cors = Cors::of(source);
        let source = source.map(|_| ());
        if cors::is_preflight(&headers) {
            return self.answer_preflight(&headers, source);
        }
        match Judging::begin(headers, end_of_stream, source, worker, &mut self.record) {
            Ok(judging) => {
                self.state = State::Judging(Box::new(judging));
                self.advance(worker, &|| None, around)
            }
            Err(reply) => self.close(reply),
        }
    }

    /// A browser wants to know whether it may send a request. The answer is the same for all paths.
    fn answer_preflight(&mut self, headers: &Headers, source: Result<(), SourceFault>) -> Step {
        let Some(reply) = self.cors.preflight(headers) else {
            return self.close(wrong_source(source.err().unwrap_or(SourceFault::Origin)));
        };
        self.state = State::Closed;
        self.record.preflight();
        Step::Reply(reply)
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
        let judging = match &mut self.state {
            State::Judging(judging) => judging,
            State::Renewing(_) => return self.renew(worker, around.now_ms),
            State::New | State::Forwarded(_) | State::Closed => return Step::Done,
        };
        match judging.decide(self.stream, worker, &mut self.record, body, around) {
            Ok(Progress::Waiting) => Step::Wait,
            Ok(Progress::Released(release)) => self.release(*release),
            Err(reply) => self.close(reply),
        }
    }

    fn release(&mut self, release: Release) -> Step {
        let Release { headers, body, mut forwarded, kept } = release;
        match forwarded.access() {
            Access::Granted(_) => self.record.allowed(),
            Access::ConnectRequired(_) => self.record.connect_required(),
        }
        if let (State::Judging(judging), Some(kept)) =
            (std::mem::replace(&mut self.state, State::Closed), kept)
        {
            forwarded.renewable = Some(judging.into_renewable(kept));
        }
        self.state = State::Forwarded(Box::new(forwarded));
        Step::Forward { headers, body }
    }

    fn renew(&mut self, worker: &mut Worker, now_ms: u64) -> Step {
        let State::Renewing(renewing) = &mut self.state else { return Step::Done };
        match renewing.advance(self.stream, worker, &mut self.record, now_ms) {
            Outcome::Waiting => Step::Wait,
            Outcome::Refused(reply) => self.close(reply),
            Outcome::Answered(reply) => {
                self.state = State::Closed;
                Step::Reply(self.cors.mark_reply(reply))
            }
        }
    }

    fn close(&mut self, reply: LocalReply) -> Step {
        self.state = State::Closed;
        self.record.refused(&reply);
        // What the gateway says itself holds no secret, so it is logged whatever the server's payload policy.
        self.record.set("response", String::from_utf8_lossy(&reply.body));
        Step::Reply(self.cors.mark_reply(reply))
    }

    pub fn on_response_headers(
        &mut self,
        worker: &mut Worker,
        headers: &Headers,
        end_of_stream: bool,
        clock: Clock<'_>,
    ) -> ResponseHead {
        let State::Forwarded(forwarded) = &mut self.state else { return ResponseHead::Keep };
        if let Some(refusal) = forwarded.refused_credential(headers) {
            return self.begin_renewal(refusal, worker, clock);
        }
        match forwarded.on_headers(worker, headers, end_of_stream) {
            ResponseHead::Reply(reply) => {
                self.record.response_refused(&reply);
                self.state = State::Closed;
                ResponseHead::Reply(self.cors.mark_reply(reply))
            }
            ResponseHead::Replace(mut headers) => {
                self.cors.mark(&mut headers);
                ResponseHead::Replace(headers)
            }
            head => head,
        }
    }

    fn begin_renewal(
        &mut self,
        refusal: CredentialRefusal,
        worker: &mut Worker,
        clock: Clock<'_>,
    ) -> ResponseHead {
        let renewing = match std::mem::replace(&mut self.state, State::Closed) {
            State::Forwarded(forwarded) => Renewing::begin(*forwarded, refusal),
            _ => None,
        };
        let step = match (renewing, clock()) {
            (Some(renewing), Some(now_ms)) => {
                self.state = State::Renewing(Box::new(renewing));
                self.renew(worker, now_ms)
            }
            _ => self.close(try_again(None)),
        };
        match step {
            Step::Reply(reply) => ResponseHead::Reply(reply),
            Step::Wait | Step::Forward { .. } | Step::Done => ResponseHead::Hold,
        }
    }

    /// Whether nothing of this response may go on, not even its end: another answer is on its way.
    pub fn withholds_response(&self) -> bool {
        matches!(self.state, State::Renewing(_))
    }

    pub fn on_response_body(&mut self, chunk: &[u8], end_of_stream: bool) -> ResponseChunk {
        let forwarded = match &mut self.state {
            State::Forwarded(forwarded) => forwarded,
            State::Renewing(_) => return ResponseChunk::Replace(Vec::new()),
            State::New | State::Judging(_) | State::Closed => return ResponseChunk::Keep,
        };
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
        let mut head = forwarded.take_head()?;
        self.cors.mark(&mut head);
        Some(head)
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
