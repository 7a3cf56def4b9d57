//! A request as policy sees it.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Document, Limits, Value};

use super::fault::{Fault, quote};
use super::headers::McpHeaders;
use super::list_kind::ListKind;
use super::message::{Id, Message, MessageKind};
use super::method::Method;
use super::retry::Retry;
use super::targets::{Names, Target};
use super::version::{Era, ProtocolVersion};
use crate::reply::code;
use crate::trace;

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_KEY: &str = "io.modelcontextprotocol/clientInfo";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// The deepest value that is looked at: the root's `params._meta.<capabilities>.elicitation.url`. Not for callers to
/// choose: what is not recorded would not be judged.
const RECORD_DEPTH: usize = 5;

/// What a client asks of a server, with headers and body in agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// None for a notification; of a response, the id of the server's request.
    pub id: Option<Id>,
    pub kind: MessageKind,
    pub version: ProtocolVersion,
    pub era: Era,
    /// None for a response.
    pub method: Option<Method>,
    /// Empty for a response.
    pub method_name: String,
    /// All of these must be allowed.
    pub targets: Vec<Target>,
    /// Byte range of `params` in the body.
    pub params: Option<Range<usize>>,
    /// Byte range of `params.arguments` in the body.
    pub arguments: Option<Range<usize>>,
    /// Tasks that are asked about. The tool behind a task is not visible here.
    pub task_ids: Vec<String>,
    /// The list in the answer that policy has to filter.
    pub list: Option<ListKind>,
    /// The state of the token-service's making that it carries.
    pub retry: Option<Retry>,
    /// Whether this message says that its client can be sent to a URL. Legacy clients say so only in `initialize`.
    pub url_elicitation: bool,
    /// Legacy clients say it only in `initialize`.
    pub client: Option<Client>,
    /// The request that this notification wants to be given up.
    pub cancels: Option<Id>,
    /// The trace context in `params._meta.traceparent`, if it is well formed.
    pub trace: Option<String>,
}

/// What a client calls itself. Nobody has checked it: for records only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub name: String,
    /// Empty if it does not say.
    pub version: String,
}

/// Reads the body of a POST together with its headers.
///
/// Refuses what is not one JSON-RPC message that every parser reads alike, what is of a version or method without a
/// rule here, and what says one thing in its headers and another in its body. The order of the checks is that of MCP
/// 2026-07-28 (transports, "Server Validation"); the first that fails words the answer. Of `limits` all but
/// `record_depth` apply.
pub fn read_request(body: &[u8], headers: &McpHeaders, limits: &Limits) -> Result<Request, Fault> {
    let limits = Limits { record_depth: RECORD_DEPTH, ..*limits };
    let document = Document::read(body, &limits)?;
    Message::read(&document)
        .and_then(|message| judge(&message, headers))
        .map_err(|fault| Message::address(&document, fault))
}

/// Reads a request without a body, a GET or DELETE: its version. Modern servers have POST only.
pub fn read_bodiless(headers: &McpHeaders) -> Result<ProtocolVersion, Fault> {
    let version = stated_version(headers)?.unwrap_or(ProtocolVersion::UNSTATED);
    match version.era() {
        Era::Legacy => Ok(version),
        Era::Modern => {
            let message = format!("MCP {} has POST requests only", version.as_str());
            Err(Fault::new(405, code::INVALID_REQUEST, "method_not_allowed", message))
        }
    }
}

