//! What happens to the upstream's response.

use std::rc::Rc;
use std::sync::Arc;

use portcullis_wire::lease::Lease;
use portcullis_wire::watch::ServerEntry;

use super::record::Record;
use crate::mcp::{Era, Request, error_body};
use crate::payload;
use crate::reply::{LocalReply, code};
use crate::response::headers::{self, BodyPlan, Head, Refusal};
use crate::response::list::ListContext;
use crate::response::needles::Needles;
use crate::response::pipeline::{Bounds, HELD_LIMIT, ResponsePipeline, Subject};
use crate::response::unknown::Asked;
use crate::step::{Headers, ResponseChunk, ResponseHead};
use crate::worker::Worker;

/// How long a client may keep a filtered list: a change of policy reaches it no later.
const LIST_TTL_CAP_MS: u64 = 60_000;

/// A request that was let go, waiting for its response or in the middle of it.
#[derive(Debug)]
pub(super) struct Forwarded {
    /// Pinned: the response is judged by the policy that the request was judged by.
    lease: Rc<Lease>,
    server: Rc<ServerEntry>,
    /// `None` for the GET and DELETE of legacy sessions.
    request: Option<Request>,
    needles: Arc<Needles>,
    pipeline: Option<ResponsePipeline>,
    /// The head that waits for its body.
    held: Option<Headers>,
}

impl Forwarded {
    pub(super) fn new(server: Rc<ServerEntry>, lease: Rc<Lease>, request: Option<Request>) -> Self {
        let needles = Arc::new(Needles::of_headers(&lease.credential_headers));
        Self { lease, server, request, needles, pipeline: None, held: None }
    }

    /// Judges the head. `end_of_stream` says that there is no body.
    pub(super) fn on_headers(
        &mut self,
        worker: &Worker,
        headers: &Headers,
        end_of_stream: bool,
    ) -> ResponseHead {
        if let Some(status) = failure(headers) {
            return ResponseHead::Reply(self.failed(status));
        }
        let subject = self.subject();
        let inspected = subject.is_inspected() && !end_of_stream;
        match headers::judge(headers, inspected, &self.needles) {
            Head::Refuse(refusal) => ResponseHead::Reply(self.refuse(refusal)),
            Head::Forward { headers, plan } => {
                let may_be_replaced = matches!(subject, Subject::Call(Some(_)));
                let hold = may_be_replaced
                    && plan == BodyPlan::Json
                    && !end_of_stream
                    && !headers::is_longer(&headers, HELD_LIMIT);
                let plan = if hold { BodyPlan::HeldJson } else { plan };
                let config = worker.config();
                let bounds = Bounds {
                    json: config.max_list_bytes,
                    held: HELD_LIMIT,
                    event: config.max_event_bytes,
                    excerpt: payload::DEFAULT_LIMIT,
                };
                let needles = Arc::clone(&self.needles);
                let payload = self.server.payload;
                let share = worker.held().share();
                let pipeline = ResponsePipeline::with_bounds(plan, subject, needles, payload, bounds, share);
                self.pipeline = Some(pipeline);
                if !hold {
                    return ResponseHead::Replace(headers);
                }
                self.held = Some(headers);
                ResponseHead::Hold
            }
        }
    }

    fn subject(&self) -> Subject {
        let Some(request) = &self.request else { return Subject::Stream };
        match (request.list, &request.id) {
            (Some(kind), Some(id)) => Subject::List(ListContext {
                kind,
                request_id: id.as_json().into(),
                modern: request.era == Era::Modern,
                ttl_cap_ms: LIST_TTL_CAP_MS,
            }),
            _ => Subject::Call(Asked::by(request).map(Box::new)),
        }
    }

    fn refuse(&self, refusal: Refusal) -> LocalReply {
        self.reply(Refusal::STATUS, code::RESPONSE_REJECTED, refusal.message(), refusal.reason())
    }

    fn failed(&self, status: u32) -> LocalReply {
        let message = "The server behind the gateway could not be reached, or failed. Try again; if it stays like \
                       this, tell whoever runs the server.";
        self.reply(status, code::UNAVAILABLE, message, "upstream_failed")
    }

    fn reply(&self, status: u32, code: i32, message: &str, reason: &str) -> LocalReply {
        let id = self.request.as_ref().and_then(|request| request.id.as_ref());
        LocalReply::with_body(status, code, error_body(id, code, message, None), reason)
    }

    pub(super) fn on_body(&mut self, chunk: &[u8], end_of_stream: bool) -> ResponseChunk {
        match &mut self.pipeline {
            Some(pipeline) => pipeline.push(&self.lease.policy, chunk, end_of_stream),
            None => ResponseChunk::Keep,
        }
    }

    /// The head that was held, or the one of the answer in its place, once the body is decided.
    pub(super) fn take_head(&mut self) -> Option<Headers> {
        let pipeline = self.pipeline.as_ref().filter(|pipeline| !pipeline.is_holding())?;
        let head = self.held.take()?;
        let replaced = pipeline.reworded().map(LocalReply::header_map);
        Some(replaced.unwrap_or(head))
    }

    /// Puts what is known of the response into the access log.
    pub(super) fn report(&self, record: &mut Record) {
        let Some(observed) = self.pipeline.as_ref().map(ResponsePipeline::observed) else { return };
        if let Some(excerpt) = &observed.excerpt {
            record.set("response", excerpt.as_str());
        }
        if let Some(code) = observed.error_code {
            record.set("error_code", code.to_string());
        }
        if observed.credential_echoed {
            record.set("rule", "credential_echo_masked");
        }
    }
}

/// The status, if the upstream failed without an answer in the protocol: Envoy's own reply when it cannot reach it, or
/// the error page of something in between. Statuses below 500 stay as they are, because clients find out by them
/// which transport and era a server speaks.
fn failure(headers: &Headers) -> Option<u32> {
    let value =
        |name: &[u8]| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_slice());
    let status = std::str::from_utf8(value(b":status")?).ok()?.parse().ok()?;
    let media_type = value(b"content-type").unwrap_or_default().to_ascii_lowercase();
    let in_protocol =
        media_type.starts_with(b"application/json") || media_type.starts_with(b"text/event-stream");
    (status >= 500 && !in_protocol).then_some(status)
}
