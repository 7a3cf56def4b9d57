//! What a caller is told when policy takes away what it asked for: the same as if it did not exist.

use portcullis_wire::policy::{ArgumentRule, Kind};
use serde_json::json;

use super::fault::{Fault, error_body};
use super::message::MessageKind;
use super::method::Method;
use super::request::Request;
use super::targets::Target;
use super::version::Era;
use crate::reply::{LocalReply, code};

/// The answer to a request whose `target` is denied.
///
/// The words are those of the specification's own examples for names that do not exist, and nothing in them depends
/// on why the target is denied.
pub fn denial(request: &Request, target: &Target) -> LocalReply {
    let name = &target.name;
    let (code, message, data) = match target.kind {
        Kind::Tool => (code::INVALID_PARAMS, format!("Unknown tool: {name}"), None),
        Kind::Prompt => (code::INVALID_PARAMS, format!("Unknown prompt: {name}"), None),
        Kind::Resource => {
            // Only what addresses a resource itself had a code of its own; completion never did.
            let has_own_code =
                request.era == Era::Legacy && request.method != Some(Method::CompletionComplete);
            let code = if has_own_code { code::RESOURCE_NOT_FOUND } else { code::INVALID_PARAMS };
            (code, "Resource not found".to_owned(), Some(json!({ "uri": name })))
        }
    };
    let body = error_body(request.id.as_ref(), code, &message, data.as_ref());
    LocalReply::with_body(200, code, body, "policy_denied")
}

/// The answer to a call of a tool that the caller has, with an argument that policy does not take.
///
/// A result and no error: models are shown results, and this one can do better. It names the argument, which the caller
/// knows, and not what it should be: that is the administrator's to tell.
pub fn argument_denial(request: &Request, rule: &ArgumentRule) -> LocalReply {
    let text = format!(
        "The gateway did not send this call to the server: policy does not allow it with this value of the argument {}, \
         or without it. Use another value, or ask an administrator of the gateway which ones are allowed.",
        rule.argument
    );
    let content = json!([{ "type": "text", "text": text }]);
    let result = match request.era {
        Era::Modern => json!({ "content": content, "isError": true, "resultType": "complete" }),
        Era::Legacy => json!({ "content": content, "isError": true }),
    };
    let id = request.id.as_ref().map(|id| format!(r#""id":{},"#, id.as_json())).unwrap_or_default();
    let body = format!(r#"{{"jsonrpc":"2.0",{id}"result":{result}}}"#);
    LocalReply::with_body(200, code::POLICY_DENIED, body.into_bytes(), "policy_denied")
}

/// The answer to a request whose whole method is denied: as if the server did not have it.
pub fn method_denial(request: &Request) -> LocalReply {
    let answered = request.kind == MessageKind::Request;
    let fault = Fault::method_not_found(&request.method_name, request.era, answered);
    Fault { id: request.id.clone().filter(|_| answered), ..fault }.reply()
}
