//! One spelling for all JSON that means the same.
//!
//! As in RFC 8785 there is no white space, members are in the order of their names, and texts have their shortest
//! spelling. Unlike there, names are ordered by bytes, and numbers stay as they were written: nothing is lost to
//! rounding, and a server that spells a number otherwise has changed its definition.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// As deep as the filter reads lists.
const DEEPEST: usize = 64;

/// A JSON text, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    /// A text, number, `true`, `false` or `null`, as JSON.
    Scalar(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// `None` for what is no JSON, is too deep, or has two members of one name, of which some readers take the first and
    /// some the last.
    pub(super) fn read(text: &str) -> Option<Self> {
        read(serde_json::from_str(text).ok()?, DEEPEST)
    }

    pub(super) fn compact(&self) -> String {
        let mut output = String::new();
        self.write(&mut output, None);
        output
    }

    /// On lines of their own, indented by two spaces for each level.
    pub(super) fn pretty(&self) -> String {
        let mut output = String::new();
        self.write(&mut output, Some(0));
        output.push('\n');
        output
    }

    fn write(&self, output: &mut String, level: Option<usize>) {
        let inner = level.map(|level| level.saturating_add(1));
        match self {
            Self::Scalar(text) => output.push_str(text),
            Self::List(items) => {
                output.push('[');
                for (position, item) in items.iter().enumerate() {
                    begin(output, position, inner);
                    item.write(output, inner);
                }
                end(output, items.is_empty(), level, ']');
            }
            Self::Object(members) => {
                output.push('{');
                for (position, (name, value)) in members.iter().enumerate() {
                    begin(output, position, inner);
                    output.push_str(&spell(name));
                    output.push_str(if inner.is_some() { ": " } else { ":" });
                    value.write(output, inner);
                }
                end(output, members.is_empty(), level, '}');
            }
        }
    }
}

fn begin(output: &mut String, position: usize, level: Option<usize>) {
    if position > 0 {
        output.push(',');
    }
    new_line(output, level);
}

fn end(output: &mut String, is_empty: bool, level: Option<usize>, bracket: char) {
    if !is_empty {
        new_line(output, level);
    }
    output.push(bracket);
}

fn new_line(output: &mut String, level: Option<usize>) {
    if let Some(level) = level {
        output.push('\n');
        output.push_str(&"  ".repeat(level));
    }
}

fn spell(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn read(raw: &RawValue, left: usize) -> Option<Json> {
    let text = raw.get();
    let left = left.checked_sub(1)?;
    match text.as_bytes().first()? {
        b'{' => {
            let Members(members) = serde_json::from_str(text).ok()?;
            let members = members.into_iter().map(|(name, value)| Some((name, read(value, left)?)));
            members.collect::<Option<_>>().map(Json::Object)
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            items.into_iter().map(|item| read(item, left)).collect::<Option<_>>().map(Json::List)
        }
        b'"' => serde_json::from_str::<String>(text).ok().map(|text| Json::Scalar(spell(&text))),
        _ => Some(Json::Scalar(text.to_owned())),
    }
}

/// The members of an object, each name once.
struct Members<'a>(BTreeMap<String, &'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("two members of one name"));
            }
        }
        Ok(Members(members))
    }
}
