//! Being a client of an upstream for a moment: one request at a time, and the answer to it.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use portcullis_wire::lease::MAX_CHALLENGE_BYTES;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;

use super::message::MODERN;
use super::repeats::Shown;
use crate::broker::Credential;
use crate::domain::server::Server;
use crate::egress::{EgressClient, EgressError, EgressReply, EgressRequest};

/// The largest answer that is read if the caller does not say otherwise, in bytes.
pub(super) const LARGEST_ANSWER: usize = 2 * 1024 * 1024;

const VERSION_HEADER: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD_HEADER: HeaderName = HeaderName::from_static("mcp-method");
const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// A server's endpoint with a credential for it.
pub(super) struct Upstream<'a> {
    egress: &'a EgressClient,
    url: Url,
    credential: HeaderMap,
    shown: Shown,
}

/// How the server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Modern,
    /// Before the handshake.
    Handshake,
    Legacy {
        version: String,
        session: Option<String>,
    },
}

/// Why there is no result. No message repeats what the server said.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// 401, or 403 for scopes that are missing.
    #[error("the server refuses the credential with status {status}")]
    Credential { status: u16, challenge: Option<String> },
    #[error("the server answers with status {0}")]
    Status(u16),
    #[error("the server answers with JSON-RPC error {0}")]
    Rpc(i64),
    #[error("the server's answer is not MCP")]
    Malformed,
    #[error("the server's answer repeats the credential")]
    Repeats,
}

impl UpstreamError {
    /// Whether the server has understood and will say the same next time.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Rpc(_) => true,
            Self::Status(status) => (400..500).contains(status) && !matches!(status, 408 | 425 | 429),
            Self::Egress(_) | Self::Credential { .. } | Self::Malformed | Self::Repeats => false,
        }
    }
}

/// A result, as the server wrote it, and the session that its head may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) result: String,
    pub(super) session: Option<String>,
    /// How much was read for it.
    pub(super) bytes: usize,
}

/// Answers to requests of ours have this id; there is never more than one on the way.
const REQUEST_ID: u64 = 1;

impl<'a> Upstream<'a> {
    pub(super) fn new(
        egress: &'a EgressClient,
        server: &Server,
        credential: &Credential,
    ) -> Result<Self, UpstreamError> {
        let url = Url::parse(&server.settings.url.to_string()).map_err(|_| UpstreamError::Malformed)?;
        let mut headers = HeaderMap::new();
        for header in &credential.headers {
            let name =
                HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| UpstreamError::Malformed)?;
            let mut value =
                HeaderValue::from_str(header.value.expose()).map_err(|_| UpstreamError::Malformed)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self { egress, url, credential: headers, shown: Shown::of(credential) })
    }

    /// Asks; reads at most `limit` bytes of the answer.
    pub(super) async fn ask(
        &self,
        speech: &Speech,
        method: &str,
        mut params: Value,
        limit: usize,
    ) -> Result<Said, UpstreamError> {
        if *speech == Speech::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": client_info(),
                "io.modelcontextprotocol/clientCapabilities": {},
            });
        }
        let message = json!({"jsonrpc": "2.0", "id": REQUEST_ID, "method": method, "params": params});
        let reply = self.send(speech, Method::POST, Some((method, &message)), limit).await?;
        let session =
            reply.headers.get(SESSION_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Said { result: result_in(&reply)?, session, bytes: reply.body.len() })
    }

    /// Tells the server something that it does not answer.
    pub(super) async fn tell(&self, speech: &Speech, method: &str) -> Result<(), UpstreamError> {
        let message = json!({"jsonrpc": "2.0", "method": method});
        self.send(speech, Method::POST, Some((method, &message)), LARGEST_ANSWER).await.map(drop)
    }

    /// Ends a session, as far as the server lets us: one that does not only forgets it later.
    pub(super) async fn end(&self, speech: &Speech) {
        if matches!(speech, Speech::Legacy { session: Some(_), .. }) {
            let _ = self.send(speech, Method::DELETE, None, LARGEST_ANSWER).await;
        }
    }

    async fn send(
        &self,
        speech: &Speech,
        method: Method,
        message: Option<(&str, &Value)>,
        limit: usize,
    ) -> Result<EgressReply, UpstreamError> {
        let headers = self.headers(speech, message.map(|(method, _)| method))?;
        let body = message.map(|(_, message)| Bytes::from(message.to_string())).unwrap_or_default();
        let reply =
            self.egress.fetch(EgressRequest { method, url: self.url.clone(), headers, body, limit }).await?;
        let challenge = || {
            let text = reply.headers.get(header::WWW_AUTHENTICATE)?.to_str().ok()?;
            Some(text.chars().take(MAX_CHALLENGE_BYTES).collect::<String>())
        };
        match reply.status {
            200..=299 if self.shown.is_repeated_in(&reply) => Err(UpstreamError::Repeats),
            200..=299 => Ok(reply),
            401 => Err(UpstreamError::Credential { status: 401, challenge: challenge() }),
            403 if challenge().is_some_and(|text| text.contains("insufficient_scope")) => {
                Err(UpstreamError::Credential { status: 403, challenge: challenge() })
            }
            status => Err(UpstreamError::Status(status)),
        }
    }

    fn headers(&self, speech: &Speech, method: Option<&str>) -> Result<HeaderMap, UpstreamError> {
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| UpstreamError::Malformed);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        match (speech, method) {
            (Speech::Modern, Some(method)) => {
                headers.insert(VERSION_HEADER, HeaderValue::from_static(MODERN));
                headers.insert(METHOD_HEADER, value(method)?);
            }
            (Speech::Legacy { version, session }, _) => {
                headers.insert(VERSION_HEADER, value(version)?);
                if let Some(session) = session {
                    headers.insert(SESSION_HEADER, value(session)?);
                }
            }
            _ => {}
        }
        // Last, so that nothing of ours takes the place of a credential.
        headers.extend(self.credential.clone());
        Ok(headers)
    }
}

