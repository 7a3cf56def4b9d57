//! The response's half of a stream.

use portcullis_filter_core::step::{Headers, ResponseBody, ResponseChunk, ResponseHead};
use portcullis_filter_core::worker::Worker;
use proxy_wasm::types::Action;

use super::{Stream, Verdict, surroundings};
use crate::host::{self, Buffer, Half, Map};
use crate::verify::Verifier;

/// How the response's body flows.
///
/// A response that goes on because of a wake-up, and not because its own callback says so, leaves Envoy in between: it
/// adds the next chunk to what is held, but lets go of nothing when the callback says to continue, and forgets it at the
/// end of the stream. So that chunk is held, too, and let go at the next tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    Usual,
    /// Envoy is in between.
    InBetween,
    /// A chunk is held that may go, and the VM does not know yet.
    Stopped,
    /// It goes at the next tick.
    Releasing,
}

/// What Envoy says of a response that is not one of its own.
const OF_UPSTREAM: &str = "via_upstream";

impl Stream {
    pub(crate) fn on_response_headers(
        &mut self,
        end_of_stream: bool,
        worker: &mut Worker,
        verifier: &Verifier,
    ) -> Action {
        self.response_ended = end_of_stream;
        match self.verdict {
            Verdict::LetGo => {}
            Verdict::Passed => return Action::Continue,
            Verdict::Parted => return self.on_early_response(),
            Verdict::Open | Verdict::Over => {
                // Not the upstream's: our own reply, or one that Envoy made while we were waiting.
                self.verdict = Verdict::Over;
                return Action::Continue;
            }
        }
        let Ok(headers) = host::headers(Map::ResponseHeaders) else { return self.fail() };
        let around = || host::now_ms().ok().map(|now_ms| surroundings(now_ms, verifier));
        match self.exchange.on_response_headers(worker, &headers, end_of_stream, &around) {
            ResponseHead::Keep => Action::Continue,
            ResponseHead::Replace(headers) => match host::set_headers(Map::ResponseHeaders, &headers) {
                Ok(()) => Action::Continue,
                Err(_) => self.fail(),
            },
            // Envoy shows the body all the same, because the plugin's configuration allows a head to wait. If it is
            // something else that is waited for, it comes with a wake-up.
            ResponseHead::Hold => Action::Pause,
            ResponseHead::Reply(reply) => self.answer(&reply),
        }
    }

    /// A response to headers whose body has not followed them.
    fn on_early_response(&mut self) -> Action {
        let is_of_upstream = host::response_details().is_ok_and(|details| details == OF_UPSTREAM);
        if is_of_upstream && self.exchange.awaits_another_answer() {
            return Action::Pause;
        }
        self.verdict = Verdict::Over;
        let Ok(headers) = host::headers(Map::ResponseHeaders) else { return self.cut() };
        match self.exchange.on_early_response(&headers, is_of_upstream) {
            Some(reply) => self.answer(&reply),
            None => Action::Continue,
        }
    }

    pub(crate) fn on_response_body(
        &mut self,
        size: usize,
        end_of_stream: bool,
        worker: &mut Worker,
        verifier: &Verifier,
    ) -> Action {
        self.response_ended = end_of_stream;
        if self.verdict != Verdict::LetGo {
            return Action::Continue;
        }
        if self.exchange.withholds_response() {
            return self.drop_response_body();
        }
        let Ok(buffered) = host::buffer(Buffer::ResponseBody, size) else { return self.cut() };
        // What was judged before and has not left yet comes first.
        let Some(chunk) = buffered.strip_prefix(self.judged.as_slice()) else { return self.cut() };
        let around = || host::now_ms().ok().map(|now_ms| surroundings(now_ms, verifier));
        let bytes = match self.exchange.on_response_body(worker, chunk, end_of_stream, &around) {
            ResponseBody::Chunk(ResponseChunk::Keep) => None,
            ResponseBody::Chunk(ResponseChunk::Replace(bytes)) => Some(self.after_judged(&bytes)),
            ResponseBody::Hold => return self.hold(),
            ResponseBody::Reply(reply) => return self.answer(&reply),
            ResponseBody::Cut => return self.cut(),
        };
        if self.send_head().is_err() {
            return self.cut();
        }
        let Some(bytes) = bytes else { return self.let_on(buffered) };
        if host::set_buffer(Buffer::ResponseBody, &bytes).is_err() {
            return self.cut();
        }
        // While everything is held back, the (empty) buffer is kept with the host: should trailers follow instead of
        // more body, it is the only place left for what the core still holds.
        if bytes.is_empty() && !end_of_stream {
            self.flow = Flow::Usual;
            return Action::Pause;
        }
        self.let_on(bytes)
    }

