//! What the filter accepts, and what it takes it for.

use portcullis_filter_core::json::{Document, Limits};
use portcullis_filter_core::mcp::{McpHeaders, Request, read_request};
use portcullis_wire::policy::Kind;
use serde_json::Value;

use super::{Reading, meaning};
use crate::mcp::{LATEST_LEGACY, MODERN};

/// What policy judges. Parts that the filter has no use for in this request are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    method: Option<String>,
    name: Option<String>,
    uri: Option<String>,
    arguments: Option<String>,
    document: String,
}

impl Ours {
    /// `None` if the filter refuses the document in each version.
    pub fn of(document: &[u8]) -> Option<Self> {
        let request = read(document, &legacy()).or_else(|| read(document, &modern(document)))?;
        let whole = Document::read(document, &Limits::default()).ok()?;
        let arguments = request.arguments.as_ref().and_then(|span| document.get(span.clone()));
        let arguments = arguments.map(|raw| Document::read(raw, &Limits::default()));
        // In the other methods names are elsewhere.
        let named = matches!(request.method_name.as_str(), "tools/call" | "prompts/get" | "resources/read");
        let target = |is_resource: bool| {
            let mut targets = request.targets.iter().filter(|_| named);
            let found = targets.find(|target| (target.kind == Kind::Resource) == is_resource);
            found.map(|target| meaning::text(&target.name))
        };
        Some(Self {
            method: request.method.map(|_| meaning::text(&request.method_name)),
            name: target(false),
            uri: target(true),
            arguments: match arguments {
                Some(read) => Some(meaning::ours(read.ok()?.root())),
                None => None,
            },
            document: meaning::ours(whole.root()),
        })
    }

    /// Which part means something else to another parser.
    pub fn differs(&self, theirs: &Reading) -> Option<&'static str> {
        let [method, name, uri, arguments] = theirs.request();
        let same = |ours: &Option<String>, theirs: &str| {
            ours.as_ref().is_none_or(|ours| meaning::are_same(ours, theirs))
        };
        // What policy judges by `null` is what others take for nothing.
        let ours = self.arguments.clone().filter(|text| text != "n");
        if !same(&self.method, method) {
            Some("the method differs")
        } else if !same(&self.name, name) {
            Some("the name differs")
        } else if !same(&self.uri, uri) {
            Some("the URI differs")
        } else if !same(&ours, arguments) {
            Some("the arguments differ")
        } else if !meaning::are_same(&self.document, &theirs.document) {
            Some("the document differs")
        } else {
            None
        }
    }
}

fn read(document: &[u8], headers: &[(&str, String)]) -> Option<Request> {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.clone().into_bytes())).collect();
    read_request(document, &McpHeaders::gather(&headers).ok()?, &Limits::default()).ok()
}

fn legacy() -> Vec<(&'static str, String)> {
    vec![("mcp-protocol-version", LATEST_LEGACY.to_owned())]
}

/// As a client of the modern version would say it that means the document as most parsers read it.
fn modern(document: &[u8]) -> Vec<(&'static str, String)> {
    let root: Value = serde_json::from_slice(document).unwrap_or_default();
    let mut headers = vec![("mcp-protocol-version", MODERN.to_owned())];
    headers.extend(root["method"].as_str().map(|method| ("mcp-method", method.to_owned())));
    let name = if root["method"] == "resources/read" { "uri" } else { "name" };
    let name = root["params"][name].as_str();
    headers.extend(name.map(|name| ("mcp-name", name.to_owned())));
    headers
}
