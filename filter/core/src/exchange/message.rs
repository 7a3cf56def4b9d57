//! What a request says, in its MCP headers and its body, held against the policy.

use portcullis_wire::digest::Digest;
use portcullis_wire::policy::{Decision, Policy};
use portcullis_wire::watch::ServerEntry;

use super::head::{Head, Verb};
use super::record::Record;
use crate::json::Limits;
use crate::mcp::{self, McpHeaders, Request, Target};
use crate::payload;
use crate::reply::LocalReply;

/// Reads the message and holds its names against the policy.
pub(super) fn judge_message(
    bytes: &[u8],
    mcp: &McpHeaders,
    server: &ServerEntry,
    policy: &Policy,
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
        check_policy(&request, target, policy, record)?;
    }
    Ok(request)
}

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
pub(super) fn read_headers(head: &Head, record: &mut Record, limit: usize) -> Result<McpHeaders, LocalReply> {
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

/// Session ids are bearer tokens of a kind: logs hold enough to tell them apart and no more.
fn short_digest(text: &str) -> String {
    Digest::of("session", &[text.as_bytes()]).to_string().chars().take(16).collect()
}