fn judge(message: &Message<'_, '_>, headers: &McpHeaders) -> Result<Request, Fault> {
    let version = settle_version(message, headers)?;
    let era = version.era();
    let (method, names) = match message.kind {
        MessageKind::Response => {
            refuse_response(headers, era)?;
            (None, Names::default())
        }
        MessageKind::Request | MessageKind::Notification => {
            agree_on_method(message, headers, era)?;
            let method = known_method(message, era)?;
            let names = Names::read(method, message.params)?;
            agree_on_name(&names, headers, era)?;
            (Some(method), names)
        }
    };
    let span = |value: Option<Value<'_, '_>>| value.map(|value| value.span());
    Ok(Request {
        id: message.id.clone(),
        kind: message.kind,
        version,
        era,
        method,
        method_name: message.method.to_string(),
        targets: names.targets,
        params: span(message.params),
        arguments: span(message.params.and_then(|params| params.get("arguments"))),
        task_ids: names.task_ids,
        list: method.and_then(Method::list),
        retry: message.params.and_then(|params| Retry::read(method?, params)),
        url_elicitation: offers_url_elicitation(message, method),
        client: client(message, method),
        cancels: message
            .params
            .filter(|_| method == Some(Method::NotificationsCancelled))
            .and_then(|params| Id::read(params.get("requestId")?)),
        trace: trace_of(message),
    })
}

/// Decides the version, once, from header and body. The body's own statement makes a request modern, whatever the
/// header says; without one the header decides, and without either it is as old as can be.
fn settle_version(message: &Message<'_, '_>, headers: &McpHeaders) -> Result<ProtocolVersion, Fault> {
    if let Some(declared) = message.meta.and_then(|meta| meta.get(VERSION_KEY)) {
        return modern_version(message, declared, headers);
    }
    let stated = stated_version(headers)?;
    // The handshake belongs to sessions, even of a client whose header still says what it tried before.
    if message.method == "initialize" {
        let legacy =
            stated.or_else(|| proposed_version(message)).filter(|version| version.era() == Era::Legacy);
        return Ok(legacy.unwrap_or(ProtocolVersion::UNSTATED));
    }
    match stated {
        Some(version) if version.era() == Era::Modern && message.kind == MessageKind::Request => {
            Err(missing_meta(VERSION_KEY, "a string, the same as in the MCP-Protocol-Version header"))
        }
        Some(version) => Ok(version),
        None => Ok(ProtocolVersion::UNSTATED),
    }
}

/// The header's version; none if there is no header, and refused if there are no rules for it.
fn stated_version(headers: &McpHeaders) -> Result<Option<ProtocolVersion>, Fault> {
    let Some(text) = headers.protocol_version.as_deref() else { return Ok(None) };
    match ProtocolVersion::parse(text) {
        Some(version) => Ok(Some(version)),
        None => Err(Fault::unsupported_version(text, &ProtocolVersion::ALL)),
    }
}

/// What `initialize` proposes; what the server agrees to is in its answer. A version that is unknown here is for the
/// server to negotiate down.
fn proposed_version(message: &Message<'_, '_>) -> Option<ProtocolVersion> {
    ProtocolVersion::parse(&message.params?.get("protocolVersion")?.as_str()?)
}

fn modern_version(
    message: &Message<'_, '_>,
    declared: Value<'_, '_>,
    headers: &McpHeaders,
) -> Result<ProtocolVersion, Fault> {
    let Some(stated) = headers.protocol_version.as_deref() else {
        return Err(Fault::header_mismatch(format!(
            "the MCP-Protocol-Version header is missing; send the value of params._meta[{VERSION_KEY:?}] in it"
        )));
    };
    let Some(declared) = declared.as_str() else { return Err(missing_meta(VERSION_KEY, "a string")) };
    let capabilities = message.meta.and_then(|meta| meta.get(CAPABILITIES_KEY));
    if message.kind == MessageKind::Request && !capabilities.is_some_and(|value| value.is_object()) {
        return Err(missing_meta(CAPABILITIES_KEY, "an object"));
    }
    if stated != declared {
        return Err(Fault::header_mismatch(format!(
            "the MCP-Protocol-Version header is {}, params._meta says {}; send the same in both",
            quote(stated),
            quote(&declared)
        )));
    }
    match ProtocolVersion::parse(&declared) {
        Some(version) if version.era() == Era::Modern => Ok(version),
        _ => Err(Fault::unsupported_version(&declared, &[ProtocolVersion::V20260728])),
    }
}

fn trace_of(message: &Message<'_, '_>) -> Option<String> {
    let text = message.meta?.get("traceparent")?.as_str()?;
    trace::traceparent(&text).map(str::to_owned)
}

