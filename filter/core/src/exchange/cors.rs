//! What a browser is told, so that a page of another origin may call the gateway (Fetch, "CORS protocol").
//!
//! Only origins of `allowed_origins` are told anything. A page puts its credential into a header itself, so
//! `Access-Control-Allow-Credentials` is never sent, and nothing that a browser adds by itself counts.

use crate::origin::SourceFault;
use crate::reply::LocalReply;
use crate::step::Headers;

const METHODS: &str = "POST, GET, DELETE";

/// What pages may send. `Mcp-Param-*` has names that nobody knows beforehand: see [`allowed_headers`].
const HEADERS: &str = "accept, authorization, content-type, last-event-id, mcp-method, mcp-name, mcp-protocol-version, \
                       mcp-session-id, traceparent, tracestate, x-portcullis-api-key, x-request-id";

/// What pages may read besides what they always may.
const EXPOSED: &str = "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, Retry-After, x-request-id";

/// How long a browser remembers the answer, in seconds: an origin that is taken from the list is stopped at the request
/// itself anyway.
const MAX_AGE: &str = "600";

/// Bounds of what is repeated of a browser's words.
const MAX_NAMED: usize = 32;
const MAX_NAME_LENGTH: usize = 64;

/// The origin of the page that makes a request, if it is one that may. Without one all this does nothing.
#[derive(Debug, Default)]
pub(super) struct Cors(Option<String>);

/// Whether a browser asks whether it may send a request. It does so without a credential.
pub(super) fn is_preflight(headers: &Headers) -> bool {
    let has = |name: &[u8]| headers.iter().any(|(header, _)| header == name);
    headers.iter().any(|(name, value)| name == b":method" && value == b"OPTIONS")
        && has(b"origin")
        && has(b"access-control-request-method")
}

impl Cors {
    /// `source` is the verdict on where the request comes from.
    pub(super) fn of(source: Result<Option<&str>, SourceFault>) -> Self {
        Self(source.ok().flatten().map(str::to_owned))
    }

    /// The answer to a preflight with these headers: yes. None for a page that may not call the gateway.
    pub(super) fn preflight(&self, headers: &Headers) -> Option<LocalReply> {
        let reply = LocalReply {
            status: 204,
            headers: Vec::new(),
            body: Vec::new(),
            details: "portcullis_preflight".to_owned(),
            code: 0,
        };
        let reply = reply
            .header("access-control-allow-origin", self.0.as_deref()?)
            .header("access-control-allow-methods", METHODS)
            .header("access-control-allow-headers", allowed_headers(headers))
            .header("access-control-max-age", MAX_AGE)
            .header("vary", "Origin");
        Some(reply)
    }

    /// Lets the page read this response.
    pub(super) fn mark(&self, headers: &mut Headers) {
        headers
            .extend(self.pairs().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())));
    }

    pub(super) fn mark_reply(&self, reply: LocalReply) -> LocalReply {
        self.pairs().fold(reply, |reply, (name, value)| reply.header(name, value))
    }

    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pairs = |origin| {
            [
                ("access-control-allow-origin", origin),
                ("access-control-expose-headers", EXPOSED),
                // What one origin may read is not for a cache to give to another.
                ("vary", "Origin"),
            ]
        };
        self.0.as_deref().map(pairs).into_iter().flatten()
    }
}

/// [`HEADERS`], and what begins with `mcp-` of those that the browser asks for.
fn allowed_headers(headers: &Headers) -> String {
    let asked = headers.iter().filter(|(name, _)| name == b"access-control-request-headers");
    let names = asked.flat_map(|(_, value)| value.split(|byte| *byte == b','));
    let names =
        names.filter_map(|name| std::str::from_utf8(name.trim_ascii()).ok()).map(str::to_ascii_lowercase);
    let is_known = |name: &str| HEADERS.split(", ").any(|known| known == name);
    let fits = |name: &String| {
        name.starts_with("mcp-")
            && name.len() <= MAX_NAME_LENGTH
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !is_known(name)
    };
    let further: Vec<String> = names.filter(fits).take(MAX_NAMED).collect();
    std::iter::once(HEADERS).chain(further.iter().map(String::as_str)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&str, &[u8])]) -> Headers {
        pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
    }

    fn allowed(asked: &[u8]) -> Vec<String> {
        let text = allowed_headers(&headers(&[("access-control-request-headers", asked)]));
        text.split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn a_preflight_says_what_it_is_about() {
        let whole: [(&str, &[u8]); 3] = [
            (":method", b"OPTIONS"),
            ("origin", b"https://app.example"),
            ("access-control-request-method", b"POST"),
        ];
        assert!(is_preflight(&headers(&whole)));
        for left_out in 0..whole.len() {
            let mut pairs = whole.to_vec();
            pairs.remove(left_out);
            assert!(!is_preflight(&headers(&pairs)), "{pairs:?}");
        }
    }

    #[test]
    fn headers_of_mcp_are_allowed_by_their_beginning() {
        let known = allowed(b"").len();
        assert_eq!(allowed(b"authorization, content-type,mcp-protocol-version").len(), known);
        assert_eq!(allowed(b"cookie, x-portcullis-upstream, host, mcp_name").len(), known);
        assert_eq!(
            allowed(b"Mcp-Param-Region, mcp-param-tenant")[known..],
            ["mcp-param-region", "mcp-param-tenant"]
        );
        assert_eq!(allowed(b"mcp-a\r\nset-cookie: x, mcp-\xff, mcp-b c, mcp-*").len(), known);
        assert_eq!(allowed(format!("mcp-{}", "x".repeat(61)).as_bytes()).len(), known);
        let many: Vec<String> = (0..100).map(|number| format!("mcp-param-{number}")).collect();
        assert_eq!(allowed(many.join(",").as_bytes()).len(), known + MAX_NAMED);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_the_answer_is_a_list_of_names(asked in proptest::collection::vec(any::<u8>(), 0..80)) {
            for name in allowed(&asked) {
                prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{name:?}");
            }
        }
    }
}
