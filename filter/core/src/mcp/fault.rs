//! A refusal: what is wrong with a request, in the form its client understands.

use serde_json::{Value, json};

use super::message::Id;
use super::version::{Era, ProtocolVersion};
use crate::json::{ErrorClass, ReadError};
use crate::reply::{LocalReply, code};

/// A request that is refused before policy is asked.
///
/// It always has a JSON-RPC body: a client that speaks both eras takes a bare 400, 404 or 405 to mean an old server,
/// and remembers that for the whole origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// HTTP status.
    pub status: u32,
    /// See [`code`].
    pub code: i32,
    /// What is wrong and what to do about it. May repeat short parts of the request.
    pub message: String,
    pub data: Option<Value>,
    /// The request's id, if it could be read and the answer is to be matched by it.
    pub id: Option<Id>,
    /// The request's method, if it could be read; for the record, not for the answer.
    pub method_name: Option<Box<str>>,
    /// `snake_case`; Envoy's response-code details are `portcullis_<reason>`.
    pub reason: &'static str,
}

/// Longest part of a request that is repeated in a message, in characters.
const LONGEST_QUOTE: usize = 64;

impl Fault {
    pub(super) fn new(status: u32, code: i32, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), data: None, id: None, method_name: None, reason }
    }

    pub(super) fn invalid_request(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, code::INVALID_REQUEST, reason, message)
    }

    pub(super) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(400, code::INVALID_PARAMS, "invalid_params", message)
    }

    pub(super) fn ambiguous(message: impl Into<String>) -> Self {
        Self::new(400, code::AMBIGUOUS_REQUEST, "ambiguous_request", message)
    }

    pub(super) fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(400, code::HEADER_MISMATCH, "header_mismatch", message)
    }

    /// `supported` are the versions worth trying instead.
    pub(super) fn unsupported_version(requested: &str, supported: &[ProtocolVersion]) -> Self {
        let supported: Vec<_> = supported.iter().map(|version| version.as_str()).collect();
        let message = format!(
            "protocol version {} is not supported here; use {}",
            quote(requested),
            supported.join(" or ")
        );
        let data = json!({"supported": supported, "requested": requested});
        let fault =
            Self::new(400, code::UNSUPPORTED_PROTOCOL_VERSION, "unsupported_protocol_version", message);
        Self { data: Some(data), ..fault }
    }

    /// `answered` says whether the client waits for an answer; a notification is refused by HTTP status only.
    pub(super) fn method_not_found(method: &str, era: Era, answered: bool) -> Self {
        let status = match (era, answered) {
            (Era::Modern, _) => 404,
            (Era::Legacy, true) => 200,
            (Era::Legacy, false) => 400,
        };
        let message = format!("Method not found: {}", quote(method));
        Self::new(status, code::METHOD_NOT_FOUND, "method_not_found", message)
    }

    /// The JSON-RPC error response.
    pub fn body(&self) -> Vec<u8> {
        error_body(self.id.as_ref(), self.code, &self.message, self.data.as_ref())
    }

    /// The whole answer.
    pub fn reply(&self) -> LocalReply {
        let reply = LocalReply::with_body(self.status, self.code, self.body(), self.reason);
        if self.status == 405 { reply.header("allow", "POST") } else { reply }
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        let (code, reason, what) = match error.kind.class() {
            ErrorClass::Syntax => (code::PARSE_ERROR, "invalid_json", "the body is not valid JSON"),
            ErrorClass::Ambiguity => {
                (code::AMBIGUOUS_REQUEST, "ambiguous_request", "parsers differ on what the body says")
            }
            ErrorClass::Bound => (code::INVALID_REQUEST, "body_too_complex", "the body holds too much"),
        };
        Self::new(400, code, reason, format!("{what}: {error}"))
    }
}

/// A JSON-RPC error response. Without an id the member is left out, as MCP's schema has it; JSON-RPC's own `null`
/// does not fit that schema, and a client may take what does not fit for an old server's answer.
pub fn error_body(id: Option<&Id>, code: i32, message: &str, data: Option<&Value>) -> Vec<u8> {
    let id = id.map(|id| format!(r#""id":{},"#, id.as_json())).unwrap_or_default();
    let data = data.map(|data| format!(r#","data":{data}"#)).unwrap_or_default();
    let message = Value::from(message);
    format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":{code},"message":{message}{data}}}}}"#).into_bytes()
}

/// A part of the request, quoted and cut for a message.
pub(super) fn quote(text: &str) -> String {
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(LONGEST_QUOTE).collect();
    if characters.next().is_some() { format!("{start:?}...") } else { format!("{start:?}") }
}