fn missing_meta(key: &str, what: &str) -> Fault {
    Fault::invalid_params(format!("params._meta[{key:?}] must be {what}"))
}

fn refuse_response(headers: &McpHeaders, era: Era) -> Result<(), Fault> {
    if era == Era::Modern {
        let message =
            "MCP 2026-07-28 clients send no JSON-RPC responses; answer in `inputResponses` of a retry";
        return Err(Fault::invalid_request("unexpected_response", message));
    }
    if let Some(stated) = headers.method.as_deref() {
        let message = format!("the Mcp-Method header is {}, but the body is a response", quote(stated));
        return Err(Fault::header_mismatch(message));
    }
    Ok(())
}

/// Compares the `Mcp-Method` header. Only modern requests must have it, but whoever sends it means it: something on
/// the way to the tool may go by it.
fn agree_on_method(message: &Message<'_, '_>, headers: &McpHeaders, era: Era) -> Result<(), Fault> {
    let method = message.method.as_ref();
    match headers.method.as_deref() {
        Some(stated) if stated == method => Ok(()),
        Some(stated) => Err(Fault::header_mismatch(format!(
            "the Mcp-Method header is {}, the body's method {}; send the same in both",
            quote(stated),
            quote(method)
        ))),
        None if era == Era::Modern && message.kind == MessageKind::Request => {
            let message =
                format!("the Mcp-Method header is missing; send the body's method {} in it", quote(method));
            Err(Fault::header_mismatch(message))
        }
        None => Ok(()),
    }
}

fn known_method(message: &Message<'_, '_>, era: Era) -> Result<Method, Fault> {
    let name = message.method.as_ref();
    let is_request = message.kind == MessageKind::Request;
    let Some(method) = Method::parse(name, era) else {
        return Err(Fault::method_not_found(name, era, is_request));
    };
    match (method.kind(), is_request) {
        (MessageKind::Request, false) => {
            Err(Fault::invalid_request("invalid_request", format!("{name} is a request; give it an `id`")))
        }
        (MessageKind::Notification, true) => {
            let message = format!("{name} is a notification; send it without `id`");
            Err(Fault::invalid_request("invalid_request", message))
        }
        _ => Ok(method),
    }
}

/// Compares the `Mcp-Name` header with what the body names; see [`agree_on_method`]. On a method that names nothing
/// the header means nothing.
fn agree_on_name(names: &Names, headers: &McpHeaders, era: Era) -> Result<(), Fault> {
    let Some((name, place)) = &names.header else { return Ok(()) };
    match headers.decoded_name()? {
        Some(stated) if stated == name.as_str() => Ok(()),
        Some(stated) => Err(Fault::header_mismatch(format!(
            "the Mcp-Name header is {}, {place} {}; send the same in both",
            quote(&stated),
            quote(name)
        ))),
        None if era == Era::Modern => {
            let message = format!("the Mcp-Name header is missing; send {place} {} in it", quote(name));
            Err(Fault::header_mismatch(message))
        }
        None => Ok(()),
    }
}

fn client(message: &Message<'_, '_>, method: Option<Method>) -> Option<Client> {
    let in_meta = || message.meta?.get(CLIENT_KEY);
    let in_handshake = || message.params?.get("clientInfo").filter(|_| method == Some(Method::Initialize));
    let client = in_meta().or_else(in_handshake)?;
    let text = |key| client.get(key).and_then(|value| value.as_str()).map(Cow::into_owned);
    Some(Client { name: text("name")?, version: text("version").unwrap_or_default() })
}

fn offers_url_elicitation(message: &Message<'_, '_>, method: Option<Method>) -> bool {
    let in_meta = || message.meta?.get(CAPABILITIES_KEY);
    let in_handshake = || message.params?.get("capabilities").filter(|_| method == Some(Method::Initialize));
    let capabilities = in_meta().or_else(in_handshake);
    let url = capabilities.and_then(|value| value.get("elicitation")).and_then(|value| value.get("url"));
    url.is_some_and(|value| value.is_object())
}
