//! What requests mean to the parsers that servers use, beside what they mean to the filter. `tests/parsers/README.md`
//! says which these are.
//!
//! - `ours`: the filter's reading.
//! - `here`: the parsers of this language; `processes`: those of others.
//! - [`ambiguous`]: documents that are read in several ways.
//! - [`documents`]: documents that nobody thought of.

pub mod ambiguous;
pub mod documents;
mod here;
mod meaning;
mod ours;
mod processes;

use std::collections::BTreeMap;

pub use self::ours::Ours;
use self::processes::Program;

/// What a document means to one parser: each part as `tests/parsers/README.md` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub method: String,
    pub name: String,
    pub uri: String,
    pub arguments: String,
    pub document: String,
}

/// What a parser makes of a document; `None` if it refuses it.
pub type Answer = Option<Reading>;

/// All parsers that are here.
#[derive(Debug)]
pub struct Parsers(Vec<Program>);

/// How often they agreed.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    pub documents: u64,
    /// By the filter.
    pub accepted: u64,
    /// Of those that the filter accepts: how many each parser accepts too.
    pub accepted_too: BTreeMap<&'static str, u64>,
    /// Those that mean something else to a parser, in words. There may be none.
    pub differing: Vec<String>,
}

impl Reading {
    /// What a server does is decided by these; `null` is as good as nothing there.
    pub fn request(&self) -> [&str; 4] {
        [&self.method, &self.name, &self.uri, &self.arguments]
            .map(|part| if part == "n" { "-" } else { part })
    }
}

impl Parsers {
    /// `None` if some are missing, which is reported.
    ///
    /// # Errors
    /// If one does not start.
    pub fn start() -> anyhow::Result<Option<Self>> {
        Ok(processes::start()?.map(Self))
    }

    /// What each makes of each of the documents, by the parser's name.
    ///
    /// # Errors
    /// If a parser has ended.
    pub fn ask(&mut self, documents: &[Vec<u8>]) -> anyhow::Result<Vec<(&'static str, Vec<Answer>)>> {
        let mut answers = processes::ask(&mut self.0, documents)?;
        for (name, read) in here::PARSERS {
            answers.push((name, documents.iter().map(|document| read(document)).collect()));
        }
        Ok(answers)
    }

    /// Asks about documents, and whether those that the filter accepts mean the same to all.
    ///
    /// # Errors
    /// If a parser has ended.
    pub fn compare(&mut self, documents: &[Vec<u8>], agreement: &mut Agreement) -> anyhow::Result<()> {
        let ours: Vec<Option<Ours>> = documents.iter().map(|document| Ours::of(document)).collect();
        let theirs = self.ask(documents)?;
        agreement.documents += documents.len() as u64;
        agreement.accepted += ours.iter().flatten().count() as u64;
        for (name, answers) in theirs {
            let accepted_too = agreement.accepted_too.entry(name).or_default();
            for ((document, ours), answer) in documents.iter().zip(&ours).zip(answers) {
                let (Some(ours), Some(reading)) = (ours, answer) else { continue };
                *accepted_too += 1;
                if let Some(what) = ours.differs(&reading) {
                    let document = document.escape_ascii();
                    agreement.differing.push(format!("{what} to {name}: {reading:?}\n{ours:?}\n{document}"));
                }
            }
        }
        Ok(())
    }
}
