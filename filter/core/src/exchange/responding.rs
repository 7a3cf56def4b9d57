//! The events of a response, and what each does to the exchange.

use super::answering::{self, Forwarded};
use super::refusals::{answered_early, try_again};
use super::renewing::Renewing;
use super::standing::{Doubt, Ending, Settled};
use super::{Around, Exchange, State, Surroundings};
use crate::reply::LocalReply;
use crate::response::headers::CredentialRefusal;
use crate::step::{Headers, ResponseBody, ResponseChunk, ResponseHead, Step};
use crate::worker::{Standing, Worker};

/// What an event of a response finds.
enum Found {
    /// It may go on.
    Sound,
    Waiting,
    Over(LocalReply),
}

impl Exchange {
    pub fn on_response_headers(
        &mut self,
        worker: &mut Worker,
        headers: &Headers,
        end_of_stream: bool,
        around: Around<'_>,
    ) -> ResponseHead {
        let State::Forwarded(forwarded) = &mut self.state else { return ResponseHead::Keep };
        if let Some(refusal) = forwarded.refused_credential(headers) {
            return self.begin_renewal(refusal, worker, around);
        }
        match look(forwarded, self.stream, worker, around) {
            Found::Sound => {}
            Found::Waiting => {
                if let Some(doubt) = &mut forwarded.doubt {
                    doubt.head = Some((headers.clone(), end_of_stream));
                }
                return ResponseHead::Hold;
            }
            Found::Over(reply) => return ResponseHead::Reply(self.end_unbegun(reply)),
        }
        self.record.measured.status_of(headers);
        match forwarded.on_headers(worker, headers, end_of_stream, self.gate) {
            ResponseHead::Reply(reply) => ResponseHead::Reply(self.refuse_response(reply)),
            ResponseHead::Replace(mut headers) => {
                if end_of_stream {
                    forwarded.complete(&mut self.record);
                }
                self.cors.mark(&mut headers);
                ResponseHead::Replace(headers)
            }
            head => head,
        }
    }

    /// Whether the request is sent by a call, or will be once it is decided, so that what its headers bring about by themselves
    /// is nobody's.
    pub fn awaits_another_answer(&self) -> bool {
        match &self.state {
            State::Judging(judging) => judging.is_late,
            State::Renewing(_) => true,
            _ => false,
        }
    }

    /// The answer in place of one to headers alone: the upstream's, which cannot wait until the body is judged, or Envoy's
    /// own, if it could not reach the upstream. `None` if that may stay.
    pub fn on_early_response(&mut self, headers: &Headers, is_of_upstream: bool) -> Option<LocalReply> {
        let reply = if is_of_upstream {
            answered_early()
        } else {
            answering::failure(headers).map(answering::upstream_failed)?
        };
        Some(self.refuse_response(reply))
    }

    fn refuse_response(&mut self, reply: LocalReply) -> LocalReply {
        self.record.response_refused(&reply);
        self.doubts_end = true;
        self.state = State::Closed;
        self.cors.mark_reply(reply)
    }

    fn begin_renewal(
        &mut self,
        refusal: CredentialRefusal,
        worker: &mut Worker,
        around: Around<'_>,
    ) -> ResponseHead {
        let renewing = match std::mem::replace(&mut self.state, State::Closed) {
            State::Forwarded(forwarded) => Renewing::begin(*forwarded, refusal),
            _ => None,
        };
        let step = match (renewing, around()) {
            (Some(renewing), Some(around)) => {
                self.state = State::Renewing(Box::new(renewing));
                self.renew(worker, &around)
            }
            _ => self.close(try_again(None)),
        };
        match step {
            Step::Reply(reply) => ResponseHead::Reply(reply),
            _ => ResponseHead::Hold,
        }
    }

    /// Whether nothing of this response may go on, not even its end: another answer is on its way.
    pub fn withholds_response(&self) -> bool {
        matches!(self.state, State::Renewing(_))
    }

    pub fn on_response_body(
        &mut self,
        worker: &mut Worker,
        chunk: &[u8],
        end_of_stream: bool,
        around: Around<'_>,
    ) -> ResponseBody {
        let forwarded = match &mut self.state {
            State::Forwarded(forwarded) => forwarded,
            State::Renewing(_) | State::Ended => {
                return ResponseBody::Chunk(ResponseChunk::Replace(Vec::new()));
            }
            State::New | State::Judging(_) | State::Passed | State::Closed | State::Over => {
                return ResponseBody::Chunk(ResponseChunk::Keep);
            }
        };
        let found = match forwarded.doubt {
            None => look(forwarded, self.stream, worker, around),
            Some(_) => Found::Waiting,
        };
        match found {
            Found::Sound => {
                let chunk = forwarded.on_body(chunk, end_of_stream);
                if end_of_stream {
                    forwarded.complete(&mut self.record);
                }
                ResponseBody::Chunk(chunk)
            }
            Found::Waiting => {
                let has_room =
                    forwarded.doubt.as_mut().is_some_and(|doubt| doubt.withhold(chunk, end_of_stream));
                if has_room {
                    return ResponseBody::Hold;
                }
                let reply = forwarded.cannot_wait();
                self.end_body(worker, reply)
            }
            Found::Over(reply) => self.end_body(worker, reply),
        }
    }

