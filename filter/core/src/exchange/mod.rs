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
//! Where headers cannot wait for their body, they go before the verdict; see [`parting`].
//!
//! [`judging`] decides about the request, [`answering`] about the response, and [`renewing`] sends a request once more
//! if the upstream refuses a credential that can be renewed. An exchange is woken when something that
//! it waited for has come, and then simply looks at everything again: deciding twice costs two look-ups and leaves no
//! half-remembered verdict behind.

mod admission;
mod answering;
mod asker;
mod cors;
mod ending;
mod forward;
mod head;
mod judging;
mod limits;
mod measured;
mod message;
mod parting;
mod record;
mod refusals;
mod releasing;
mod renewing;
mod responding;
mod standing;

use portcullis_wire::watch::VerificationKey;

use self::answering::Forwarded;
use self::cors::Cors;
pub use self::ending::HostEnd;
use self::ending::{Ended, Reached};
use self::judging::{Judging, Progress};
pub use self::measured::Times;
use self::record::Record;
use self::refusals::{changed_meanwhile, wrong_source};
use self::releasing::Release;
use self::renewing::{Outcome, Renewing};
use crate::config::{BodyGate, OtherPaths};
use crate::leases::Access;
use crate::origin::SourceFault;
use crate::path;
use crate::reply::LocalReply;
use crate::shared::SharedData;
use crate::step::{Headers, Step};
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
    /// What this Envoy's workers have in common; asked only where something is limited.
    pub shared: &'a dyn SharedData,
}

/// Reads the buffered request body from the host.
pub type ReadBody<'a> = &'a dyn Fn() -> Option<Vec<u8>>;

/// The surroundings, looked at only where they are needed; `None` if the host does not give the time.
pub type Around<'a> = &'a dyn Fn() -> Option<Surroundings<'a>>;

/// What the names of the gateway's own headers begin with.
const OWN_PREFIX: &[u8] = b"x-portcullis-";

/// One request.
#[derive(Debug)]
pub struct Exchange {
    stream: u32,
    gate: BodyGate,
    state: State,
    record: Record,
    cors: Cors,
    /// The answer is an error that may be Envoy's own, which only Envoy can tell.
    doubts_end: bool,
}

#[derive(Debug)]
enum State {
    New,
    Judging(Box<Judging>),
    /// None of the gateway's.
    Passed,
    Forwarded(Box<Forwarded>),
    /// Let go, refused for its credential, and to be answered otherwise.
    Renewing(Box<Renewing>),
    /// Cut short: nothing of the response goes on any more.
    Ended,
    /// Answered by the gateway.
    Closed,
    Over,
}

impl Exchange {
    /// `stream` is the host's context id, which [`crate::step::Effect::Wake`] names; `gate` is what the host does with its
    /// headers, whatever the worker's configuration says by now.
    pub fn new(stream: u32, gate: BodyGate) -> Self {
        let (record, cors) = (Record::default(), Cors::default());
        Self { stream, gate, state: State::New, record, cors, doubts_end: false }
    }

    pub fn on_request_headers(
        &mut self,
        worker: &mut Worker,
        headers: Headers,
        end_of_stream: bool,
        around: &Surroundings<'_>,
    ) -> Step {
        if worker.config().other_paths == OtherPaths::Pass && !is_endpoint(&headers) {
            return self.pass(headers);
        }
        self.record.begin(around.now_ms);
        self.record.user_agent(&headers);
        let source = worker.config().allowed.judge(&headers);
        self.cors = Cors::of(source);
        let source = source.map(|_| ());
        if cors::is_preflight(&headers) {
            return self.answer_preflight(&headers, source);
        }
        match Judging::begin(headers, end_of_stream, source, worker, &mut self.record) {
            Ok(judging) => {
                if let Some(trace) = judging.head.traceparent() {
                    worker.note_trace(self.stream, trace);
                }
                self.state = State::Judging(Box::new(judging));
                self.advance(worker, &|| None, around)
            }
            Err(reply) => self.close(reply),
        }
    }

    /// Something else than MCP. What only the gateway may say is taken off, so that no route of the gateway's own is
    /// taken.
    fn pass(&mut self, mut headers: Headers) -> Step {
        self.state = State::Passed;
        let before = headers.len();
        headers.retain(|(name, _)| !name.starts_with(OWN_PREFIX));
        Step::Pass { headers: (headers.len() < before).then_some(headers) }
    }

