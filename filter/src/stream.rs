//! One HTTP stream: Envoy's callbacks in, the core's steps carried out.
//!
//! Whatever goes wrong between host and core ends here, closed: a request that cannot be handed on as the core wants
//! it is answered, a response that cannot be judged is cut.

use portcullis_filter_core::config::BodyGate;
use portcullis_filter_core::exchange::{Exchange, HostEnd, Surroundings, Times};
use portcullis_filter_core::reply::LocalReply;
use portcullis_filter_core::step::{Headers, Step};
use portcullis_filter_core::worker::Worker;
use proxy_wasm::types::Action;

use crate::host::{self, Buffer, Half, Map};
use crate::shared::HostData;
use crate::verify::Verifier;

mod response;

use response::Flow;

/// Envoy keeps the client's scheme in this header, and finds no route at all for a request without it. The core, which
/// knows nothing of Envoy, passes on what an upstream should see; so this one is put back here. Its value is Envoy's
/// own where Envoy is the edge, and the route is where to take it off before the upstream.
const FORWARDED_PROTO: &[u8] = b"x-forwarded-proto";

/// What the filter-state keys of a record begin with; Envoy puts `wasm.` in front.
const STATE_PREFIX: &str = "portcullis.";

/// What has become of the request. There is one terminal action per stream: it is let go or answered, once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Not decided: nothing may pass.
    Open,
    /// The headers have gone before the body, which is not decided: it may not pass.
    Parted,
    /// The headers are on their way to the upstream; the core still has a say on the body.
    LetGo,
    /// Answered by us or by Envoy, or cut: nothing more is to be done.
    Over,
    /// None of the gateway's: everything passes.
    Passed,
}

/// What the shell knows of a stream. Shared between its context and the VM, which wakes it.
pub(crate) struct Stream {
    exchange: Exchange,
    verdict: Verdict,
    /// The value of [`FORWARDED_PROTO`].
    forwarded_proto: Option<Vec<u8>>,
    /// Bytes of the request's body that the host holds.
    buffered: usize,
    /// The body, as far as it has come, where its headers have gone before it.
    body: Vec<u8>,
    /// Parts of it are not with the host any more.
    is_taken: bool,
    /// The last part of the response's body has been seen.
    response_ended: bool,
    flow: Flow,
    /// Judged, in the host's buffer, and about to leave it.
    judged: Vec<u8>,
    done: bool,
    clock: Clock,
}

/// When what happened, in microseconds since the epoch; 0 where the host did not say.
#[derive(Clone, Copy, Default)]
struct Clock {
    begun: u64,
    /// The request was there as a whole.
    complete: u64,
    /// It was let go or answered.
    decided: u64,
}

impl Clock {
    fn request_event(&mut self, now: u64, end_of_stream: bool) {
        if self.begun == 0 {
            self.begun = now;
        }
        if self.complete == 0 && end_of_stream {
            self.complete = now;
        }
    }

    fn decided(&mut self) {
        if self.decided == 0 {
            self.decided = host::now_us().unwrap_or(0);
        }
    }

    fn times(self) -> Times {
        // What was answered before it was there as a whole was not kept waiting.
        let complete = if self.complete == 0 { self.decided } else { self.complete };
        let whole = host::now_us().ok().filter(|_| self.begun > 0).map(|now| now.saturating_sub(self.begun));
        Times {
            decision_us: (self.decided > 0).then(|| self.decided.saturating_sub(complete)),
            whole_ms: whole.map(|microseconds| microseconds / 1_000),
        }
    }
}

impl Stream {
    pub(crate) fn new(id: u32, gate: BodyGate) -> Self {
        Self {
            exchange: Exchange::new(id, gate),
            verdict: Verdict::Open,
            forwarded_proto: None,
            buffered: 0,
            body: Vec::new(),
            is_taken: false,
            response_ended: false,
            flow: Flow::default(),
            judged: Vec::new(),
            done: false,
            clock: Clock::default(),
        }
    }

    pub(crate) fn on_request_headers(
        &mut self,
        end_of_stream: bool,
        worker: &mut Worker,
        verifier: &Verifier,
    ) -> Action {
        let (Ok(headers), Ok(now_us)) = (host::headers(Map::RequestHeaders), host::now_us()) else {
            return self.fail();
        };
        self.clock.request_event(now_us, end_of_stream);
        let forwarded_proto = headers.iter().find(|(name, _)| name == FORWARDED_PROTO);
        self.forwarded_proto = forwarded_proto.map(|(_, value)| value.clone());
        let around = surroundings(now_us / 1_000, verifier);
        let step = self.exchange.on_request_headers(worker, headers, end_of_stream, &around);
        self.carry_out(step)
    }

