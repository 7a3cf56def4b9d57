//! What happens to the upstream's response.

use std::rc::Rc;
use std::sync::Arc;

use portcullis_wire::{CONTRACT_VERSION, MARKER_HEADER, session};

use super::asker::Asker;
use super::ending::Ended;
use super::record::Record;
use super::refusals::service_failed;
use super::renewing::Renewable;
use super::standing::Doubt;
use crate::config::BodyGate;
use crate::leases::Access;
use crate::mcp::{Era, Id, Request, error_body};
use crate::payload;
use crate::registry::Server;
use crate::reply::{LocalReply, code};
use crate::response::headers::{self, BodyPlan, CredentialRefusal, Head, Refusal};
use crate::response::list::ListContext;
use crate::response::needles::Needles;
use crate::response::pipeline::{Bounds, HELD_LIMIT, ResponsePipeline, Subject};
use crate::response::unknown::Asked;
use crate::step::{Headers, ResponseChunk, ResponseHead};
use crate::worker::Worker;

/// How long a client may keep a filtered list: a change of policy reaches it no later.
const LIST_TTL_CAP_MS: u64 = 60_000;

const SESSION_HEADER: &[u8] = b"mcp-session-id";

/// A request that was let go, waiting for its response or in the middle of it.
#[derive(Debug)]
pub(super) struct Forwarded {
    /// The response is judged by the policy that the request was judged by, until anything of it changes.
    pub(super) access: Access,
    server: Rc<Server>,
    /// `None` for the GET and DELETE of legacy sessions.
    pub(super) request: Option<Request>,
    /// The client's session is one of the token-service's, and the client is to keep it.
    keeps_session: bool,
    pub(super) asker: Asker,
    /// [`Worker::invalidations`] when the access was last known to hold.
    pub(super) seen: u64,
    /// What waits until it is known whether it still holds.
    pub(super) doubt: Option<Doubt>,
    /// Where the credential can be renewed, and until the response shows that it need not be.
    pub(super) renewable: Option<Renewable>,
    needles: Arc<Needles>,
    pub(super) pipeline: Option<ResponsePipeline>,
    /// The head that waits for its body.
    pub(super) held: Option<Headers>,
    /// The answer is an error by its status, perhaps one of Envoy's own.
    pub(super) is_error: bool,
    /// It was sent after its headers had gone.
    pub(super) is_late: bool,
}

/// What the response to a request will be judged by.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) server: Rc<Server>,
    pub(super) access: Access,
    pub(super) request: Option<Request>,
    pub(super) keeps_session: bool,
}

/// A response that came as a whole, judged.
#[derive(Debug)]
pub(super) enum Whole {
    Answered(LocalReply),
    Refused(LocalReply),
}

