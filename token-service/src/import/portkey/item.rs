//! A value with its place, of any type whatsoever.

use serde_json::Value;

use super::super::report::Report;

#[derive(Clone)]
pub(super) struct Item<'a> {
    value: &'a Value,
    place: String,
    report: &'a Report,
}

impl<'a> Item<'a> {
    pub(super) fn new(value: &'a Value, place: &str, report: &'a Report) -> Self {
        Self { value, place: place.to_owned(), report }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn report(&self) -> &'a Report {
        self.report
    }

    pub(super) fn place(&self) -> &str {
        if self.place.is_empty() { "the file" } else { &self.place }
    }

    pub(super) fn note(&self, what: impl Into<String>, remedy: impl Into<String>) {
        self.report.note(self.place(), what, remedy);
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(self.below(name, value))
    }

    /// A text, if there is one that is not empty. Of another type it is noted.
    pub(super) fn text_at(&self, name: &str) -> Option<String> {
        self.get(name)?.text()
    }

    pub(super) fn text(&self) -> Option<String> {
        match self.value {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            _ => {
                self.note("this is not a text, and was not read", "correct it and import again");
                None
            }
        }
    }

    pub(super) fn keys(&self) -> Vec<&'a str> {
        self.value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    pub(super) fn entries(&self) -> Vec<(&'a str, Self)> {
        let entries = self.value.as_object().into_iter().flatten();
        entries.map(|(key, value)| (key.as_str(), self.below(key, value))).collect()
    }

    /// The elements of a list, or of the `data` of a page of one.
    pub(super) fn listed(&self) -> Vec<Self> {
        match (self.value, self.get("data")) {
            (Value::Array(items), _) => {
                let item = |(index, value)| Self {
                    value,
                    place: format!("{}[{index}]", self.place),
                    report: self.report,
                };
                items.iter().enumerate().map(item).collect()
            }
            (_, Some(data)) if data.value.is_array() => {
                if self.value.get("has_more").is_some_and(|more| *more == Value::Bool(true)) {
                    self.note(
                        "there is more than this page has",
                        "fetch the other pages, and import them too",
                    );
                }
                data.listed()
            }
            _ => Vec::new(),
        }
    }

    fn below(&self, name: &str, value: &'a Value) -> Self {
        let place = if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) };
        Self { value, place, report: self.report }
    }
}
