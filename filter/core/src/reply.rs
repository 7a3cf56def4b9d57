//! Answers that the gateway gives itself.
//!
//! Each has a JSON-RPC error body, whatever its status: a client that speaks both eras takes a bare 400, 404 or 405
//! for a legacy server and remembers that (MCP 2026-07-28, basic/versioning).

use serde_json::{Map, Value, json};

/// JSON-RPC error codes of the gateway's own. MCP reserves -32020 to -32099 and asks for new codes outside -32768 to
/// -32000 (2026-07-28, basic/index).
pub mod code {
    /// Not allowed for this caller.
    pub const POLICY_DENIED: i64 = -31_001;
    /// The gateway cannot decide now, or cannot reach the upstream; nothing was done.
    pub const UNAVAILABLE: i64 = -31_003;
    /// The request could be read in more than one way.
    pub const AMBIGUOUS_REQUEST: i64 = -31_004;
    /// The upstream's answer broke a bound or a rule.
    pub const RESPONSE_REJECTED: i64 = -31_005;
    /// Too much at once.
    pub const RATE_LIMITED: i64 = -31_006;
    /// No valid gateway credential.
    pub const UNAUTHENTICATED: i64 = -31_007;
    /// JSON-RPC: the request is not a valid request object.
    pub const INVALID_REQUEST: i64 = -32_600;
    /// JSON-RPC: the method does not exist.
    pub const METHOD_NOT_FOUND: i64 = -32_601;
}

/// A complete response made by the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    pub status: u32,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Response-code details for the access log: `portcullis_<reason>`.
    pub details: String,
    /// The JSON-RPC error code in the body, for the access log.
    pub code: i64,
}

impl LocalReply {
    /// A reply with a JSON-RPC error that answers no particular request, for failures before the body is read.
    /// `reason` is in snake case.
    pub fn error(status: u32, code: i64, message: &str, reason: &str) -> Self {
        let mut error = Map::new();
        error.insert("code".into(), code.into());
        error.insert("message".into(), message.into());
        error.insert("data".into(), json!({ "reason": reason }));
        let body = json!({ "jsonrpc": "2.0", "id": Value::Null, "error": error });
        Self::with_body(status, code, body.to_string().into_bytes(), reason)
    }

    /// A reply around a JSON-RPC message that is ready made.
    pub fn with_body(status: u32, code: i64, body: Vec<u8>, reason: &str) -> Self {
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("cache-control".to_owned(), "no-store".to_owned()),
        ];
        Self { status, headers, body, details: format!("portcullis_{reason}"), code }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The path names no server, or none that this caller has: deliberately the same answer.
    pub fn unknown_server() -> Self {
        Self::error(
            404,
            code::METHOD_NOT_FOUND,
            "There is no MCP server at this address for you. Check the URL, which is https://<gateway>/<server>/mcp, \
             or ask an administrator to provision the server for your workspace.",
            "unknown_server",
        )
    }

    /// 503 with `Retry-After`.
    pub fn unavailable(reason: &str, message: &str, retry_after_ms: u64) -> Self {
        let seconds = retry_after_ms.div_ceil(1000).max(1);
        Self::error(503, code::UNAVAILABLE, message, reason).header("retry-after", seconds.to_string())
    }

    /// The body is larger than the gateway reads.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("The request body is larger than the {limit} bytes that this gateway accepts. Send less at once.");
        Self::error(413, code::INVALID_REQUEST, &message, "request_too_large")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_is_a_json_rpc_error_that_nobody_caches() {
        let reply = LocalReply::unavailable("token_service_down", "later", 1_500);
        let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!(body["jsonrpc"], "2.0");
        assert_eq!(body["error"]["code"], code::UNAVAILABLE);
        assert_eq!(body["error"]["data"]["reason"], "token_service_down");
        assert!(reply.headers.contains(&("retry-after".into(), "2".into())));
        assert!(reply.headers.contains(&("cache-control".into(), "no-store".into())));
        assert_eq!(reply.details, "portcullis_token_service_down");
    }
}