/// What the gateway calls itself where no client is behind a request.
pub(super) fn client_info() -> Value {
    json!({"name": "portcullis", "version": env!("CARGO_PKG_VERSION")})
}

#[derive(Deserialize)]
struct RpcReply<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct RpcError {
    code: i64,
}

/// The result in a reply, which is one JSON message or a stream of events with other messages before it.
fn result_in(reply: &EgressReply) -> Result<String, UpstreamError> {
    let body = std::str::from_utf8(&reply.body).map_err(|_| UpstreamError::Malformed)?;
    let content_type = reply.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_stream = content_type
        .is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("text/event-stream"));
    let messages = if is_stream { events(body) } else { vec![body.to_owned()] };
    let answers = messages.iter().filter_map(|message| serde_json::from_str::<RpcReply<'_>>(message).ok());
    let mut answers = answers.filter(|answer| answer.id == Some(REQUEST_ID));
    match answers.find_map(|answer| match (answer.result, answer.error) {
        (Some(result), None) => Some(Ok(result.get().to_owned())),
        (None, Some(error)) => Some(Err(UpstreamError::Rpc(error.code))),
        _ => None,
    }) {
        Some(answer) => answer,
        None => Err(UpstreamError::Malformed),
    }
}

/// The data of each event of a stream that has been read to its end (HTML, server-sent events, 9.2.6). An event that
/// broke off has no blank line after it and does not count.
fn events(stream: &str) -> Vec<String> {
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream).replace("\r\n", "\n").replace('\r', "\n");
    let mut complete: Vec<&str> = stream.split("\n\n").collect();
    complete.pop();
    complete
        .into_iter()
        .map(|event| {
            let data = event.lines().filter_map(|line| line.strip_prefix("data:"));
            data.map(|data| data.strip_prefix(' ').unwrap_or(data)).collect::<Vec<_>>().join("\n")
        })
        .filter(|data| !data.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(content_type: &'static str, body: &str) -> EgressReply {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        EgressReply { status: 200, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[test]
    fn a_result_is_found_in_json_and_among_events() {
        let message = r#"{"jsonrpc":"2.0","id":1,"result":{"b":1,"a":2}}"#;
        let other = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
        for stream in [
            format!("id: 0\ndata:\n\nevent: message\ndata: {other}\n\ndata: {message}\n\n"),
            format!("\u{feff}: hello\r\ndata:{message}\r\n\r\n"),
            "data: {\"id\":1,\ndata: \"result\":{\"b\":1,\"a\":2}}\n\n".to_owned(),
        ] {
            let result = result_in(&reply("text/event-stream; charset=utf-8", &stream));
            assert_eq!(result.expect("a result"), r#"{"b":1,"a":2}"#, "{stream}");
        }
        assert_eq!(result_in(&reply("application/json", message)).expect("a result"), r#"{"b":1,"a":2}"#);
    }

    #[test]
    fn everything_else_is_an_error() {
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"secret"}}"#;
        let failed = result_in(&reply("application/json", error)).expect_err("an error");
        assert!(
            matches!(failed, UpstreamError::Rpc(-32601)) && !format!("{failed:?}{failed}").contains("secret")
        );
        let other_id = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#;
        for (content_type, body) in [
            ("application/json", "{}"),
            ("application/json", "<html>"),
            ("application/json", other_id),
            ("text/event-stream", r#"data: {"id":1,"result":{}}"#),
            ("text/event-stream", ""),
        ] {
            let failed = result_in(&reply(content_type, body));
            assert!(matches!(failed, Err(UpstreamError::Malformed)), "{content_type} {body}");
        }
    }

    #[test]
    fn what_may_pass_is_not_final() {
        assert!(UpstreamError::Status(404).is_final() && UpstreamError::Rpc(-32602).is_final());
        for passing in [
            UpstreamError::Status(503),
            UpstreamError::Status(429),
            EgressError::Timeout.into(),
            UpstreamError::Malformed,
        ] {
            assert!(!passing.is_final(), "{passing}");
        }
    }
}
