//! Answers to MCP messages, as data: what is said to which message, by era, method and capability.
//!
//! | message | answer |
//! |---|---|
//! | `initialize`, `server/discover` | from the [`Profile`] |
//! | lists | from the [`Profile`]; if the server is unknown, the question to connect |
//! | `ping`, `logging/setLevel`, `resources/unsubscribe` | done |
//! | `completion/complete`, `tasks/list` | nothing there |
//! | `tools/call`, `prompts/get`, `resources/read`, all else | the question to connect |
//!
//! How the question is put:
//!
//! | client | `tools/call` | `prompts/get`, `resources/read` | others |
//! |---|---|---|---|
//! | modern, opens URLs | `input_required` | `input_required` | -31002 |
//! | modern | `isError` with the link | -31002 | -31002 |
//! | 2025-11-25, opens URLs | -32042 | -32042 | -32042 |
//! | other | `isError` with the link | -31002 | -31002 |

use portcullis_wire::digest::Digest;
use portcullis_wire::unconnected::INPUT_KEY;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::message::{Era, LEGACY, Message, elicits_urls};
use super::profile::{Profile, list_field};
use super::tokens::Session;
use super::words::Words;

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

/// How long clients may keep what is said before the account is connected, in milliseconds.
const LIST_TTL_MS: u64 = 5_000;

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

    fn result(id: &RawValue, result: &str) -> Self {
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

/// What is to be done about a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan<'a> {
    Answer(Answer),
    /// A legacy handshake: the answer, which lacks its session id, and the version in it.
    Open(Answer, &'static str),
    /// Without a connection there is nothing to say.
    Ask(Question<'a>),
}

/// The question to connect, before it is known where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question<'a> {
    pub(super) id: IdText<'a>,
    form: Form,
}

/// The JSON of an id, comparable.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdText<'a>(pub(super) &'a RawValue);

impl PartialEq for IdText<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// The ways in which a message lets us say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    era: Era,
    opens_urls: bool,
    /// Multi round-trip: `input_required` is a legal result.
    takes_input: bool,
    /// A tool result can say it in words.
    has_text: bool,
}

/// What has come of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Situation<'a> {
    /// Here the member can connect.
    Link(&'a str),
    /// The member has connected in the meantime; the filter will know by the next request.
    Connected,
    Declined,
}

/// Decides about a message of a client with `session`, which is `None` where the upstream gave out the session id or
/// there is none.
pub(super) fn plan<'a>(message: &Message<'a>, session: Option<&Session>, profile: &Profile) -> Plan<'a> {
    let Some(id) = message.id else { return Plan::Answer(Answer::empty(202)) };
    let result =
        |result: &Value| Plan::Answer(Answer::result(id, &complete(message.era, result.clone()).to_string()));
    match (message.era, &*message.method) {
        (Era::Legacy, "initialize") => initialize(id, message, profile),
        (Era::Modern, "server/discover") => discover(id, profile),
        (_, "ping") | (Era::Legacy, "logging/setLevel" | "resources/unsubscribe") => result(&json!({})),
        (_, "completion/complete") => {
            result(&json!({"completion": {"values": [], "total": 0, "hasMore": false}}))
        }
        (Era::Legacy, "tasks/list") => result(&json!({"tasks": []})),
        (era, method) if list_field(method).is_some() => match profile.list(method) {
            Some(list) => Plan::Answer(Answer::result(id, &list_result(era, list))),
            None => ask(id, message, session),
        },
        (
            _,
            "tools/call" | "prompts/get" | "resources/read" | "tasks/get" | "tasks/result" | "tasks/cancel",
        )
        | (Era::Legacy, "resources/subscribe")
        | (Era::Modern, "subscriptions/listen" | "tasks/update") => ask(id, message, session),
        (era, method) => {
            let status = if era == Era::Modern { 404 } else { 200 };
            let message = format!("Method not found: {:?}", method.chars().take(64).collect::<String>());
            Plan::Answer(Answer::error(status, Some(id), code::METHOD_NOT_FOUND, &message, &Value::Null))
        }
    }
}

fn ask<'a>(id: &'a RawValue, message: &Message<'a>, session: Option<&Session>) -> Plan<'a> {
    let opens_urls = match (message.era, session) {
        (Era::Modern, _) => elicits_urls(message.client().0),
        // The code exists in the last legacy version only.
        (Era::Legacy, Some(session)) => {
            Some(&*session.version) == LEGACY.last().copied() && elicits_urls(Some(&session.capabilities))
        }
        (Era::Legacy, None) => false,
    };
    let takes_input = message.takes_input();
    let form = Form { era: message.era, opens_urls, takes_input, has_text: message.method == "tools/call" };
    Plan::Ask(Question { id: IdText(id), form })
}

