//! Checking what a request says, all of it, before anything is done.

use std::fmt;

use portcullis_wire::names::Slug;

use crate::domain::auth_draft::Fault;
use crate::http::error::{ApiError, FieldProblem};

const LONGEST_NAME: usize = 100;
const LONGEST_IDENTITY: usize = 1024;

/// Collects the faults of a request.
#[derive(Debug, Default)]
pub struct Problems(Vec<FieldProblem>);

impl Problems {
    pub fn add(&mut self, field: impl Into<String>, problem: impl fmt::Display, remedy: impl Into<String>) {
        let (field, problem, remedy) = (field.into(), problem.to_string(), remedy.into());
        self.0.push(FieldProblem { field, problem, remedy });
    }

    pub fn extend(&mut self, faults: Vec<Fault>) {
        for Fault { field, problem, remedy } in faults {
            self.add(field.to_string(), problem, remedy);
        }
    }

    /// The value of `result`, or a fault of `field`.
    pub fn take<T, E: fmt::Display>(
        &mut self,
        field: impl Into<String>,
        result: Result<T, E>,
        remedy: impl Into<String>,
    ) -> Option<T> {
        result.map_err(|error| self.add(field, error, remedy)).ok()
    }

    pub fn slug(&mut self, field: &str, text: &str) -> Option<Slug> {
        self.take(field, Slug::parse(text), "choose a slug of that form, such as `linear`")
    }

    /// Whether a text can be an issuer or a subject. They are compared byte for byte, so they are bounded but not
    /// otherwise judged.
    pub fn identity_part(&mut self, field: &str, text: &str) -> bool {
        let holds = (1..=LONGEST_IDENTITY).contains(&text.len()) && !text.chars().any(char::is_control);
        if !holds {
            let problem = "is empty, longer than 1024 bytes, or has a control character";
            self.add(field, problem, "give it exactly as the issuer's tokens have it");
        }
        holds
    }

    /// A name for people: 1 to 100 characters on one line.
    pub fn name(&mut self, field: &str, text: String) -> Option<String> {
        let length = text.chars().count();
        let problem = if text.trim().is_empty() {
            "is empty"
        } else if length > LONGEST_NAME {
            "is longer than 100 characters"
        } else if text.chars().any(char::is_control) {
            "has a line break or another control character"
        } else {
            return Some(text);
        };
        self.add(field, problem, "give a name of 1 to 100 characters on one line");
        None
    }

    /// `value` if nothing was wrong. It must not be `None` then.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            None if self.0.is_empty() => {
                Err(ApiError::Internal("a request was refused without a reason".into()))
            }
            _ => Err(ApiError::Invalid(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_for_people() {
        let accepted = |text: &str| Problems::default().name("name", text.to_owned()).is_some();
        assert!(accepted("Ada Lovelace") && accepted(&"é".repeat(100)));
        for bad in ["", "  ", "two\nlines", &"x".repeat(101)] {
            assert!(!accepted(bad), "{bad:?}");
        }
    }

    #[test]
    fn all_faults_are_reported() {
        let mut problems = Problems::default();
        let (name, slug) = (problems.name("name", String::new()), problems.slug("slug", "Bad"));
        let Err(ApiError::Invalid(problems)) = problems.finish(name.zip(slug)) else { panic!("refused") };
        assert_eq!(problems.len(), 2);
    }
}
