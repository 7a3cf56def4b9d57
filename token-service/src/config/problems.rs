//! What is wrong with a configuration file, said so that it can be put right.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counts from 1; `None` where the problem has no line.
    pub line: Option<u64>,
    /// Where in the file: `servers[2].url`. Empty for the file as a whole.
    pub place: String,
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// Everything that is wrong with one file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    pub file: PathBuf,
    pub problems: Vec<Problem>,
}

impl Problems {
    pub(super) fn one(file: &Path, problem: Problem) -> Self {
        Self { file: file.to_owned(), problems: vec![problem] }
    }
}

impl fmt::Display for Problems {
    /// Two lines a problem: `file:line: place: what` and the remedy.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            write!(formatter, "{}", self.file.display())?;
            if let Some(line) = problem.line {
                write!(formatter, ":{line}")?;
            }
            if !problem.place.is_empty() {
                write!(formatter, ": {}", problem.place)?;
            }
            writeln!(formatter, ": {}\n    {}", problem.what, problem.remedy)?;
        }
        let count = self.problems.len();
        write!(formatter, "{count} {}", if count == 1 { "problem" } else { "problems" })
    }
}

impl std::error::Error for Problems {}