    pub(crate) fn on_request_body(
        &mut self,
        size: usize,
        end_of_stream: bool,
        worker: &mut Worker,
        verifier: &Verifier,
    ) -> Action {
        self.buffered = size;
        match self.verdict {
            Verdict::Over => return Action::Pause,
            Verdict::Passed => return Action::Continue,
            Verdict::Parted => return self.on_body_of_parted(size, end_of_stream, worker, verifier),
            Verdict::Open | Verdict::LetGo => {}
        }
        let Ok(now_us) = host::now_us() else { return self.fail() };
        self.clock.request_event(now_us, end_of_stream);
        let around = surroundings(now_us / 1_000, verifier);
        let body = || request_body(size);
        let step = self.exchange.on_request_body(worker, size, end_of_stream, &body, &around);
        self.carry_out(step)
    }

    /// A part of a body whose headers have gone. It stays in here until it is judged, because the host's buffer is that of all
    /// filters: one behind this one that held the headers and lets them go lets go of what is buffered, too.
    fn on_body_of_parted(
        &mut self,
        size: usize,
        end_of_stream: bool,
        worker: &mut Worker,
        verifier: &Verifier,
    ) -> Action {
        let (Some(part), Ok(now_us)) = (request_body(size), host::now_us()) else { return self.fail() };
        self.clock.request_event(now_us, end_of_stream);
        if self.body.is_empty() {
            self.body = part;
        } else {
            self.body.extend_from_slice(&part);
        }
        let around = surroundings(now_us / 1_000, verifier);
        let whole = &self.body;
        let body = || Some(whole.clone());
        let step = self.exchange.on_request_body(worker, whole.len(), end_of_stream, &body, &around);
        if step == Step::Wait && size > 0 {
            self.is_taken = true;
            if host::set_buffer(Buffer::RequestBody, &[]).is_err() {
                return self.fail();
            }
        }
        self.carry_out(step)
    }

    /// Trailers end the body. MCP has none and nobody judges them, so they go no further.
    pub(crate) fn on_request_trailers(&mut self, worker: &mut Worker, verifier: &Verifier) -> Action {
        match self.verdict {
            Verdict::Over => return Action::Pause,
            Verdict::Passed => return Action::Continue,
            Verdict::Open | Verdict::Parted | Verdict::LetGo => {}
        }
        if self.is_taken {
            self.buffered = 0;
        }
        match host::set_headers(Map::RequestTrailers, &Headers::new()) {
            Ok(()) => self.on_request_body(self.buffered, true, worker, verifier),
            Err(_) => self.fail(),
        }
    }

    /// The core has news for this stream, and the host's effective context is this stream's.
    pub(crate) fn resume(&mut self, worker: &mut Worker, verifier: &Verifier, now_ms: u64) {
        if matches!(self.verdict, Verdict::Over | Verdict::Passed) {
            return;
        }
        let around = surroundings(now_ms, verifier);
        let (size, is_parted, whole) = (self.buffered, self.verdict == Verdict::Parted, &self.body);
        let body = || if is_parted { Some(whole.clone()) } else { request_body(size) };
        let step = self.exchange.resume(worker, &body, &around);
        if step == Step::Done {
            // Woken though it waits for nothing: stays as it is.
            return;
        }
        if self.carry_out(step) == Action::Continue && host::continue_request().is_err() {
            self.reset(Half::Request);
        }
    }

    fn carry_out(&mut self, step: Step) -> Action {
        match (step, self.verdict) {
            (_, Verdict::Over) | (Step::Wait, _) => Action::Pause,
            (_, Verdict::Passed) | (Step::Done, Verdict::LetGo) => Action::Continue,
            (Step::Forward { headers, body }, _) => self.let_go(headers, body),
            (Step::Part { headers }, _) => self.part(headers),
            (Step::Follow, _) => self.follow(),
            (Step::Pass { headers }, _) => self.pass(headers.as_ref()),
            (Step::Reply(reply), _) => self.answer(&reply),
            (Step::Respond { head, body }, _) => self.respond(head.as_ref(), body.as_deref()),
            (Step::Cut, _) => self.cut(),
            (Step::Done, Verdict::Open | Verdict::Parted) => self.fail(),
        }
    }

