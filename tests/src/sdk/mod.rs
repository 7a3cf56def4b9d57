//! The official SDKs as clients: one job in, one report out. `tests/clients/README.md` describes both.

mod rust;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::artifacts::repository;
use crate::fetched;

/// How a client begins: with the `initialize` handshake, or with nothing, as since 2026-07-28.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Era {
    Legacy,
    Modern,
}

impl Era {
    /// The newest version that the era has, which is what every SDK here ends up with.
    pub fn protocol_version(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}

/// A client SDK, in the version that `tests/package.json`, `tests/clients/python/requirements.in` or `Cargo.toml` pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// npm `@modelcontextprotocol/sdk`
    TypeScriptV1,
    /// npm `@modelcontextprotocol/client`
    TypeScriptV2,
    /// `mcp`, of Python
    Python,
    /// `rmcp`
    Rust,
}

/// Every pair of SDK and era that there is.
pub const CLIENTS: [(Sdk, Era); 7] = [
    (Sdk::TypeScriptV1, Era::Legacy),
    (Sdk::TypeScriptV2, Era::Legacy),
    (Sdk::TypeScriptV2, Era::Modern),
    (Sdk::Python, Era::Legacy),
    (Sdk::Python, Era::Modern),
    (Sdk::Rust, Era::Legacy),
    (Sdk::Rust, Era::Modern),
];

/// What a client shall do, after it has listed everything.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub key: Option<String>,
    pub era: Era,
    pub calls: Vec<ToolCall>,
    pub prompts: Vec<PromptRequest>,
    /// URIs to read.
    pub resources: Vec<String>,
    /// Whether the client says that it can open addresses for its user (URL elicitation), and does so.
    pub elicit: bool,
    /// Whether the client tells of every call as soon as it is answered, and goes on when it is told to.
    pub attended: bool,
    /// Whether the client signs in by itself, with nothing but the URL. Not with [`Sdk::Rust`].
    pub sign_in: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct ToolCall {
    pub tool: String,
    pub arguments: Map<String, Value>,
}

#[derive(Clone, Debug, Serialize)]
pub struct PromptRequest {
    pub name: String,
    pub arguments: Map<String, Value>,
}

/// What a client saw. All lists are sorted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub protocol_version: String,
    pub server: Option<String>,
    pub tools: Vec<String>,
    pub prompts: Vec<String>,
    pub resources: Vec<String>,
    pub resource_templates: Vec<String>,
    pub calls: Vec<CallReport>,
    pub prompt_results: Vec<PromptReport>,
    pub resource_results: Vec<ResourceReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallReport {
    pub tool: String,
    #[serde(flatten)]
    pub outcome: Outcome<CallResult>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptReport {
    pub name: String,
    #[serde(flatten)]
    pub outcome: Outcome<Texts>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceReport {
    pub uri: String,
    #[serde(flatten)]
    pub outcome: Outcome<Texts>,
}

/// A result, or the code of a JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome<T> {
    Result(T),
    Error { code: i32 },
}

/// What a user did with an address that the server wants opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Accept,
    Decline,
    Cancel,
    /// Nothing that a user does: the access token of a client that has signed in is over, as if time had passed.
    Expire,
}

/// What a client tells its user before it goes on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// An address has to be opened.
    Open(String),
    /// Somebody has to sign in at this address, if the job is to `sign_in`.
    Authorize(String),
    /// A call was answered, if the job is `attended`. Whatever its user does, the client goes on.
    Answered(CallReport),
}

/// A line of a driver.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Event(Event),
    Report(Box<Report>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallResult {
    pub is_error: bool,
    pub text: Vec<String>,
    /// The values of the progress notifications, in the order of arrival.
    pub progress: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Texts {
    pub text: Vec<String>,
}

impl Sdk {
    /// Does the job. `None` if this machine lacks what the driver runs on, which has then been reported.
    ///
    /// # Panics
    /// If the client opens an address.
    pub async fn drive(self, job: &Job) -> anyhow::Result<Option<Report>> {
        self.drive_with(job, async |url| panic!("{self:?} opens {url}")).await
    }

    /// Does the job of a client whose user opens addresses with `open`.
    ///
    /// # Panics
    /// If the client wants somebody to sign in.
    pub async fn drive_with(
        self,
        job: &Job,
        mut open: impl AsyncFnMut(String) -> Action,
    ) -> anyhow::Result<Option<Report>> {
        let attend = async |event| match event {
            Event::Open(url) => open(url).await,
            Event::Authorize(url) => panic!("{self:?} has nobody to sign in at {url}"),
            Event::Answered(_) => Action::Accept,
        };
        self.drive_attended(job, attend).await
    }

    /// Does the job of a client whose user does `attend` at each event.
    pub async fn drive_attended(
        self,
        job: &Job,
        attend: impl AsyncFnMut(Event) -> Action,
    ) -> anyhow::Result<Option<Report>> {
        let clients = repository().join("tests/clients");
        let (interpreter, script) = match self {
            Self::Rust => return rust::drive(job, attend).await.map(Some),
            Self::TypeScriptV1 => (fetched::node_with_packages(), clients.join("typescript/sdk-v1.mjs")),
            Self::TypeScriptV2 => (fetched::node_with_packages(), clients.join("typescript/sdk-v2.mjs")),
            Self::Python => (fetched::python_with_packages(), clients.join("python/driver.py")),
        };
        match interpreter {
            Some(interpreter) => run(interpreter, script, job, attend).await.map(Some),
            None => Ok(None),
        }
    }
}

async fn run(
    interpreter: PathBuf,
    script: PathBuf,
    job: &Job,
    mut attend: impl AsyncFnMut(Event) -> Action,
) -> anyhow::Result<Report> {
    let mut child = tokio::process::Command::new(interpreter)
        .arg(&script)
        .arg(serde_json::to_string(job)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut answers = child.stdin.take().context("no way to answer")?;
    let mut lines = BufReader::new(child.stdout.take().context("no way to listen")?).lines();
    let mut report = None;
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line).with_context(|| format!("{}: {line}", script.display()))? {
            Line::Event(event) => {
                let answer = serde_json::json!({"action": attend(event).await});
                answers.write_all(format!("{answer}\n").as_bytes()).await?;
            }
            Line::Report(all) => {
                report = Some(*all);
                break;
            }
        }
    }
    // The driver's last word: it ends with its input.
    drop(answers);
    let output = child.wait_with_output().await?;
    match report {
        Some(report) if output.status.success() => Ok(report),
        _ => {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{} failed ({}): {errors}", script.display(), output.status)
        }
    }
}
