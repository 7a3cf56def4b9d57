//! Reading one object of a configuration, with a note for every problem instead of an end at the first.

use std::ops::RangeInclusive;

use super::Problem;
use crate::json::Value;

/// The only version of the configuration's format.
const CONFIG_VERSION: u64 = 1;

/// One object of a configuration, and which of its keys were asked for.
pub(super) struct Fields<'d, 'a, 'p> {
    /// Keys that lead here, with a full stop at the end; empty for the root.
    path: String,
    object: Value<'d, 'a>,
    asked: Vec<&'static str>,
    problems: &'p mut Vec<Problem>,
}

impl<'d, 'a, 'p> Fields<'d, 'a, 'p> {
    pub(super) fn new(path: &str, object: Value<'d, 'a>, problems: &'p mut Vec<Problem>) -> Self {
        Self { path: path.to_owned(), object, asked: Vec::new(), problems }
    }

    pub(super) fn problem(&mut self, key: &str, text: impl Into<String>) {
        self.problems.push(Problem { key: format!("{}{key}", self.path), text: text.into() });
    }

    /// A string that has to be there and that `read` accepts; its error says what is wrong and how to put it right.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Some(value) = self.ask(key) else {
            self.problem(key, "is missing");
            return None;
        };
        self.string(key, value, read)
    }

    /// A string that `read` accepts; `None` if it is not there or has a problem.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.ask(key)?;
        self.string(key, value, read)
    }

    /// A list of strings; `None` if it is not there or has a problem.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.ask(key)?;
        if !value.is_array() {
            self.problem(key, "has to be a list of strings");
            return None;
        }
        let items: Vec<Option<T>> = value
            .items()
            .enumerate()
            .map(|(index, item)| self.string(&format!("{key}[{index}]"), item, &read))
            .collect();
        items.into_iter().collect()
    }

    /// A whole number within `bounds`; `default` if it is not there.
    pub(super) fn number(&mut self, key: &'static str, default: u64, bounds: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.ask(key) else { return default };
        if let Some(number) = value.as_u64().filter(|number| bounds.contains(number)) {
            return number;
        }
        self.problem(key, format!("has to be a whole number from {} to {}", bounds.start(), bounds.end()));
        default
    }

    /// Like [`Self::number`], for sizes in memory.
    pub(super) fn size(&mut self, key: &'static str, default: u64, bounds: RangeInclusive<u64>) -> usize {
        usize::try_from(self.number(key, default, bounds)).unwrap_or(usize::MAX)
    }

    /// An object that has to be there.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Fields<'_, '_, '_>) -> Option<T>,
    ) -> Option<T> {
        match self.ask(key) {
            Some(value) if value.is_object() => {
                let path = format!("{}{key}.", self.path);
                read(Fields::new(&path, value, self.problems))
            }
            Some(_) => {
                self.problem(key, "has to be an object");
                None
            }
            None => {
                self.problem(key, "is missing");
                None
            }
        }
    }

    pub(super) fn require_version(&mut self) {
        match self.ask("config_version") {
            Some(value) if value.as_u64() == Some(CONFIG_VERSION) => {}
            Some(_) => self.problem(
                "config_version",
                format!("this filter reads version {CONFIG_VERSION} only; use the filter of your version"),
            ),
            None => self.problem("config_version", format!("is missing; write {CONFIG_VERSION}")),
        }
    }

    /// One of the words in `choices`, with what it stands for; `default` if it is not there.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, default: T, choices: &[(&str, T)]) -> T {
        let Some(value) = self.ask(key) else { return default };
        if let Some((_, choice)) = choices.iter().find(|(word, _)| value.is_str(word)) {
            return *choice;
        }
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
        self.problem(key, format!("has to be {}", words.join(" or ")));
        default
    }

    /// Notes every key that was never asked for.
    pub(super) fn refuse_the_rest(&mut self) {
        let object = self.object;
        for (key, _) in object.members() {
            if !self.asked.contains(&key.as_ref()) {
                let known = self.asked.join(", ");
                self.problem(&key, format!("is unknown; the keys here are {known}"));
            }
        }
    }

    fn ask(&mut self, key: &'static str) -> Option<Value<'d, 'a>> {
        self.asked.push(key);
        self.object.get(key)
    }

    fn string<T>(
        &mut self,
        key: &str,
        value: Value<'_, '_>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = value.as_str();
        let read = text.map_or_else(|| Err("has to be a string".to_owned()), |text| read(&text));
        read.map_err(|problem| self.problem(key, problem)).ok()
    }
}
