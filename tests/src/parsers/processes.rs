//! Parsers of other languages, each a program that is asked over its standard streams.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::Context as _;

use super::{Answer, Reading};
use crate::artifacts::repository;
use crate::fetched::{go_parser, node_with_packages, python_with_packages};

#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

pub(super) fn start() -> anyhow::Result<Option<Vec<Program>>> {
    let (Some(node), Some(python), Some(go)) = (node_with_packages(), python_with_packages(), go_parser())
    else {
        return Ok(None);
    };
    let scripts = repository().join("tests/parsers");
    let script = |name: &str| scripts.join(name).display().to_string();
    let mut programs = vec![Program::start("Node", &node, &[&script("parse.mjs")])?];
    for (name, parser) in [
        ("CPython", "json"),
        ("orjson", "orjson"),
        ("pydantic_core", "pydantic_core"),
        ("msgspec", "msgspec"),
    ] {
        programs.push(Program::start(name, &python, &[&script("parse.py"), parser])?);
    }
    for (name, version) in [("Go", "v1"), ("Go v2", "v2")] {
        programs.push(Program::start(name, &go, &[version])?);
    }
    Ok(Some(programs))
}

/// Asks all at the same time.
pub(super) fn ask(
    programs: &mut [Program],
    documents: &[Vec<u8>],
) -> anyhow::Result<Vec<(&'static str, Vec<Answer>)>> {
    let mut questions = Vec::new();
    for document in documents {
        questions.extend(u32::try_from(document.len())?.to_be_bytes());
        questions.extend(document);
    }
    questions.extend([0; 4]);
    thread::scope(|scope| {
        let asking: Vec<_> = programs
            .iter_mut()
            .map(|program| scope.spawn(|| program.ask(&questions, documents.len())))
            .collect();
        asking.into_iter().map(|asked| asked.join().expect("no parser panics")).collect()
    })
}

impl Program {
    fn start(name: &'static str, program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let questions = child.stdin.take().context("no standard input")?;
        let answers = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { name, child, questions, answers })
    }

    fn ask(&mut self, questions: &[u8], count: usize) -> anyhow::Result<(&'static str, Vec<Answer>)> {
        let Self { name, questions: input, answers: output, .. } = self;
        let answers = thread::scope(|scope| {
            // Beside the reading: a program that nobody reads from stops reading.
            let writing = scope.spawn(|| input.write_all(questions).and_then(|()| input.flush()));
            let mut answers = Vec::with_capacity(count);
            let mut line = String::new();
            for _ in 0..count {
                line.clear();
                output.read_line(&mut line)?;
                answers.push(answer(line.trim_end()).with_context(|| format!("{name} said {line:?}"))?);
            }
            writing.join().expect("writing does not panic")?;
            anyhow::Ok(answers)
        });
        Ok((name, answers?))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// `None` of what is no answer.
fn answer(line: &str) -> Option<Answer> {
    if line == "refused" {
        return Some(None);
    }
    let [method, name, uri, arguments, document] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let [method, name, uri, arguments, document] =
        [method, name, uri, arguments, document].map(str::to_owned);
    Some(Some(Reading { method, name, uri, arguments, document }))
}
