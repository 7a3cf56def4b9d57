//! From a request's head to its release: the order of decisions.
//!
//! Path and slug, `Origin` and `Host`, caller, lease, body, protocol, policy. The first step that fails answers, and
//! nothing reaches the upstream before the last one.

use std::rc::Rc;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::{CallerProof, DenyReason, Lease, LeaseRequest};
use portcullis_wire::policy::{Decision, Policy};
use portcullis_wire::watch::ServerEntry;

use super::answering::Forwarded;
use super::head::{Head, Verb};
use super::record::Record;
use super::{ReadBody, Surroundings, forward};
use crate::identity::{Credential, Fault as CredentialFault, bearer};
use crate::json::Limits;
use crate::leases::LeaseKey;
use crate::mcp::{self, McpHeaders, Request, Target};
use crate::origin::SourceFault;
use crate::path::{self, Route};
use crate::payload;
use crate::registry::Registry;
use crate::reply::{LocalReply, code};
use crate::step::Headers;
use crate::worker::{LeaseState, Readiness, Worker};

/// A request that is not decided yet.
#[derive(Debug)]
pub(super) struct Judging {
    head: Head,
    route: Route,
    /// Gathered once somebody with access asks.
    mcp: Option<McpHeaders>,
    credential: Credential,
    /// Set once the credential is found good, for the token-service if there is no lease yet.
    proof: Option<CallerProof>,
    body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Incomplete,
    Complete,
    /// The headers ended the stream.
    Absent,
}

/// How far the decision has come.
#[derive(Debug)]
pub(super) enum Progress {
    Waiting,
    Released(Headers, Box<Forwarded>),
}

impl Judging {
    /// Everything that the head alone decides.
    pub(super) fn begin(
        headers: Headers,
        end_of_stream: bool,
        worker: &Worker,
        record: &mut Record,
    ) -> Result<Self, LocalReply> {
        let config = worker.config();
        let head = Head::read(headers)?;
        let route = path::parse(&head.path).ok_or_else(LocalReply::unknown_server)?;
        record.set("server", route.server.as_str());
        record.set("trace_id", head.trace_id().unwrap_or_default());
        config.allowed.judge(&head.headers).map_err(wrong_source)?;
        let credential = bearer::find(&head.headers).map_err(unauthenticated)?;
        let body = if end_of_stream { Body::Absent } else { Body::Incomplete };
        Ok(Self { head, route, mcp: None, credential, proof: None, body })
    }

    /// Notes what has come of the body. `size` is the sum so far, in bytes.
    pub(super) fn on_body(
        &mut self,
        size: usize,
        end_of_stream: bool,
        worker: &Worker,
    ) -> Result<(), LocalReply> {
        let limit = worker.config().max_request_bytes;
        if size > limit {
            return Err(LocalReply::too_large(limit));
        }
        if self.head.verb != Verb::Post && size > 0 {
            return Err(unexpected_body());
        }
        if end_of_stream {
            self.body = Body::Complete;
        }
        Ok(())
    }

    /// Decides as far as it can be decided now.
    pub(super) fn decide(
        &mut self,
        stream: u32,
        worker: &mut Worker,
        record: &mut Record,
        body: ReadBody<'_>,
        around: &Surroundings<'_>,
    ) -> Result<Progress, LocalReply> {
        let registry = match worker.readiness(stream, around.now_ms) {
            Readiness::Ready(registry) => registry,
            Readiness::Waiting => return Ok(Progress::Waiting),
            Readiness::Unready => return Err(no_answer(RETRY_SOON_MS)),
        };
        let server = registry.server(&self.route.server).ok_or_else(LocalReply::unknown_server)?;
        let Some(lease) = self.lease(stream, worker, &registry, server, around)? else {
            return Ok(Progress::Waiting);
        };
        record.caller(&lease);
        let mcp = if let Some(mcp) = &self.mcp {
            mcp
        } else {
            let mcp = read_headers(&self.head, record, worker.config().max_request_bytes)?;
            self.mcp.insert(mcp)
        };
        if self.body == Body::Incomplete {
            return Ok(Progress::Waiting);
        }
        let request = match self.head.verb {
            Verb::Post => {
                let bytes = self.body.read(body)?;
                Some(judge_message(&bytes, mcp, server, &lease, record)?)
            }
            Verb::Get | Verb::Delete => None,
        };
        let headers = forward::headers(&self.head, &server.upstream, &lease.credential_headers);
        let forwarded = Forwarded::new(Rc::clone(server), lease, request);
        Ok(Progress::Released(headers, Box::new(forwarded)))
    }

    /// The lease for this request, if it is there. Asked for again after every wait, so that a revocation which
    /// arrives while the body is under way still counts.
    fn lease(
        &mut self,
        stream: u32,
        worker: &mut Worker,
        registry: &Registry,
        server: &ServerEntry,
        around: &Surroundings<'_>,
    ) -> Result<Option<Rc<Lease>>, LocalReply> {
        let proof = if let Some(proof) = &self.proof {
            proof
        } else {
            let resource = path::resource_url(&worker.config().public_url, &self.route);
            let proof =
                worker.identify(&self.credential, registry, &resource, around).map_err(unauthenticated)?;
            self.proof.insert(proof)
        };
        let key = LeaseKey {
            credential: self.credential.digest,
            workspace: self.route.workspace.clone(),
            server_id: server.id.clone(),
        };
        let request = || LeaseRequest {
            server: self.route.server.clone(),
            workspace: self.route.workspace.clone(),
            proof: proof.clone(),
            rejected: None,
        };
        match worker.lease(stream, &key, request, around.now_ms) {
            LeaseState::Granted(lease) => Ok(Some(lease)),
            LeaseState::Waiting => Ok(None),
            LeaseState::Denied(reason) => Err(denied(reason)),
            LeaseState::Unavailable { retry_after_ms } => Err(no_answer(retry_after_ms)),
        }
    }
}

