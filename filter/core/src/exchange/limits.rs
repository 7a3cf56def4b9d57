//! What the caller's own credential takes away, where policy allows.

use portcullis_wire::lease::CredentialLimits;
use portcullis_wire::policy::Kind;

use super::Surroundings;
use super::refusals::wrong_source;
use crate::mcp::Request;
use crate::networks;
use crate::origin::SourceFault;
use crate::reply::LocalReply;

/// Whether the client's address is one that the credential may be used from. It is asked for only where that matters.
pub(super) fn judge_source(limits: &CredentialLimits, around: &Surroundings<'_>) -> Result<(), LocalReply> {
    if limits.sources.is_empty() {
        return Ok(());
    }
    match (around.source)() {
        Some(source) if networks::admit(&limits.sources, &source) => Ok(()),
        _ => Err(wrong_source(SourceFault::Address)),
    }
}

/// Whether a request calls a tool for which the scopes of its access token are too narrow.
pub(super) fn lacks_scope(limits: &CredentialLimits, request: &Request) -> bool {
    let Some(reading) = &limits.reading_tools else { return false };
    let mut tools = request.targets.iter().filter(|target| target.kind == Kind::Tool);
    tools.any(|target| !reading.contains(&target.name))
}
