//! A client's message, as far as answering it needs.
//!
//! The filter has read it strictly and judged it already. It is read again here with the same outcome or not at all:
//! what is not understood is refused.

use portcullis_wire::digest::Digest;
use portcullis_wire::unconnected::{INPUT_KEY, STATE_PREFIX, request_digest};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::reply::{Answer, code};

/// The one version without a handshake.
pub(super) const MODERN: &str = "2026-07-28";

/// The versions with a handshake, oldest first.
pub(super) const LEGACY: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// How a version talks: with sessions and a handshake, or statelessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    Legacy,
    Modern,
}

#[derive(Clone, Debug)]
pub(super) struct Message<'a> {
    /// The JSON of the request's id; `None` for what is not answered.
    pub(super) id: Option<&'a RawValue>,
    pub(super) era: Era,
    /// Empty for a client's response.
    pub(super) method: String,
    params: Params<'a>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: String,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// What any of the methods may have; what is not looked at is left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    name: Option<String>,
    uri: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    arguments: Option<&'a RawValue>,
    request_state: Option<String>,
    #[serde(borrow)]
    input_responses: Option<&'a RawValue>,
    #[serde(rename = "_meta", default)]
    meta: Option<Meta>,
    // Of `initialize`.
    protocol_version: Option<String>,
    capabilities: Option<Value>,
    client_info: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<String>,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<Value>,
    #[serde(rename = "io.modelcontextprotocol/clientInfo")]
    client_info: Option<Value>,
}

/// What the client says to our own question in a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// The person has opened the link, or means to.
    Accepted,
    Declined,
    /// Nothing that we know; asking again is the rule (MCP 2026-07-28, patterns/mrtr).
    Missing,
}

impl<'a> Message<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Answer> {
        let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|error| {
            let (code, what) = match error.classify() {
                serde_json::error::Category::Data => (code::INVALID_REQUEST, "not a JSON-RPC message"),
                _ => (code::PARSE_ERROR, "not valid JSON"),
            };
            Answer::refusal(None, code, &format!("The body is {what}."))
        })?;
        let params = envelope.params.map_or(Ok(Params::default()), |raw| serde_json::from_str(raw.get()));
        let params = params.map_err(|_| {
            Answer::refusal(
                envelope.id,
                code::INVALID_PARAMS,
                "The params do not have the types that MCP gives them.",
            )
        })?;
        let stated = params.meta.as_ref().and_then(|meta| meta.version.as_deref());
        let era = if stated.is_some() { Era::Modern } else { Era::Legacy };
        // A client's response has an id, and is not answered.
        let id = envelope.id.filter(|_| !envelope.method.is_empty());
        Ok(Self { id, era, method: envelope.method, params })
    }

    /// What a `requestState` for this message is bound to.
    pub(super) fn digest(&self) -> Digest {
        let Params { name, uri, arguments, .. } = &self.params;
        let name = name.as_deref().or(uri.as_deref()).unwrap_or_default();
        request_digest(&self.method, name, arguments.map_or(&[], |raw| raw.get().as_bytes()))
    }

    /// Whether the answer may ask for input (MCP 2026-07-28, patterns/mrtr: on these methods only).
    pub(super) fn takes_input(&self) -> bool {
        self.era == Era::Modern && matches!(&*self.method, "tools/call" | "prompts/get" | "resources/read")
    }

    /// The state that we gave out, without its prefix.
    pub(super) fn our_state(&self) -> Option<&str> {
        self.params.request_state.as_deref()?.strip_prefix(STATE_PREFIX)
    }

    /// The upstream's own state and the client's answers to it, as the client sent them.
    pub(super) fn their_state(&self) -> (Option<String>, Option<String>) {
        let Params { request_state, input_responses, .. } = &self.params;
        (request_state.clone(), input_responses.map(|raw| raw.get().to_owned()))
    }

    /// What the client says to our question.
    pub(super) fn response(&self) -> Response {
        let answers =
            self.params.input_responses.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        let action = answers.as_ref().and_then(|answers| answers.get(INPUT_KEY)?.get("action")?.as_str());
        match action {
            Some("accept") => Response::Accepted,
            Some("decline" | "cancel") => Response::Declined,
            _ => Response::Missing,
        }
    }

    /// The version that `initialize` proposes.
    pub(super) fn proposed_version(&self) -> Option<&str> {
        self.params.protocol_version.as_deref()
    }

    /// The client's capabilities and its name for itself, where this message says them.
    pub(super) fn client(&self) -> (Option<&Value>, Option<&Value>) {
        match (self.era, &self.params.meta) {
            (Era::Modern, Some(meta)) => (meta.capabilities.as_ref(), meta.client_info.as_ref()),
            _ => (self.params.capabilities.as_ref(), self.params.client_info.as_ref()),
        }
    }
}