    pub(crate) fn on_response_trailers(&mut self, worker: &mut Worker, verifier: &Verifier) -> Action {
        if self.verdict != Verdict::LetGo || self.response_ended {
            return Action::Continue;
        }
        self.response_ended = true;
        if self.exchange.withholds_response() {
            return Action::Pause;
        }
        let around = || host::now_ms().ok().map(|now_ms| surroundings(now_ms, verifier));
        let bytes = match self.exchange.on_response_body(worker, &[], true, &around) {
            ResponseBody::Chunk(ResponseChunk::Keep) => Vec::new(),
            ResponseBody::Chunk(ResponseChunk::Replace(bytes)) => bytes,
            ResponseBody::Hold => {
                self.flow = Flow::Usual;
                return Action::Pause;
            }
            ResponseBody::Reply(reply) => return self.answer(&reply),
            ResponseBody::Cut => return self.cut(),
        };
        if self.send_head().is_err() {
            return self.cut();
        }
        if bytes.is_empty() {
            return Action::Continue;
        }
        let bytes = self.after_judged(&bytes);
        if host::set_buffer(Buffer::ResponseBody, &bytes).is_err() {
            return self.cut();
        }
        self.let_on(bytes)
    }

    /// Lets a held response go on from outside of its own callbacks.
    pub(super) fn respond(&mut self, head: Option<&Headers>, body: Option<&[u8]>) -> Action {
        let headers = head.map_or(Ok(()), |head| host::set_headers(Map::ResponseHeaders, head));
        self.flow = if body.is_some() { Flow::InBetween } else { Flow::Usual };
        let body = self.after_judged(body.unwrap_or_default());
        self.judged.clear();
        let replaced = if body.is_empty() { Ok(()) } else { host::set_buffer(Buffer::ResponseBody, &body) };
        match headers.and(replaced).and_then(|()| host::continue_response()) {
            Ok(()) => Action::Pause,
            Err(_) => self.cut(),
        }
    }

    /// Whether the VM has to call [`Self::release`] at the next tick; says so once.
    pub(crate) fn takes_releasing(&mut self) -> bool {
        let is_new = self.flow == Flow::Stopped;
        if is_new {
            self.flow = Flow::Releasing;
        }
        is_new
    }

    /// Lets go of what is held and may go, unless it has gone since.
    pub(crate) fn release(&mut self) {
        if self.flow != Flow::Releasing || self.verdict != Verdict::LetGo {
            return;
        }
        self.flow = Flow::InBetween;
        self.judged.clear();
        if host::continue_response().is_err() {
            self.reset(Half::Response);
        }
    }

    /// Ends a response that has been told why.
    pub(crate) fn end(&mut self) {
        if self.verdict == Verdict::LetGo {
            self.reset(Half::Response);
        }
    }

    fn after_judged(&self, bytes: &[u8]) -> Vec<u8> {
        [&self.judged, bytes].concat()
    }

    /// `bytes` are in the host's buffer and may go.
    fn let_on(&mut self, bytes: Vec<u8>) -> Action {
        if self.flow == Flow::InBetween {
            self.flow = Flow::Stopped;
            self.judged = bytes;
            return Action::Pause;
        }
        self.flow = Flow::Usual;
        self.judged.clear();
        Action::Continue
    }

    /// The core has the new bytes, and a wake-up will let all go on.
    fn hold(&mut self) -> Action {
        self.flow = Flow::Usual;
        match host::set_buffer(Buffer::ResponseBody, &self.judged) {
            Ok(()) => Action::Pause,
            Err(_) => self.cut(),
        }
    }

    /// Nothing of this response is needed any more, and its end must not go on either.
    fn drop_response_body(&mut self) -> Action {
        match host::set_buffer(Buffer::ResponseBody, &[]) {
            Ok(()) => Action::Pause,
            Err(_) => self.cut(),
        }
    }

    /// Puts the head in place that was held back, if it may go now.
    fn send_head(&mut self) -> host::HostResult<()> {
        match self.exchange.take_response_head() {
            Some(headers) => host::set_headers(Map::ResponseHeaders, &headers),
            None => Ok(()),
        }
    }

    /// Ends a response that can be neither judged nor taken back.
    pub(super) fn cut(&mut self) -> Action {
        self.reset(Half::Response);
        Action::Pause
    }
}
