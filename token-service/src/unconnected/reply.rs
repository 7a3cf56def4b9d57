//! The HTTP answer to a message, and JSON-RPC around what it says.

use serde_json::value::RawValue;
use serde_json::{Value, json};

/// JSON-RPC error codes; the gateway's own are those of the filter (`reply.rs` there).
pub(super) mod code {
    pub(in crate::unconnected) const PARSE_ERROR: i32 = -32700;
    pub(in crate::unconnected) const INVALID_REQUEST: i32 = -32600;
    pub(in crate::unconnected) const METHOD_NOT_FOUND: i32 = -32601;
    pub(in crate::unconnected) const INVALID_PARAMS: i32 = -32602;
    /// MCP 2025-11-25 only.
    pub(in crate::unconnected) const URL_ELICITATION_REQUIRED: i32 = -32042;
    /// The member has to connect an account; `data.authorizationUrl` is where.
    pub(in crate::unconnected) const CONNECT_REQUIRED: i32 = -31002;
    /// Nothing was done; later it may be.
    pub(in crate::unconnected) const UNAVAILABLE: i32 = -31003;
}

/// A whole HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// JSON.
    pub(crate) body: Option<String>,
    /// `Mcp-Session-Id`.
    pub(crate) session: Option<String>,
    /// `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u64>,
}

impl Answer {
    pub(super) fn empty(status: u16) -> Self {
        Self { status, body: None, session: None, retry_after: None }
    }

    pub(super) fn result(id: &RawValue, result: &str) -> Self {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        Self { body: Some(body), ..Self::empty(200) }
    }

    /// Without an id where there is none to name, as MCP's schema has it.
    pub(super) fn error(status: u16, id: Option<&RawValue>, code: i32, message: &str, data: &Value) -> Self {
        let id = id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
        let (message, data) =
            (Value::from(message), if data.is_null() { String::new() } else { format!(r#","data":{data}"#) });
        let body = format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":{code},"message":{message}{data}}}}}"#);
        Self { body: Some(body), ..Self::empty(status) }
    }

    /// A request that cannot be read or is not for here.
    pub(super) fn refusal(id: Option<&RawValue>, code: i32, message: &str) -> Self {
        Self::error(400, id, code, message, &Value::Null)
    }

    /// 503: nothing was done, and the same request may work soon.
    pub(crate) fn unavailable(id: Option<&RawValue>, reason: &str, message: &str) -> Self {
        let answer = Self::error(503, id, code::UNAVAILABLE, message, &json!({"reason": reason}));
        Self { retry_after: Some(1), ..answer }
    }

    /// The body is longer than what is read.
    pub(crate) fn too_large() -> Self {
        let text = "The message is too large, or broke off.";
        Self::error(413, None, code::INVALID_REQUEST, text, &Value::Null)
    }

    /// 405, which says that messages of the server come with answers only.
    pub(crate) fn no_stream() -> Self {
        let text = "There is no stream here before the account is connected.";
        Self::error(405, None, code::INVALID_REQUEST, text, &Value::Null)
    }

    /// 404, on which a client starts a session anew (MCP, transports, "Session Management").
    pub(super) fn unknown_session(id: Option<&RawValue>) -> Self {
        let message = "This session is over. Start a new one with `initialize`.";
        Self::error(404, id, code::INVALID_REQUEST, message, &json!({"reason": "unknown_session"}))
    }
}