    /// A browser wants to know whether it may send a request. The answer is the same for all paths.
    fn answer_preflight(&mut self, headers: &Headers, source: Result<(), SourceFault>) -> Step {
        let Some(reply) = self.cors.preflight(headers) else {
            return self.close(wrong_source(source.err().unwrap_or(SourceFault::Origin)));
        };
        self.state = State::Closed;
        self.record.preflight();
        self.record.measured.status(reply.status);
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
            Ok(()) if end_of_stream => self.decide_whole(worker, size, body, around),
            Ok(()) => Step::Wait,
        }
    }

    fn decide_whole(
        &mut self,
        worker: &mut Worker,
        size: usize,
        body: ReadBody<'_>,
        around: &Surroundings<'_>,
    ) -> Step {
        let step = self.advance(worker, body, around);
        let State::Judging(judging) = &mut self.state else { return step };
        judging.is_late = true;
        match judging.hold_body(size, worker) {
            Ok(()) => step,
            Err(reply) => self.close(reply),
        }
    }

    /// Goes on after [`crate::step::Effect::Wake`].
    pub fn resume(&mut self, worker: &mut Worker, body: ReadBody<'_>, around: &Surroundings<'_>) -> Step {
        self.advance(worker, body, around)
    }

    fn advance(&mut self, worker: &mut Worker, body: ReadBody<'_>, around: &Surroundings<'_>) -> Step {
        let judging = match &mut self.state {
            State::Judging(judging) => judging,
            State::Renewing(_) => return self.renew(worker, around),
            State::Forwarded(_) => return self.go_on(worker, around),
            State::New | State::Passed | State::Ended | State::Closed | State::Over => return Step::Done,
        };
        match judging.decide(self.stream, self.gate, worker, &mut self.record, body, around) {
            Ok(Progress::Waiting) => Step::Wait,
            Ok(Progress::Parted(headers)) => Step::Part { headers },
            Ok(Progress::Released(release)) => self.release(worker, *release),
            Err(reply) => self.close(reply),
        }
    }

    fn release(&mut self, worker: &mut Worker, release: Release) -> Step {
        let Release { headers, body, expected, kept } = release;
        let State::Judging(judging) = std::mem::replace(&mut self.state, State::Closed) else {
            return Step::Done;
        };
        let may_go = judging.parted.is_none() || judging.follows(&headers, body.is_some());
        let has_parted = judging.parted.is_some();
        match expected.access {
            Access::Granted(_) => self.record.allowed(),
            Access::ConnectRequired(_) => self.record.connect_required(),
        }
        let (asker, renewable) = judging.into_parts(kept);
        let forwarded = Forwarded::new(expected, asker, renewable, worker.invalidations());
        if !may_go {
            return self.send_late(worker, forwarded);
        }
        self.state = State::Forwarded(Box::new(forwarded));
        if has_parted { Step::Follow } else { Step::Forward { headers, body } }
    }

    /// The headers have gone without this body, and it cannot follow them.
    fn send_late(&mut self, worker: &mut Worker, forwarded: Forwarded) -> Step {
        let id = forwarded.request_id().cloned();
        match Renewing::of_late(forwarded, self.stream, worker) {
            Some(renewing) => {
                self.state = State::Renewing(Box::new(renewing));
                Step::Wait
            }
            None => self.close(changed_meanwhile(id.as_ref())),
        }
    }

    fn renew(&mut self, worker: &mut Worker, around: &Surroundings<'_>) -> Step {
        let State::Renewing(renewing) = &mut self.state else { return Step::Done };
        match renewing.advance(self.stream, worker, &mut self.record, around) {
            Outcome::Waiting => Step::Wait,
            Outcome::Refused(reply) => self.close(reply),
            Outcome::Answered(reply) | Outcome::Ended(reply) => {
                self.record.measured.status(reply.status);
                self.state = State::Closed;
                Step::Reply(self.cors.mark_reply(reply))
            }
        }
    }

    fn close(&mut self, reply: LocalReply) -> Step {
        self.state = State::Closed;
        self.record.refused(&reply);
        Step::Reply(self.cors.mark_reply(reply))
    }

    /// Gives `take` the fields of the access-log record that are new or changed since the last call: filter-state keys
    /// (without the `portcullis.` prefix) and values.
    pub fn take_record(&mut self, take: &mut dyn FnMut(&'static str, &str)) {
        self.record.hand_over(take);
    }

    /// The stream is over, complete or not; records what is known of it, counts it, and forgets it in the worker. `host` is
    /// asked only if the exchange cannot know how it ended.
    pub fn on_done(
        &mut self,
        worker: &mut Worker,
        shared: &dyn SharedData,
        times: Times,
        host: &dyn Fn() -> HostEnd,
    ) {
        worker.forget(self.stream, shared);
        let reached = match std::mem::replace(&mut self.state, State::Over) {
            State::Over | State::Passed => return,
            State::Forwarded(forwarded) => {
                if self.record.how_ended().is_none() {
                    forwarded.report(&mut self.record);
                }
                self.doubts_end |= forwarded.is_error;
                Reached::Upstream
            }
            State::Renewing(_) | State::Ended => Reached::Upstream,
            State::New | State::Judging(_) | State::Closed => Reached::Nobody,
        };
        match self.record.how_ended() {
            None => self.record.ended(Ended::early(&host(), reached)),
            Some(ended) if self.doubts_end => self.record.ended(ended.of_error(&host())),
            Some(_) => {}
        }
        worker.count_request(|metrics, is_server| self.record.count(metrics, is_server, times));
    }
}

/// Whether the path is one of MCP endpoints, which all have the same last part.
fn is_endpoint(headers: &Headers) -> bool {
    let path = headers.iter().find(|(name, _)| name == b":path").map(|(_, value)| value.as_slice());
    path.is_none_or(path::is_endpoint)
}