    fn let_go(&mut self, headers: Headers, body: Option<Vec<u8>>) -> Action {
        let replaced = self
            .readdress(headers)
            .and_then(|()| body.map_or(Ok(()), |body| host::set_buffer(Buffer::RequestBody, &body)))
            .and_then(|()| host::clear_route_cache());
        self.go(replaced, Verdict::LetGo)
    }

    fn part(&mut self, headers: Headers) -> Action {
        let replaced = self.readdress(headers).and_then(|()| host::clear_route_cache());
        self.go(replaced, Verdict::Parted)
    }

    fn follow(&mut self) -> Action {
        let body = std::mem::take(&mut self.body);
        let replaced = if self.is_taken { host::set_buffer(Buffer::RequestBody, &body) } else { Ok(()) };
        self.go(replaced, Verdict::LetGo)
    }

    fn pass(&mut self, headers: Option<&Headers>) -> Action {
        let replaced = headers.map_or(Ok(()), |headers| {
            host::set_headers(Map::RequestHeaders, headers).and_then(|()| host::clear_route_cache())
        });
        if replaced.is_err() {
            return self.fail();
        }
        self.verdict = Verdict::Passed;
        Action::Continue
    }

    /// Replaces the header map, in one call: between two there would be one that nobody decided on.
    fn readdress(&mut self, mut headers: Headers) -> host::HostResult<()> {
        if let Some(value) = self.forwarded_proto.take() {
            headers.retain(|(name, _)| name != FORWARDED_PROTO);
            headers.push((FORWARDED_PROTO.to_vec(), value));
        }
        host::set_headers(Map::RequestHeaders, &headers)
    }

    /// Lets go of what is `replaced` as the core wants it.
    fn go(&mut self, replaced: host::HostResult<()>, verdict: Verdict) -> Action {
        if let Err(status) = replaced {
            log::error!("the host refuses the request's new headers or body: {status:?}");
            return self.fail();
        }
        // Filters behind this one may go by who asks for what, so they are told before the request goes on.
        self.record();
        if verdict == Verdict::LetGo {
            self.clock.decided();
        }
        self.verdict = verdict;
        Action::Continue
    }

    fn answer(&mut self, reply: &LocalReply) -> Action {
        self.verdict = Verdict::Over;
        self.clock.decided();
        if let Err(status) = host::send_local_reply(reply) {
            log::error!("the host refuses a local reply: {status:?}");
            self.reset(Half::Request);
        }
        Action::Pause
    }

    /// Answers a request that got stuck between host and core, unless it is answered already.
    pub(crate) fn fail(&mut self) -> Action {
        match self.verdict {
            Verdict::Over => Action::Pause,
            Verdict::Open | Verdict::Parted | Verdict::LetGo | Verdict::Passed => {
                self.answer(&internal_error())
            }
        }
    }

    fn reset(&mut self, half: Half) {
        self.verdict = Verdict::Over;
        if host::reset(half).is_err() {
            log::error!("the host refuses to reset a stream");
        }
    }

    pub(crate) fn finish(&mut self, worker: &mut Worker) {
        if !self.done {
            self.done = true;
            self.exchange.on_done(worker, &HostData, self.clock.times(), &host_end);
        }
    }

    /// Hands the access-log record to the host.
    pub(crate) fn record(&mut self) {
        let mut key = String::from(STATE_PREFIX);
        self.exchange.take_record(&mut |field, value| {
            key.truncate(STATE_PREFIX.len());
            key.push_str(field);
            if host::set_filter_state(&key, value).is_err() {
                log::debug!("the host does not take {field} into the access log");
            }
        });
    }
}

fn surroundings(now_ms: u64, verifier: &Verifier) -> Surroundings<'_> {
    Surroundings { now_ms, verifier, source: &|| host::source_address().ok(), shared: &HostData }
}

/// What the host says of a stream that is over, as far as it says anything.
fn host_end() -> HostEnd {
    HostEnd {
        flags: host::response_flags().unwrap_or_default(),
        details: host::response_details().unwrap_or_default(),
    }
}

/// The request's body as far as the host holds it; `None` if it does not hand out all of it.
fn request_body(size: usize) -> Option<Vec<u8>> {
    host::buffer(Buffer::RequestBody, size).ok().filter(|body| body.len() == size)
}

/// The one answer that the shell makes up itself.
fn internal_error() -> LocalReply {
    // -32603: JSON-RPC's "Internal error".
    LocalReply::error(500, -32_603, "The gateway could not handle this request. Try again.", "internal_error")
}