impl Body {
    fn read(self, body: ReadBody<'_>) -> Result<Vec<u8>, LocalReply> {
        if self == Self::Absent {
            return Ok(Vec::new());
        }
        let message = "The gateway could not read the request body. Try again.";
        body().ok_or_else(|| LocalReply::unavailable("body_unreadable", message, RETRY_SOON_MS))
    }
}

/// Reads the message and holds its names against the policy.
fn judge_message(
    bytes: &[u8],
    mcp: &McpHeaders,
    server: &ServerEntry,
    lease: &Lease,
    record: &mut Record,
) -> Result<Request, LocalReply> {
    let request = mcp::read_request(bytes, mcp, &Limits::default()).map_err(|fault| {
        record.set("method", fault.method_name.as_deref().unwrap_or_default());
        fault.reply()
    })?;
    record.set("method", request.method_name.as_str());
    record.set("version", request.version.as_str());
    if let Some(target) = request.targets.first() {
        record.target(target.kind, &target.name);
    }
    let parameters = request.params.clone().and_then(|span| bytes.get(span)).unwrap_or_default();
    let parameters = payload::excerpt(server.payload, parameters, payload::DEFAULT_LIMIT);
    record.set("parameters", parameters.unwrap_or_default());
    for target in &request.targets {
        check_policy(&request, target, &lease.policy, record)?;
    }
    Ok(request)
}

const RETRY_SOON_MS: u64 = 2_000;

fn check_policy(
    request: &Request,
    target: &Target,
    policy: &Policy,
    record: &mut Record,
) -> Result<(), LocalReply> {
    match policy.decide(target.kind, &target.name) {
        Decision::Allowed => Ok(()),
        decision @ Decision::Denied { .. } => {
            record.target(target.kind, &target.name);
            record.denied_by_policy(target.kind, decision);
            Err(mcp::denial(request, target))
        }
    }
}

/// The MCP headers, and what the head says about the body: its type, its encoding, its size.
fn read_headers(head: &Head, record: &mut Record, limit: usize) -> Result<McpHeaders, LocalReply> {
    let mcp = McpHeaders::gather(&head.headers).map_err(|fault| fault.reply())?;
    if let Some(session) = &mcp.session_id {
        record.set("session", short_digest(session));
    }
    if head.verb != Verb::Post {
        // GET and DELETE are for the sessions of legacy versions.
        mcp::read_bodiless(&mcp).map_err(|fault| fault.reply())?;
        return Ok(mcp);
    }
    mcp::check_media_type(&head.headers).map_err(|fault| fault.reply())?;
    if head.content_length().is_some_and(|length| length > limit) {
        return Err(LocalReply::too_large(limit));
    }
    Ok(mcp)
}

fn unexpected_body() -> LocalReply {
    LocalReply::error(
        400,
        code::INVALID_REQUEST,
        "GET and DELETE have no body here. Use POST to send a message.",
        "unexpected_body",
    )
}

fn no_answer(retry_after_ms: u64) -> LocalReply {
    LocalReply::unavailable(
        "token_service_unavailable",
        "The gateway cannot decide about this request now, because it has no answer from its token-service. Nothing was \
         sent to the server. Try again.",
        retry_after_ms,
    )
}

fn wrong_source(fault: SourceFault) -> LocalReply {
    LocalReply::error(fault.status(), code::INVALID_REQUEST, &fault.to_string(), fault.reason())
}

fn unauthenticated(fault: CredentialFault) -> LocalReply {
    let code = if fault.status() == 503 { code::UNAVAILABLE } else { code::UNAUTHENTICATED };
    let mut reply = LocalReply::error(fault.status(), code, &fault.to_string(), fault.reason());
    if let Some(challenge) = fault.challenge(None) {
        reply = reply.header("www-authenticate", challenge);
    }
    match fault.retry_after_seconds() {
        Some(seconds) => reply.header("retry-after", seconds.to_string()),
        None => reply,
    }
}

/// What a caller may know of a refused lease.
fn denied(reason: DenyReason) -> LocalReply {
    match reason {
        DenyReason::UnknownCredential => unauthenticated(CredentialFault::Unknown),
        DenyReason::ExpiredCredential => unauthenticated(CredentialFault::Expired),
        DenyReason::DisabledCredential => unauthenticated(CredentialFault::Disabled),
        DenyReason::WrongWorkspace => LocalReply::error(
            403,
            code::POLICY_DENIED,
            "This credential belongs to another workspace than the one in the URL. Use the URL of your workspace.",
            "wrong_workspace",
        ),
        DenyReason::UnknownServer => LocalReply::unknown_server(),
        DenyReason::CredentialUnavailable => LocalReply::error(
            503,
            code::UNAVAILABLE,
            "The gateway holds no usable credential for this server. An administrator has to set it.",
            "credential_unavailable",
        ),
        DenyReason::MemberRequired => LocalReply::error(
            403,
            code::POLICY_DENIED,
            "This server needs an account of each person, and no person is behind a service key. Use the key of a member.",
            "member_required",
        ),
        DenyReason::TooManyScopes => LocalReply::error(
            403,
            code::POLICY_DENIED,
            "This server has asked for further permissions several times within the hour. Try again in an hour, or connect the account anew.",
            "too_many_scopes",
        ),
    }
}

/// Session ids are bearer tokens of a kind: logs hold enough to tell them apart and no more.
fn short_digest(text: &str) -> String {
    Digest::of("session", &[text.as_bytes()]).to_string().chars().take(16).collect()
}
