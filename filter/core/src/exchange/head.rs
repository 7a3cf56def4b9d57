//! The head of a request: what the decisions need of it, gathered once.

use crate::reply::{LocalReply, code};
use crate::step::Headers;
use crate::trace;

/// The HTTP methods of the MCP endpoint. GET and DELETE belong to legacy sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Delete,
}

/// The header map with its pseudo-headers taken out.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) verb: Verb,
    /// Path and query as sent, after the host's normalisation.
    pub(super) path: Vec<u8>,
    /// All headers of the client, pseudo-headers included.
    pub(super) headers: Headers,
}

impl Head {
    /// Refuses methods that the endpoint does not have. A browser's preflight is answered before.
    pub(super) fn read(headers: Headers) -> Result<Self, LocalReply> {
        let value = |name: &[u8]| {
            headers
                .iter()
                .find(|(header, _)| header == name)
                .map(|(_, value)| value.as_slice())
                .unwrap_or_default()
        };
        let verb = match value(b":method") {
            b"POST" => Verb::Post,
            b"GET" => Verb::Get,
            b"DELETE" => Verb::Delete,
            _ => return Err(method_not_allowed("POST, GET, DELETE")),
        };
        let path = value(b":path").to_vec();
        Ok(Self { verb, path, headers })
    }

    /// The first value of a header; `None` if it is absent.
    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(header, _)| header == name.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }

    /// What `Content-Length` says, where it says something.
    pub(super) fn content_length(&self) -> Option<usize> {
        std::str::from_utf8(self.value("content-length")?).ok()?.parse().ok()
    }

    /// The trace context that the client sent in its header, if it is well formed.
    pub(super) fn traceparent(&self) -> Option<&str> {
        trace::traceparent(std::str::from_utf8(self.value("traceparent")?).ok()?)
    }
}

/// 405, with the JSON-RPC body that keeps clients from guessing.
pub(super) fn method_not_allowed(allowed: &str) -> LocalReply {
    let message = format!("This HTTP method is not part of the MCP endpoint here. Allowed: {allowed}.");
    LocalReply::error(405, code::METHOD_NOT_FOUND, &message, "method_not_allowed").header("allow", allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&str, &str)]) -> Result<Head, LocalReply> {
        Head::read(
            pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect(),
        )
    }

    #[test]
    fn only_the_methods_of_the_endpoint() {
        assert_eq!(head(&[(":method", "POST")]).expect("allowed").verb, Verb::Post);
        for method in ["PUT", "OPTIONS", "post", "CONNECT", ""] {
            assert_eq!(head(&[(":method", method)]).expect_err("refused").status, 405, "{method}");
        }
    }
}
