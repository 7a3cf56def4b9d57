//! Answers that the gateway gives itself.
//!
//! Each has a JSON-RPC error body, whatever its status: a client that speaks both eras takes a bare 400, 404 or 405
//! for a legacy server and remembers that (MCP 2026-07-28, basic/versioning).

use serde_json::json;

use crate::mcp::error_body;
use crate::step::Headers;

/// JSON-RPC error codes. Those from -32099 to -32000 belong to MCP, and the gateway's own lie outside of JSON-RPC's
/// reserved range, as MCP 2026-07-28 (basic/index) asks.
pub mod code {
    pub const PARSE_ERROR: i32 = -32700;
    pub const INVALID_REQUEST: i32 = -32600;
    pub const METHOD_NOT_FOUND: i32 = -32601;
    pub const INVALID_PARAMS: i32 = -32602;
    /// Legacy only.
    pub const RESOURCE_NOT_FOUND: i32 = -32002;
    pub const HEADER_MISMATCH: i32 = -32020;
    pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;
    /// Not allowed for this caller.
    pub const POLICY_DENIED: i32 = -31001;
    /// The gateway cannot decide now, or cannot reach the upstream; nothing was done.
    pub const UNAVAILABLE: i32 = -31003;
    /// Parsers differ on what the request says.
    pub const AMBIGUOUS_REQUEST: i32 = -31004;
    /// The upstream's answer broke a bound or a rule.
    pub const RESPONSE_REJECTED: i32 = -31005;
    /// No valid gateway credential.
    pub const UNAUTHENTICATED: i32 = -31007;
}

/// A complete response made by the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    pub status: u32,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Response-code details for the access log: `portcullis_<reason>`.
    pub details: String,
    /// The JSON-RPC error code in the body, or that of a denial which is worded as a result, for the access log; 0 in
    /// what is relayed.
    pub code: i32,
}

impl LocalReply {
    /// A reply with a JSON-RPC error that answers no particular request, for failures before the body is read.
    /// `reason` is in snake case.
    pub fn error(status: u32, code: i32, message: &str, reason: &str) -> Self {
        let data = json!({ "reason": reason });
        Self::with_body(status, code, error_body(None, code, message, Some(&data)), reason)
    }

    /// A reply around a JSON-RPC message that is ready made.
    pub fn with_body(status: u32, code: i32, body: Vec<u8>, reason: &str) -> Self {
        let headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("cache-control".to_owned(), "no-store".to_owned()),
        ];
        Self { status, headers, body, details: format!("portcullis_{reason}"), code }
    }

    /// Somebody else's response, judged, as a reply. What measures and frames it is the host's to say anew.
    pub fn relayed(head: &Headers, body: Vec<u8>, reason: &str) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let status = head.iter().find(|(name, _)| name == b":status").and_then(|(_, value)| text(value));
        let headers = head.iter().filter(|(name, _)| !is_of_the_host(name));
        Self {
            status: status.and_then(|status| status.parse().ok()).unwrap_or(502),
            headers: headers.filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect(),
            body,
            details: format!("portcullis_{reason}"),
            code: 0,
        }
    }

    /// The header map of the response, for where it is not the host that makes it.
    pub fn header_map(&self) -> Headers {
        let status = (":status".to_owned(), self.status.to_string());
        let length = ("content-length".to_owned(), self.body.len().to_string());
        let all = [status, length].into_iter().chain(self.headers.iter().cloned());
        all.map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect()
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
        let message = format!(
            "The request body is larger than the {limit} bytes that this gateway accepts. Send less at once."
        );
        Self::error(413, code::INVALID_REQUEST, &message, "request_too_large")
    }
}

fn is_of_the_host(name: &[u8]) -> bool {
    name.starts_with(b":")
        || [b"content-length".as_slice(), b"transfer-encoding", b"date", b"x-envoy-upstream-service-time"]
            .contains(&name)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

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
