//! The head of a request: what the decisions need of it, gathered once.

use crate::reply::{LocalReply, code};
use crate::step::Headers;

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

    /// The trace that this request belongs to: `traceparent` if it is well formed (W3C Trace Context, section 3.2).
    pub(super) fn traceparent(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.value("traceparent")?).ok()?;
        let lengths = text.split('-').map(str::len);
        let hexadecimal = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        (lengths.eq([2, 32, 16, 2]) && hexadecimal).then_some(text)
    }

    pub(super) fn trace_id(&self) -> Option<&str> {
        self.traceparent()?.split('-').nth(1)
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

    #[test]
    fn a_trace_id_is_the_second_part() {
        let trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let head = head(&[(":method", "POST"), trace]).expect("allowed");
        assert_eq!(head.trace_id(), Some("0af7651916cd43dd8448eb211c80319c"));
    }

    #[test]
    fn only_well_formed_traces() {
        let trace = |value: &str| {
            let head = head(&[(":method", "POST"), ("traceparent", value)]).expect("allowed");
            head.traceparent().map(str::to_owned)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(trace(good).as_deref(), Some(good));
        for bad in [
            "",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0a-b7-01",
            &format!("{good}-x"),
        ] {
            assert_eq!(trace(bad), None, "{bad}");
        }
    }
}
