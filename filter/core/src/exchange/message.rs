//! What a request says, in its MCP headers and its body, held against the policy.

use portcullis_wire::digest::Digest;
use portcullis_wire::policy::{CompiledPolicy, Decision, Kind, Rule};

use super::head::{Head, Verb};
use super::record::Record;
use super::refusals::unverified_tool;
use crate::json::{Document, Limits};
use crate::mcp::{self, Fault, McpHeaders, Request, Target};
use crate::payload;
use crate::registry::Server;
use crate::reply::LocalReply;

/// What a message is judged by.
pub(super) struct Rules<'a> {
    pub(super) policy: &'a CompiledPolicy,
    /// Nobody knows at present whether it still is the caller's.
    pub(super) is_unverified: bool,
}

/// Reads the message and holds its names against the policy.
pub(super) fn judge_message(
    bytes: &[u8],
    mcp: &McpHeaders,
    server: &Server,
    rules: &Rules<'_>,
    record: &mut Record,
) -> Result<Request, LocalReply> {
    let request = mcp::read_request(bytes, mcp, &Limits::default()).map_err(|fault| {
        record.method(fault.method_name.as_deref().unwrap_or_default());
        record.rpc_id(fault.id.as_ref());
        fault.reply()
    })?;
    record.method(&request.method_name);
    record.rpc_id(request.id.as_ref());
    record.set("version", request.version.as_str());
    record.client(request.client.as_ref());
    record.cancels(request.cancels.as_ref());
    if let Some(target) = request.targets.first() {
        record.target(target.kind, &target.name);
        if target.kind == Kind::Tool {
            let is_known = server.knows_tool(&target.name) || rules.policy.names_tool(&target.name);
            record.measured.tool(is_known);
        }
    }
    let parameters = request.params.clone().and_then(|span| bytes.get(span)).unwrap_or_default();
    record.parameters(payload::excerpt(&server.payload.parameters, parameters));
    for target in &request.targets {
        check_policy(&request, target, bytes, rules, record)?;
    }
    Ok(request)
}

fn check_policy(
    request: &Request,
    target: &Target,
    bytes: &[u8],
    rules: &Rules<'_>,
    record: &mut Record,
) -> Result<(), LocalReply> {
    let policy = rules.policy;
    let arguments = read_arguments(request, target, bytes, policy)?;
    let decision = match target.kind {
        Kind::Tool => {
            let arguments = arguments.as_ref().map(Document::root);
            policy.decide_call(&target.name, arguments, rules.is_unverified)
        }
        Kind::Prompt | Kind::Resource => policy.decide(target.kind, &target.name),
    };
    let Decision::Denied { rule, .. } = decision else { return Ok(()) };
    record.target(target.kind, &target.name);
    record.denied_by_policy(target.kind, decision);
    Err(match rule {
        Rule::Argument(rule) => mcp::argument_denial(request, rule),
        Rule::Sensitive => unverified_tool(request.id.as_ref()),
        Rule::Deny(_) | Rule::NotAllowed | Rule::ReadOnly | Rule::NewTool => mcp::denial(request, target),
    })
}

/// The arguments of a call, down to the last, where they matter. They were found good with the rest of the body.
fn read_arguments<'a>(
    request: &Request,
    target: &Target,
    bytes: &'a [u8],
    policy: &CompiledPolicy,
) -> Result<Option<Document<'a>>, LocalReply> {
    if target.kind != Kind::Tool || !policy.judges_arguments(&target.name) {
        return Ok(None);
    }
    let arguments = request.arguments.clone().and_then(|span| bytes.get(span));
    let read = |text| Document::read(text, &Limits::default()).map_err(|error| Fault::from(error).reply());
    arguments.map(read).transpose()
}

/// The MCP headers, and what the head says about the body: its type, its encoding, its size.
pub(super) fn read_headers(head: &Head, record: &mut Record, limit: usize) -> Result<McpHeaders, LocalReply> {
    let mcp = McpHeaders::gather(&head.headers).map_err(|fault| fault.reply())?;
    if let Some(session) = &mcp.session_id {
        record.set("session", short_digest(session));
    }
    if head.verb != Verb::Post {
        // GET and DELETE are for the sessions of legacy versions.
        record.measured.without_message(if head.verb == Verb::Get { "GET" } else { "DELETE" });
        let version = mcp::read_bodiless(&mcp).map_err(|fault| fault.reply())?;
        record.set("version", version.as_str());
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
