//! Reading nodes: each step reports what is wrong where it is, and goes on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Environment;
use super::problems::Problem;
use super::yaml::{Node, Value};
use crate::domain::auth_draft::{Field, Step};
use crate::text::did_you_mean;

/// What reading needs besides the nodes, and the problems found so far.
pub(super) struct Context<'a> {
    pub(super) directory: &'a Path,
    pub(super) environment: &'a Environment<'a>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(directory: &'a Path, environment: &'a Environment<'a>) -> Self {
        Self { directory, environment, problems: RefCell::new(Vec::new()) }
    }

    pub(super) fn root(&'a self, node: &'a Node) -> At<'a> {
        At { node, place: String::new(), context: self }
    }

    /// In the order of their lines.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        problems
    }
}

/// A node, where it is, and where to report.
#[derive(Clone)]
pub(super) struct At<'a> {
    node: &'a Node,
    place: String,
    pub(super) context: &'a Context<'a>,
}

impl<'a> At<'a> {
    pub(super) fn report(&self, what: impl fmt::Display, remedy: impl fmt::Display) {
        self.context.problems.borrow_mut().push(Problem {
            line: Some(self.node.line),
            place: self.place.clone(),
            what: what.to_string(),
            remedy: remedy.to_string(),
        });
    }

    pub(super) fn is_scalar(&self) -> bool {
        !matches!(self.node.value, Value::List(_) | Value::Mapping(_) | Value::Null)
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(self.node.value, Value::Boolean(true))
    }

    fn wrong_kind(&self, wanted: &str) {
        let found = match &self.node.value {
            Value::Null => "nothing",
            Value::Boolean(_) => "true or false",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Mapping(_) => "a mapping",
        };
        let remedy = match (wanted, &self.node.value) {
            ("a text", Value::Boolean(_) | Value::Integer(_) | Value::Float(_)) => {
                "put it in quotes".to_owned()
            }
            _ => format!("write {wanted}"),
        };
        self.report(format_args!("this must be {wanted}, but it is {found}"), remedy);
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        if let Value::Text(text) = &self.node.value {
            return Some(text);
        }
        self.wrong_kind("a text");
        None
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        if let Value::Boolean(value) = self.node.value {
            return Some(value);
        }
        self.wrong_kind("true or false");
        None
    }

    pub(super) fn list(&self) -> Option<Vec<At<'a>>> {
        let Value::List(items) = &self.node.value else {
            self.wrong_kind("a list");
            return None;
        };
        let at =
            |(index, node)| At { node, place: format!("{}[{index}]", self.place), context: self.context };
        Some(items.iter().enumerate().map(at).collect())
    }

    /// The entries of a mapping whose keys are names of the user's choice.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, At<'a>)>> {
        let Value::Mapping(entries) = &self.node.value else {
            self.wrong_kind("a mapping");
            return None;
        };
        Some(entries.iter().map(|(key, node)| (key.as_str(), self.below(key, node))).collect())
    }

    /// The fields of a mapping whose keys are ours. Unknown ones are reported, with the known one that was meant.
    pub(super) fn fields(&self, known: &[&str]) -> Option<Fields<'a>> {
        let mut fields = BTreeMap::new();
        for (key, at) in self.entries()? {
            if known.contains(&key) {
                // A key without a value is as good as no key.
                if !matches!(at.node.value, Value::Null) {
                    fields.insert(key, at);
                }
            } else {
                let remedy = did_you_mean(key, known).map_or_else(
                    || format!("known here: {}", known.join(", ")),
                    |meant| format!("did you mean {meant}?"),
                );
                at.report("unknown key", remedy);
            }
        }
        Some(Fields { at: self.clone(), fields })
    }

    /// Whether this is a mapping with such a key.
    pub(super) fn entries_named(&self, name: &str) -> bool {
        matches!(&self.node.value, Value::Mapping(entries) if entries.iter().any(|(key, _)| key == name))
    }

    /// The node at `field` below this one, or the nearest above it that was written.
    pub(super) fn descend(&self, field: &Field) -> At<'a> {
        let mut at = self.clone();
        for step in &field.0 {
            let below = match (&at.node.value, step) {
                (Value::Mapping(entries), Step::Key(key)) => {
                    entries.iter().find(|(name, _)| name == key).map(|(key, node)| at.below(key, node))
                }
                (Value::List(items), Step::Index(index)) => items.get(*index).map(|node| At {
                    node,
                    place: format!("{}[{index}]", at.place),
                    context: at.context,
                }),
                _ => None,
            };
            let Some(below) = below else { break };
            at = below;
        }
        at
    }

    /// The same as JSON, for what has a format of its own.
    pub(super) fn to_json(&self) -> serde_json::Value {
        self.node.value.to_json()
    }

    fn below(&self, key: &str, node: &'a Node) -> At<'a> {
        let place = if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) };
        At { node, place, context: self.context }
    }

    /// A text in a form of its own: `parse` says what is wrong with it.
    pub(super) fn parsed<T, E: fmt::Display>(
        &self,
        remedy: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text()?;
        parse(text).map_err(|error| self.report(format_args!("{text:?}: {error}"), remedy)).ok()
    }

    /// A text that people read: 1 to 200 characters, none of them a control character.
    pub(super) fn name(&self) -> Option<String> {
        self.parsed("give it a name of 1 to 200 visible characters", |text| {
            let visible = !text.trim().is_empty() && !text.chars().any(char::is_control);
            if visible && text.chars().count() <= 200 { Ok(text.to_owned()) } else { Err("not a name") }
        })
    }

    /// A path, relative to the directory of the file.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.parsed("name a file", |text| {
            if text.is_empty() { Err("not a path") } else { Ok(self.context.directory.join(text)) }
        })
    }

    /// A duration such as `500ms`, `60s`, `5m`, `8h` or `30d`, from `least` to `most`.
    pub(super) fn duration(&self, least: Duration, most: Duration) -> Option<Duration> {
        let remedy = format!("write it as 500ms, 60s, 5m, 8h or 30d, from {least:?} to {most:?}");
        self.parsed(&remedy, |text| {
            let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
            let parsed = units.into_iter().find_map(|(unit, length)| {
                let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
                Some(Duration::from_millis(number.saturating_mul(length)))
            });
            parsed
                .filter(|duration| (least..=most).contains(duration))
                .ok_or("not a duration in these bounds")
        })
    }
}

/// The known fields of a mapping that have a value.
pub(super) struct Fields<'a> {
    at: At<'a>,
    fields: BTreeMap<&'a str, At<'a>>,
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&At<'a>> {
        self.fields.get(name)
    }

    /// As `get`; a field that is missing is reported.
    pub(super) fn require(&self, name: &str) -> Option<&At<'a>> {
        let found = self.get(name);
        if found.is_none() {
            self.at.report(format_args!("`{name}` is missing"), format_args!("add `{name}`"));
        }
        found
    }

    /// The items of an optional list; none if it is absent.
    pub(super) fn items(&self, name: &str) -> Vec<At<'a>> {
        self.get(name).and_then(At::list).unwrap_or_default()
    }

    /// The mapping itself.
    pub(super) fn at(&self) -> &At<'a> {
        &self.at
    }
}