/// Whether these capabilities of a client say that it can send a person to a URL. `elicitation: {}` means forms only
/// (MCP 2025-11-25 and later, client/elicitation).
pub(super) fn elicits_urls(capabilities: Option<&Value>) -> bool {
    capabilities.and_then(|all| all.get("elicitation")?.get("url")).is_some_and(Value::is_object)
}

/// What a client calls itself; not yet fit to be shown.
pub(super) fn client_name(info: Option<&Value>) -> Option<&str> {
    info?.get("title").or_else(|| info?.get("name"))?.as_str()
}

/// Keeps a `null` that is there apart from a field that is not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: &str) -> Message<'_> {
        Message::read(body.as_bytes()).expect("a message")
    }

    #[test]
    fn the_era_is_that_of_the_body() {
        let modern = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}"}}}}}}"#
        );
        assert_eq!(read(&modern).era, Era::Modern);
        assert_eq!(read(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).era, Era::Legacy);
    }

    #[test]
    fn responses_and_notifications_are_not_answered() {
        assert!(read(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).id.is_none());
        assert!(read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).id.is_none());
        assert_eq!(
            read(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#).id.map(RawValue::get),
            Some("\"a\"")
        );
    }

    #[test]
    fn the_digest_is_of_the_bytes_as_sent() {
        let call =
            read(r#"{"id":1,"method":"tools/call","params":{"name":"x","arguments": {"b": 1, "a":2} }}"#);
        assert_eq!(call.digest(), request_digest("tools/call", "x", br#"{"b": 1, "a":2}"#));
        let bare = read(r#"{"id":1,"method":"tools/call","params":{"name":"x"}}"#);
        assert_eq!(bare.digest(), request_digest("tools/call", "x", b""));
        let null = read(r#"{"id":1,"method":"tools/call","params":{"name":"x","arguments":null}}"#);
        assert_eq!(null.digest(), request_digest("tools/call", "x", b"null"));
        let resource = read(r#"{"id":1,"method":"resources/read","params":{"uri":"a://b"}}"#);
        assert_eq!(resource.digest(), request_digest("resources/read", "a://b", b""));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (body, expected) in [
            ("", code::PARSE_ERROR),
            ("{", code::PARSE_ERROR),
            ("[]", code::INVALID_REQUEST),
            (r#"{"id":1,"method":"ping","method":"tools/call"}"#, code::INVALID_REQUEST),
            (r#"{"id":1,"method":"tools/call","params":{"name":1}}"#, code::INVALID_PARAMS),
            (r#"{"id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#, code::INVALID_PARAMS),
        ] {
            let answer = Message::read(body.as_bytes()).expect_err(body);
            let error: Value = serde_json::from_str(answer.body.as_deref().expect("a body")).expect("JSON");
            assert_eq!((answer.status, &error["error"]["code"]), (400, &json!(expected)), "{body}");
        }
    }

    #[test]
    fn a_form_is_not_a_url() {
        assert!(elicits_urls(Some(&json!({"elicitation": {"url": {}}}))));
        for not in [
            json!({}),
            json!({"elicitation": {}}),
            json!({"elicitation": {"form": {}}}),
            json!({"elicitation": {"url": null}}),
        ] {
            assert!(!elicits_urls(Some(&not)), "{not}");
        }
    }
}
