//! The JSON-RPC envelope.

use std::borrow::Cow;

use crate::json::{Document, Value};

use super::fault::{Fault, quote};
use super::twins;
use crate::reply::code;

/// What a JSON-RPC message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    Request,
    Notification,
    /// The client's answer to a request of the server; legacy only.
    Response,
}

/// The id of a request, as the JSON it was sent as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Id(Box<str>);

impl Id {
    /// A JSON string or number.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The string without its quotes and escapes, or the number.
    pub fn text(&self) -> Cow<'_, str> {
        match serde_json::from_str(&self.0) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(&self.0),
        }
    }

    /// Takes strings of at most 256 bytes and integers that a double holds exactly: what every parser reads alike, so
    /// that the answer finds its request.
    pub(super) fn read(value: Value<'_, '_>) -> Option<Self> {
        let fits = match (value.as_str(), value.as_number_text()) {
            (Some(text), _) => text.len() <= LONGEST_ID,
            (_, Some("-0")) => false,
            (_, Some(number)) => {
                number.parse::<i64>().is_ok_and(|number| number.unsigned_abs() <= LARGEST_EXACT_INTEGER)
            }
            _ => false,
        };
        if fits { std::str::from_utf8(value.raw()).ok().map(|json| Self(json.into())) } else { None }
    }
}

const LONGEST_ID: usize = 256;
/// 2^53 - 1.
const LARGEST_EXACT_INTEGER: u64 = 9_007_199_254_740_991;

/// A message whose envelope is sound.
pub(super) struct Message<'d, 'a> {
    pub(super) kind: MessageKind,
    pub(super) id: Option<Id>,
    /// Empty for a response.
    pub(super) method: Cow<'a, str>,
    /// An object.
    pub(super) params: Option<Value<'d, 'a>>,
    /// `params._meta`, an object.
    pub(super) meta: Option<Value<'d, 'a>>,
}

impl<'d, 'a> Message<'d, 'a> {
    pub(super) fn read(document: &'d Document<'a>) -> Result<Self, Fault> {
        let root = document.root();
        if root.is_array() {
            let message = "JSON-RPC batches are not accepted; send each message in a request of its own";
            return Err(Fault::invalid_request("batch", message));
        }
        if !root.is_object() {
            return Err(Fault::invalid_request(
                "invalid_request",
                "the body must be a JSON-RPC message, an object",
            ));
        }
        twins::refuse(root, twins::ROOT, "the message")?;
        let id = root.get("id");
        let has_id = id.is_some();
        let id = id.and_then(Id::read);
        let invalid = |message: &str| Err(Fault::invalid_request("invalid_request", message));
        if has_id && id.is_none() {
            return invalid("`id` must be a string of at most 256 bytes or an integer within 2^53 - 1");
        }
        if !root.get("jsonrpc").is_some_and(|version| version.is_str("2.0")) {
            return invalid(r#"`jsonrpc` must be "2.0""#);
        }
        let answers =
            usize::from(root.get("result").is_some()).wrapping_add(root.get("error").is_some().into());
        let Some(method) = root.get("method") else {
            return match (answers, id) {
                (1, Some(id)) => Ok(Self::response(id)),
                (0, _) => invalid("`method` is missing"),
                _ => invalid("a response has an `id` and either `result` or `error`"),
            };
        };
        if answers > 0 {
            return Err(Fault::ambiguous("a message has either `method`, or `result`, or `error`"));
        }
        let Some(method) = method.as_str() else { return invalid("`method` must be a string") };
        let kind = if has_id { MessageKind::Request } else { MessageKind::Notification };
        let (params, meta) = read_params(root)?;
        Ok(Self { kind, id, method, params, meta })
    }

    /// What a refusal of `document` says about it: the id that the client waits for an answer to, if it asks something
    /// (the id of a response is the server's), and the method.
    pub(super) fn address(document: &Document<'_>, fault: Fault) -> Fault {
        let root = document.root();
        let method = root.get("method");
        let id = root.get("id").filter(|_| method.is_some()).and_then(Id::read);
        let method_name = method.and_then(|method| method.as_str()).map(Box::from);
        Fault { id, method_name, ..fault }
    }

    fn response(id: Id) -> Self {
        Self {
            kind: MessageKind::Response,
            id: Some(id),
            method: Cow::Borrowed(""),
            params: None,
            meta: None,
        }
    }
}

type Params<'d, 'a> = (Option<Value<'d, 'a>>, Option<Value<'d, 'a>>);

fn read_params<'d, 'a>(root: Value<'d, 'a>) -> Result<Params<'d, 'a>, Fault> {
    let Some(params) = root.get("params") else { return Ok((None, None)) };
    if !params.is_object() {
        return Err(Fault::invalid_params("`params` must be an object"));
    }
    twins::refuse(params, twins::PARAMS, "`params`")?;
    let Some(meta) = params.get("_meta") else { return Ok((Some(params), None)) };
    if !meta.is_object() {
        return Err(Fault::invalid_params("`params._meta` must be an object"));
    }
    twins::refuse(meta, twins::META, "`params._meta`")?;
    Ok((Some(params), Some(meta)))
}

/// Refuses a name with U+0000 in it, at which some programs stop reading.
pub(super) fn refuse_nul(text: &str, what: &str) -> Result<(), Fault> {
    if text.contains('\0') {
        let message = format!("{what} holds U+0000: {}", quote(text));
        return Err(Fault::new(400, code::AMBIGUOUS_REQUEST, "ambiguous_request", message));
    }
    Ok(())
}