    fn end_body(&mut self, worker: &mut Worker, reply: LocalReply) -> ResponseBody {
        match self.end(worker, reply) {
            Ending::Reply(reply) => ResponseBody::Reply(reply),
            Ending::Last(last) => ResponseBody::Chunk(ResponseChunk::Replace(last.bytes)),
            Ending::Cut => ResponseBody::Cut,
        }
    }

    /// Goes on with a response that was held back, if it is known now whether it may.
    pub(super) fn go_on(&mut self, worker: &mut Worker, around: &Surroundings<'_>) -> Step {
        let State::Forwarded(forwarded) = &mut self.state else { return Step::Done };
        if forwarded.doubt.is_none() {
            return Step::Done;
        }
        match forwarded.settle(self.stream, worker, around) {
            Settled::Waiting => Step::Wait,
            Settled::Sound => match forwarded.doubt.take() {
                Some(doubt) => self.let_on(worker, doubt),
                None => Step::Done,
            },
            Settled::Over(reply) => match self.end(worker, reply) {
                Ending::Reply(reply) => Step::Reply(reply),
                Ending::Last(last) => Step::Respond { head: None, body: Some(last.bytes) },
                Ending::Cut => Step::Cut,
            },
        }
    }

    /// Lets on what was held back, as if it came now.
    fn let_on(&mut self, worker: &Worker, doubt: Doubt) -> Step {
        let State::Forwarded(forwarded) = &mut self.state else { return Step::Done };
        let mut head = None;
        if let Some((headers, end_of_stream)) = &doubt.head {
            self.record.measured.status_of(headers);
            match forwarded.on_headers(worker, headers, *end_of_stream, self.gate) {
                ResponseHead::Reply(reply) => return Step::Reply(self.refuse_response(reply)),
                ResponseHead::Replace(mut headers) => {
                    if *end_of_stream {
                        forwarded.complete(&mut self.record);
                    }
                    self.cors.mark(&mut headers);
                    head = Some(headers);
                }
                ResponseHead::Keep | ResponseHead::Hold => {}
            }
        }
        let body = doubt.body.map(|bytes| match forwarded.on_body(&bytes, doubt.ended) {
            ResponseChunk::Keep => bytes,
            ResponseChunk::Replace(bytes) => bytes,
        });
        if doubt.ended {
            forwarded.complete(&mut self.record);
        }
        let head = head.or_else(|| self.take_response_head());
        let says_nothing = head.is_none() && !doubt.ended && body.as_ref().is_none_or(Vec::is_empty);
        if says_nothing { Step::Wait } else { Step::Respond { head, body } }
    }

    /// Ends a response of which nothing has gone.
    fn end_unbegun(&mut self, reply: LocalReply) -> LocalReply {
        self.record.cut(&reply);
        self.state = State::Closed;
        self.cors.mark_reply(reply)
    }

    fn end(&mut self, worker: &mut Worker, reply: LocalReply) -> Ending {
        let State::Forwarded(forwarded) = &mut self.state else { return Ending::Cut };
        let ending = forwarded.end(reply.clone());
        forwarded.report(&mut self.record);
        self.record.cut(&reply);
        self.state = State::Ended;
        match &ending {
            Ending::Reply(_) => return Ending::Reply(self.cors.mark_reply(reply)),
            Ending::Last(last) if !last.is_complete => worker.end_soon(self.stream),
            Ending::Last(_) | Ending::Cut => {}
        }
        ending
    }

    /// The head to send in place of one that [`ResponseHead::Hold`] holds back, after a chunk of the body that ends the
    /// wait; `None` as long as it lasts, and for heads that are not held.
    pub fn take_response_head(&mut self) -> Option<Headers> {
        let State::Forwarded(forwarded) = &mut self.state else { return None };
        let mut head = forwarded.take_head()?;
        self.cors.mark(&mut head);
        Some(head)
    }
}

/// Whether the response may go on; asks if need be.
fn look(forwarded: &mut Forwarded, stream: u32, worker: &mut Worker, around: Around<'_>) -> Found {
    if forwarded.standing(worker) == Standing::Sound {
        return Found::Sound;
    }
    let Some(around) = around() else { return Found::Over(forwarded.cannot_wait()) };
    match forwarded.settle(stream, worker, &around) {
        Settled::Sound => Found::Sound,
        Settled::Over(reply) => Found::Over(reply),
        Settled::Waiting => {
            forwarded.doubt = Some(Doubt::new(worker, around.now_ms));
            Found::Waiting
        }
    }
}
