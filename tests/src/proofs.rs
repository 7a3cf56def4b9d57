//! Tests that prove what a catalogue says, named by path and function, so that a reference cannot rot unseen.

use std::fmt;
use std::fs;

use anyhow::{Context as _, ensure};

use crate::artifacts::repository;

/// A test function somewhere in this repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Of the file, from the root of the repository.
    pub path: &'static str,
    pub test: &'static str,
}

/// The test `test` in the file `path`.
pub const fn proof(path: &'static str, test: &'static str) -> Proof {
    Proof { path, test }
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.test)
    }
}

impl Proof {
    /// Whether there is such a test.
    pub fn check(&self) -> anyhow::Result<()> {
        let text = fs::read_to_string(repository().join(self.path))
            .with_context(|| format!("{} cannot be read", self.path))?;
        ensure!(has_test(&text, self.test), "{} has no test {}", self.path, self.test);
        Ok(())
    }
}

/// Whether a function of this name stands below an attribute or inside a macro that makes tests of functions.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let rest = line.strip_prefix("async ").unwrap_or(line);
        let rest = rest.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().filter(|(_, line)| is_it(line)).any(|(at, _)| {
        let above = lines[..at].iter().rev().take_while(|line| !line.is_empty() && **line != "}");
        above.into_iter().any(|line| line.starts_with("#[") && line.contains("test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_is_a_proof() {
        let source =
            "#[tokio::test]\nasync fn proven() {}\n\nfn helper() {}\n\n#[test]\n#[ignore]\nfn other() {}\n";
        assert!(has_test(source, "proven") && has_test(source, "other"));
        assert!(!has_test(source, "helper") && !has_test(source, "prove") && !has_test(source, "absent"));
    }

    #[test]
    fn this_one_is_there() {
        proof("tests/src/proofs.rs", "this_one_is_there").check().expect("is there");
        assert!(proof("tests/src/proofs.rs", "that_one_is_not").check().is_err());
        assert!(proof("tests/src/nowhere.rs", "this_one_is_there").check().is_err());
    }
}