impl Forwarded {
    /// `seen` is [`Worker::invalidations`] at this moment.
    pub(super) fn new(expected: Expected, asker: Asker, renewable: Option<Renewable>, seen: u64) -> Self {
        let Expected { server, access, request, keeps_session } = expected;
        let needles = needles(&access);
        Self {
            access,
            server,
            request,
            keeps_session,
            asker,
            seen,
            doubt: None,
            renewable,
            needles,
            pipeline: None,
            held: None,
            is_error: false,
            is_late: false,
        }
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    pub(super) fn request_id(&self) -> Option<&Id> {
        self.request.as_ref()?.id.as_ref()
    }

    /// What is to come answers the same request under another lease.
    pub(super) fn adopt(&mut self, access: Access, seen: u64) {
        self.needles = needles(&access);
        self.access = access;
        self.seen = seen;
    }

    /// Whether the upstream refuses a credential that can be renewed.
    pub(super) fn refused_credential(&mut self, headers: &Headers) -> Option<CredentialRefusal> {
        let refusal = self.renewable.as_ref().and_then(|_| CredentialRefusal::of(headers));
        if refusal.is_none() {
            // It was good, so there will be no need to send the request again.
            self.renewable = None;
        }
        refusal
    }

    /// Judges the head. `end_of_stream` says that there is no body. A host that cannot hold a request's headers shows no body
    /// either while a response's head waits.
    pub(super) fn on_headers(
        &mut self,
        worker: &Worker,
        headers: &Headers,
        end_of_stream: bool,
        gate: BodyGate,
    ) -> ResponseHead {
        self.is_error = is_error(headers);
        if self.is_from_service() && !is_answer_of_service(headers) {
            return ResponseHead::Reply(service_failed(self.request_id()));
        }
        if let Some(status) = failure(headers) {
            return ResponseHead::Reply(self.failed(status));
        }
        let subject = self.subject();
        let inspected = subject.is_inspected() && !end_of_stream;
        let (mut headers, plan) = match headers::judge(headers, inspected, &self.needles) {
            Head::Refuse(_) if self.is_from_service() => {
                return ResponseHead::Reply(service_failed(self.request_id()));
            }
            Head::Refuse(refusal) => return ResponseHead::Reply(self.refuse(refusal)),
            Head::Forward { headers, plan } => (headers, plan),
        };
        self.bind_session(&mut headers);
        let may_be_replaced = matches!(subject, Subject::Call(Some(_)));
        let hold = may_be_replaced
            && plan == BodyPlan::Json
            && !end_of_stream
            && !headers::is_longer(&headers, HELD_LIMIT);
        let plan = if hold { BodyPlan::HeldJson } else { plan };
        self.pipeline = Some(self.pipeline(worker, plan, subject));
        let waits = hold && gate == BodyGate::Hold;
        if hold && !waits {
            // Another body, if there will be one, goes under this head, which must not say how long it is.
            headers.retain(|(name, _)| name != b"content-length");
        }
        if !waits {
            return ResponseHead::Replace(headers);
        }
        self.held = Some(headers);
        ResponseHead::Hold
    }

    /// The client gets the upstream's session id in a form that is of use to this caller only.
    fn bind_session(&self, headers: &mut Headers) {
        let Access::Granted(lease) = &self.access else { return };
        if self.keeps_session {
            headers.retain(|(name, _)| name != SESSION_HEADER);
            return;
        }
        let Some(key) = &lease.session_key else { return };
        headers.retain_mut(|(name, value)| {
            if name != SESSION_HEADER {
                return true;
            }
            // One that is no text could not come back.
            let Ok(session) = std::str::from_utf8(value) else { return false };
            *value = session::bind(key, session).into_bytes();
            true
        });
    }

    fn pipeline(&self, worker: &Worker, plan: BodyPlan, subject: Subject) -> ResponsePipeline {
        let config = worker.config();
        let bounds = Bounds { json: config.max_list_bytes, held: HELD_LIMIT, event: config.max_event_bytes };
        let (needles, share) = (Arc::clone(&self.needles), worker.held().share());
        let view = self.server.payload.response.clone();
        let is_stream = matches!(plan, BodyPlan::Sse);
        let pipeline = ResponsePipeline::with_bounds(plan, subject, needles, view, bounds, share);
        // Notifications come in streams; and what the token-service answers is what it knows already.
        if !is_stream || self.is_from_service() {
            return pipeline;
        }
        pipeline.heard_by(worker.news().listener(&self.server.id))
    }

    /// Judges a response that came as a whole.
    pub(super) fn on_whole(&mut self, worker: &Worker, headers: &Headers, body: &[u8]) -> Whole {
        // All of it is here, so its head can wait on any host.
        let head = match self.on_headers(worker, headers, body.is_empty(), BodyGate::Hold) {
            ResponseHead::Reply(reply) => return Whole::Refused(reply),
            ResponseHead::Replace(headers) => Some(headers),
            ResponseHead::Hold | ResponseHead::Keep => None,
        };
        let body = match self.on_body(body, true) {
            ResponseChunk::Keep => body.to_vec(),
            ResponseChunk::Replace(body) => body,
        };
        let Some(head) = head.or_else(|| self.take_head()) else {
            return Whole::Refused(self.failed(Refusal::STATUS));
        };
        Whole::Answered(LocalReply::relayed(&head, body, self.relayed_as()))
    }

    fn relayed_as(&self) -> &'static str {
        match (self.is_from_service(), self.is_late) {
            (true, _) => "connect_required",
            (false, true) => "sent_late",
            (false, false) => "credential_renewed",
        }
    }

