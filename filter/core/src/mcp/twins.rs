//! Keys that some parsers take for a protocol key though they are spelt differently.

use portcullis_wire::policy::same_but_for_case;

use crate::json::Value;

use super::fault::{Fault, quote};

/// Members of a JSON-RPC message.
pub(super) const ROOT: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

/// Members of `params` that some method gives a meaning.
pub(super) const PARAMS: &[&str] = &[
    "_meta",
    "name",
    "uri",
    "arguments",
    "taskId",
    "ref",
    "notifications",
    "cursor",
    "protocolVersion",
    "capabilities",
    "clientInfo",
    "inputResponses",
    "requestState",
    "task",
    "argument",
    "context",
    "level",
    "requestId",
    "progressToken",
];

/// Members of `params._meta` that the protocol gives a meaning.
pub(super) const META: &[&str] = &[
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/related-task",
    "io.modelcontextprotocol/subscriptionId",
    "progressToken",
];

/// Members of `params.ref` of `completion/complete`.
pub(super) const REFERENCE: &[&str] = &["type", "name", "uri"];

/// Members of `params.notifications` of `subscriptions/listen`.
pub(super) const SUBSCRIPTIONS: &[&str] =
    &["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions", "taskIds"];

/// Refuses a key of `object` that equals one of `known` but for its case. Go's decoder takes such a key for the known
/// one; others do not. `place` says where the object is, for the message.
pub(super) fn refuse(object: Value<'_, '_>, known: &[&str], place: &str) -> Result<(), Fault> {
    for (key, _) in object.members() {
        if known.contains(&key.as_ref()) {
            continue;
        }
        if let Some(twin) = known.iter().find(|known| same_but_for_case(&key, known)) {
            return Err(Fault::ambiguous(format!(
                "key {} in {place} differs from {twin:?} only in case; some parsers take one for the other",
                quote(&key)
            )));
        }
    }
    Ok(())
}
