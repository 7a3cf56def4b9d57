//! What servers have, definition by definition: how definitions are read out of lists, told apart, and compared.
//!
//! Two definitions are the same if their digests are. The digest is SHA-256 over a [`canonical`] form, so that white
//! space and the order of members do not matter, and everything else does.

mod canonical;
mod diff;

use std::collections::BTreeMap;

use portcullis_wire::digest::Digest;
use serde_json::Value;
use serde_json::value::RawValue;

use self::canonical::Json;
pub use self::diff::{diff, pretty};

/// The most definitions that are kept of one list, and the largest that is kept as text, in bytes. A longer one has a
/// digest all the same.
pub const MOST_DEFINITIONS: usize = 2_000;
pub const LARGEST_DEFINITION: usize = 64 * 1024;

/// Names and URIs that are longer, in bytes, or have control characters, are passed over: unknown counts as new.
const LONGEST_NAME: usize = 1_024;

const DIGEST_DOMAIN: &str = "portcullis-definition-v1";

/// What a definition defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    Tool,
    Prompt,
    Resource,
    ResourceTemplate,
}

impl EntryKind {
    pub const ALL: [Self; 4] = [Self::Tool, Self::Prompt, Self::Resource, Self::ResourceTemplate];

    /// The word for it in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::ResourceTemplate => "resource_template",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The method that lists them.
    pub fn method(self) -> &'static str {
        match self {
            Self::Tool => "tools/list",
            Self::Prompt => "prompts/list",
            Self::Resource => "resources/list",
            Self::ResourceTemplate => "resources/templates/list",
        }
    }

    /// Where the result of that method has them.
    fn field(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Prompt => "prompts",
            Self::Resource => "resources",
            Self::ResourceTemplate => "resourceTemplates",
        }
    }

    /// The member of a definition that tells it from others.
    fn identity(self) -> &'static str {
        match self {
            Self::Tool | Self::Prompt => "name",
            Self::Resource => "uri",
            Self::ResourceTemplate => "uriTemplate",
        }
    }
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has approved it.
    New,
    /// It is another than the one that was approved.
    Changed,
    /// It is the one that was approved.
    Approved,
    /// The last list did not have it. Its approval stays: another member may see it still.
    Gone,
}

impl State {
    pub const ALL: [Self; 4] = [Self::New, Self::Changed, Self::Approved, Self::Gone];

    pub fn of(present: &Digest, approved: Option<&Digest>, gone: bool) -> Self {
        match approved {
            _ if gone => Self::Gone,
            None => Self::New,
            Some(approved) if approved == present => Self::Approved,
            Some(_) => Self::Changed,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Approved => "approved",
            Self::Gone => "gone",
        }
    }
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub name: String,
    /// JSON as the server wrote it; empty if it is larger than [`LARGEST_DEFINITION`].
    pub text: String,
    pub digest: Digest,
    /// A tool that says of itself that it reads only (MCP, schema, `ToolAnnotations.readOnlyHint`). One that does not
    /// say counts as one that writes.
    pub reads_only: bool,
}

/// What a server's list has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub kind: EntryKind,
    /// By name.
    pub definitions: Vec<Definition>,
    /// Whether that is all: what is missing is gone.
    pub is_whole: bool,
}

impl Listed {
    /// Reads the result of [`EntryKind::method`]; `None` if it is not the list that it should be.
    pub fn read(kind: EntryKind, result: &str, is_whole: bool) -> Option<Self> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(result).ok()?;
        let entries: Vec<&RawValue> = serde_json::from_str(fields.get(kind.field())?.get()).ok()?;
        let mut by_name: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for entry in entries {
            if let Some(name) = name_of(kind, entry.get()) {
                by_name.entry(name).or_default().push(entry.get());
            }
        }
        let is_whole = is_whole && by_name.len() <= MOST_DEFINITIONS;
        let first = by_name.into_iter().take(MOST_DEFINITIONS);
        let definitions = first.map(|(name, texts)| Definition::of(kind, name, &texts)).collect();
        Some(Self { kind, definitions, is_whole })
    }
}

impl Definition {
    /// Where a list has several of one name, nobody can say which one a call reaches: all of them are the definition.
    fn of(kind: EntryKind, name: String, texts: &[&str]) -> Self {
        let (text, reads_only) = match texts {
            [one] => ((*one).to_owned(), kind == EntryKind::Tool && reads_only(one)),
            several => (format!("[{}]", several.join(",")), false),
        };
        let digest = digest(kind, &text);
        let text = if text.len() <= LARGEST_DEFINITION { text } else { String::new() };
        Self { name, text, digest, reads_only }
    }
}

/// What has no canonical form, because readers differ in what it means, is the same only to the letter.
fn digest(kind: EntryKind, text: &str) -> Digest {
    let (form, content) = match Json::read(text) {
        Some(json) => ("canonical", json.compact()),
        None => ("verbatim", text.to_owned()),
    };
    Digest::of(DIGEST_DOMAIN, &[kind.as_str().as_bytes(), form.as_bytes(), content.as_bytes()])
}

fn name_of(kind: EntryKind, entry: &str) -> Option<String> {
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(entry).ok()?;
    let name: String = serde_json::from_str(fields.get(kind.identity())?.get()).ok()?;
    let is_kept = (1..=LONGEST_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    is_kept.then_some(name)
}

fn reads_only(entry: &str) -> bool {
    let fields: Option<BTreeMap<String, &RawValue>> = serde_json::from_str(entry).ok();
    let annotations = fields.and_then(|fields| {
        let annotations = fields.get("annotations")?;
        serde_json::from_str::<Value>(annotations.get()).ok()
    });
    annotations.is_some_and(|annotations| annotations["readOnlyHint"] == Value::Bool(true))
}

#[cfg(test)]
mod tests;