impl Question<'_> {
    /// Whether the answer can carry a state, by which the retried call is known.
    pub(super) fn takes_input(&self) -> bool {
        self.form.takes_input
    }

    /// Whether the client is asked in a way that makes it try again by itself.
    pub(super) fn asks_by_input(&self) -> bool {
        self.form.takes_input && self.form.opens_urls
    }

    /// Puts it. `state` is for the retry; without one nothing is asked by `input_required`.
    pub(super) fn put(&self, situation: Situation<'_>, words: &Words, state: Option<&str>) -> Answer {
        let Form { era, opens_urls, takes_input, has_text } = self.form;
        let id = self.id.0;
        let state = state.filter(|_| takes_input);
        match (situation, state) {
            (Situation::Connected, Some(state)) => {
                return Answer::result(
                    id,
                    &json!({"resultType": "input_required", "requestState": state}).to_string(),
                );
            }
            (Situation::Link(link), Some(state)) if opens_urls => {
                let question = json!({"mode": "url", "message": words.question(), "url": link});
                let question = json!({"method": "elicitation/create", "params": question});
                let result = json!({"resultType": "input_required", "inputRequests": {INPUT_KEY: question}, "requestState": state});
                return Answer::result(id, &result.to_string());
            }
            (Situation::Link(link), _) if opens_urls && era == Era::Legacy => {
                let question = words.question();
                let elicitation = json!({"mode": "url", "elicitationId": elicitation_id(link), "url": link, "message": question});
                let data = json!({"elicitations": [elicitation]});
                return Answer::error(200, Some(id), code::URL_ELICITATION_REQUIRED, &question, &data);
            }
            _ => {}
        }
        let (text, code, data) = match situation {
            Situation::Link(link) => {
                let data = json!({"reason": "connect_required", "authorizationUrl": link});
                (words.invitation(link), code::CONNECT_REQUIRED, data)
            }
            Situation::Declined => {
                (words.declined(), code::CONNECT_REQUIRED, json!({"reason": "connect_declined"}))
            }
            Situation::Connected => {
                (words.connected(), code::UNAVAILABLE, json!({"reason": "connected_now"}))
            }
        };
        if has_text {
            let result = json!({"content": [{"type": "text", "text": text}], "isError": true});
            return Answer::result(id, &complete(era, result).to_string());
        }
        Answer::error(200, Some(id), code, &text, &data)
    }
}

fn initialize<'a>(id: &RawValue, message: &Message<'_>, profile: &Profile) -> Plan<'a> {
    let proposed = message.proposed_version();
    let Some(version) = profile.negotiate(proposed) else {
        let data = json!({"supported": profile.versions(), "requested": proposed});
        let text = "This server speaks versions of MCP without a handshake only.";
        return Plan::Answer(Answer::error(200, Some(id), code::INVALID_PARAMS, text, &data));
    };
    let mut result = json!({
        "protocolVersion": version, "capabilities": profile.capabilities, "serverInfo": profile.info,
    });
    if let Some(instructions) = &profile.instructions {
        result["instructions"] = instructions.as_str().into();
    }
    Plan::Open(Answer::result(id, &result.to_string()), version)
}

/// A server of the legacy versions knows no such method. Clients that speak both take such a 400 for that, and shake
/// hands (MCP 2026-07-28, basic/versioning).
fn discover<'a>(id: &RawValue, profile: &Profile) -> Plan<'a> {
    if !profile.is_modern() {
        let text = "This server speaks versions of MCP with a handshake only. Send `initialize`.";
        return Plan::Answer(Answer::refusal(Some(id), code::INVALID_REQUEST, text));
    }
    let mut result = json!({
        "resultType": "complete", "supportedVersions": profile.versions(), "capabilities": profile.capabilities,
        "ttlMs": 0, "cacheScope": "private", "_meta": {"io.modelcontextprotocol/serverInfo": profile.info},
    });
    if let Some(instructions) = &profile.instructions {
        result["instructions"] = instructions.as_str().into();
    }
    Plan::Answer(Answer::result(id, &result.to_string()))
}

fn list_result(era: Era, mut list: std::collections::BTreeMap<String, Box<RawValue>>) -> String {
    if era == Era::Modern {
        let hints = [
            ("resultType", r#""complete""#.to_owned()),
            ("ttlMs", LIST_TTL_MS.to_string()),
            ("cacheScope", r#""private""#.to_owned()),
        ];
        list.extend(
            hints
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), RawValue::from_string(value).ok()?))),
        );
    }
    serde_json::to_string(&list).unwrap_or_default()
}

/// Every result of the modern version says that it is one.
fn complete(era: Era, mut result: Value) -> Value {
    if era == Era::Modern {
        result["resultType"] = "complete".into();
    }
    result
}

/// One for each link: asking again with the same link is the same elicitation.
fn elicitation_id(link: &str) -> String {
    let digest = Digest::of("portcullis-elicitation-v1", &[link.as_bytes()]).to_string();
    format!("elc_{}", digest.get(..32).unwrap_or_default())
}

#[cfg(test)]
mod tests;
