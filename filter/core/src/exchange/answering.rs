//! What happens to the upstream's response.

use std::rc::Rc;
use std::sync::Arc;

use portcullis_wire::lease::Lease;
use portcullis_wire::watch::ServerEntry;

use super::record::Record;
use crate::config::Config;
use crate::mcp::{Era, Request, error_body};
use crate::payload;
use crate::reply::{LocalReply, code};
use crate::response::headers::{self, Head, Refusal};
use crate::response::list::ListContext;
use crate::response::needles::Needles;
use crate::response::pipeline::{Bounds, ResponsePipeline, Subject};
use crate::step::{Headers, ResponseChunk, ResponseHead};

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
}

impl Forwarded {
    pub(super) fn new(server: Rc<ServerEntry>, lease: Rc<Lease>, request: Option<Request>) -> Self {
        let needles = Arc::new(Needles::of_headers(&lease.credential_headers));
        Self { lease, server, request, needles, pipeline: None }
    }

    /// Judges the head. `end_of_stream` says that there is no body.
    pub(super) fn on_headers(
        &mut self,
        config: &Config,
        headers: &Headers,
        end_of_stream: bool,
    ) -> ResponseHead {
        let subject = self.subject();
        let inspected = subject.is_inspected() && !end_of_stream;
        match headers::judge(headers, inspected, &self.needles) {
            Head::Refuse(refusal) => ResponseHead::Reply(self.refuse(refusal)),
            Head::Forward { headers, plan } => {
                let bounds = Bounds {
                    json: config.max_list_bytes,
                    event: config.max_event_bytes,
                    excerpt: payload::DEFAULT_LIMIT,
                };
                let needles = Arc::clone(&self.needles);
                let payload = self.server.payload;
                self.pipeline = Some(ResponsePipeline::with_bounds(plan, subject, needles, payload, bounds));
                ResponseHead::Replace(headers)
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
            _ => Subject::Call,
        }
    }

    fn refuse(&self, refusal: Refusal) -> LocalReply {
        let id = self.request.as_ref().and_then(|request| request.id.as_ref());
        let body = error_body(id, code::RESPONSE_REJECTED, refusal.message(), None);
        LocalReply::with_body(Refusal::STATUS, code::RESPONSE_REJECTED, body, refusal.reason())
    }

    pub(super) fn on_body(&mut self, chunk: &[u8], end_of_stream: bool) -> ResponseChunk {
        match &mut self.pipeline {
            Some(pipeline) => pipeline.push(&self.lease.policy, chunk, end_of_stream),
            None => ResponseChunk::Keep,
        }
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
