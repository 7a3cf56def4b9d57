//! `serde_json`, in both ways in which servers use it.

use serde::Deserialize;
use serde_json::Value;

use super::{Answer, Reading, meaning};

type Read = fn(&[u8]) -> Answer;

/// By name.
pub(super) const PARSERS: [(&str, Read); 2] =
    [("serde_json, a tree", tree), ("serde_json, structs", structs)];

#[derive(Deserialize)]
struct Request {
    method: Option<String>,
    params: Option<Params>,
}

#[derive(Deserialize)]
struct Params {
    name: Option<String>,
    uri: Option<String>,
    arguments: Option<Value>,
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "-".to_owned(), meaning::tree)
}

fn text(value: Option<&String>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| meaning::text(value))
}

fn tree(document: &[u8]) -> Answer {
    let root: Value = serde_json::from_slice(document).ok()?;
    let params = root.get("params");
    let param = |key: &str| shown(params.and_then(|params| params.get(key)));
    Some(Reading {
        method: shown(root.get("method")),
        name: param("name"),
        uri: param("uri"),
        arguments: param("arguments"),
        document: meaning::tree(&root),
    })
}

fn structs(document: &[u8]) -> Answer {
    let root: Value = serde_json::from_slice(document).ok()?;
    let request: Request = serde_json::from_slice(document).ok()?;
    let params = request.params.as_ref();
    Some(Reading {
        method: text(request.method.as_ref()),
        name: text(params.and_then(|params| params.name.as_ref())),
        uri: text(params.and_then(|params| params.uri.as_ref())),
        arguments: shown(params.and_then(|params| params.arguments.as_ref())),
        document: meaning::tree(&root),
    })
}
