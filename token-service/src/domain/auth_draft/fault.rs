//! What is wrong with a draft, and where.

use std::fmt;

use crate::domain::auth_text::TextError;

/// Something that is wrong with a draft. Never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub field: Field,
    pub problem: String,
    pub remedy: String,
}

/// Where in a draft: `client.secret`, `scopes[2]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Field(pub Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// Those found so far.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, field: Field, problem: impl fmt::Display, remedy: &str) {
        self.0.push(Fault { field, problem: problem.to_string(), remedy: remedy.to_owned() });
    }

    pub(super) fn take(&mut self, field: Field, result: Result<(), TextError>, remedy: &str) {
        if let Err(error) = result {
            self.add(field, error, remedy);
        }
    }
}

impl Field {
    pub fn of(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.0.push(Step::Key(key.to_owned()));
        self
    }

    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => formatter.write_str(key)?,
                Step::Key(key) => write!(formatter, ".{key}")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}