    pub(super) fn is_from_service(&self) -> bool {
        matches!(self.access, Access::ConnectRequired(_))
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

    pub(super) fn refuse(&self, refusal: Refusal) -> LocalReply {
        self.reply(Refusal::STATUS, code::RESPONSE_REJECTED, refusal.message(), refusal.reason())
    }

    pub(super) fn failed(&self, status: u32) -> LocalReply {
        failed(status, self.request_id())
    }

    fn reply(&self, status: u32, code: i32, message: &str, reason: &str) -> LocalReply {
        LocalReply::with_body(status, code, error_body(self.request_id(), code, message, None), reason)
    }

    pub(super) fn on_body(&mut self, chunk: &[u8], end_of_stream: bool) -> ResponseChunk {
        match &mut self.pipeline {
            Some(pipeline) => pipeline.push(self.access.policy(), chunk, end_of_stream),
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
        let Some(pipeline) = &self.pipeline else { return };
        let observed = pipeline.observed();
        if let Some(mut excerpt) = observed.excerpt.clone() {
            if self.is_from_service() {
                excerpt.text = payload::without_tickets(&excerpt.text);
            }
            record.response(excerpt);
        }
        if let Some(code) = observed.error_code {
            record.set("error_code", code.to_string());
        }
        if observed.tool_error {
            record.set("tool_error", "true");
        }
        if let Some(events) = observed.events {
            record.set("events", events.to_string());
        }
        record.measured.response(observed.tool_error, observed.masked_bytes);
        if observed.credential_echoed {
            record.set("rule", "credential_echo_masked");
        }
    }

    /// The answer has come to its end.
    pub(super) fn complete(&self, record: &mut Record) {
        let was_rejected = self.pipeline.as_ref().is_some_and(|pipeline| pipeline.observed().rejected);
        record.ended(if was_rejected { Ended::Rejected } else { Ended::Complete });
        self.report(record);
    }
}

/// The answer to a request whose id is not known yet.
pub(super) fn upstream_failed(status: u32) -> LocalReply {
    failed(status, None)
}

fn failed(status: u32, id: Option<&Id>) -> LocalReply {
    let message = "The server behind the gateway could not be reached, or failed. Try again; if it stays like this, tell \
                   whoever runs the server.";
    let body = error_body(id, code::UNAVAILABLE, message, None);
    LocalReply::with_body(status, code::UNAVAILABLE, body, "upstream_failed")
}

/// What the upstream must not send back.
fn needles(access: &Access) -> Arc<Needles> {
    Arc::new(match access {
        Access::Granted(lease) => Needles::of_headers(&lease.credential_headers),
        Access::ConnectRequired(_) => Needles::of_headers(&[]),
    })
}

/// Whether the token-service made this response, and not Envoy because it could not reach it.
fn is_answer_of_service(headers: &Headers) -> bool {
    let marked = headers
        .iter()
        .any(|(name, value)| name == MARKER_HEADER.as_bytes() && value == CONTRACT_VERSION.as_bytes());
    let failed = headers
        .iter()
        .any(|(name, value)| name == b":status" && value.first().is_none_or(|digit| *digit == b'5'));
    marked && !failed
}

fn is_error(headers: &Headers) -> bool {
    let status = headers.iter().find(|(name, _)| name == b":status").and_then(|(_, value)| value.first());
    status.is_some_and(|digit| *digit >= b'4')
}

/// The status, if the upstream failed without an answer in the protocol: Envoy's own reply when it cannot reach it, or
/// the error page of something in between. Statuses below 500 stay as they are, because clients find out by them
/// which transport and era a server speaks.
pub(super) fn failure(headers: &Headers) -> Option<u32> {
    let value =
        |name: &[u8]| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_slice());
    let status = std::str::from_utf8(value(b":status")?).ok()?.parse().ok()?;
    let media_type = value(b"content-type").unwrap_or_default().to_ascii_lowercase();
    let in_protocol =
        media_type.starts_with(b"application/json") || media_type.starts_with(b"text/event-stream");
    (status >= 500 && !in_protocol).then_some(status)
}
