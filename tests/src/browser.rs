//! A real browser: Chromium, led by Playwright (`clients/browser/driver.mjs`). Each person has a context of their
//! own, with cookies that nobody else sees.
//!
//! One command runs at a time, whoever gives it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::Mutex;

use crate::artifacts::repository;
use crate::fetched;
use crate::patience::within;
use crate::process::{Process, Program};

/// A running browser. It ends when this and everybody in it are gone.
#[derive(Clone, Debug)]
pub struct Browser {
    driver: Arc<Driver>,
}

#[derive(Debug)]
struct Driver {
    pipes: Mutex<Pipes>,
    process: Process,
    _directory: TempDir,
}

#[derive(Debug)]
struct Pipes {
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// How somebody's window is.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

impl Default for Window {
    fn default() -> Self {
        Self { width: 1024, height: 768, dark: false }
    }
}

/// What has the keyboard's focus.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Focused {
    /// Of HTML.
    pub tag: String,
    /// As a screen reader says it.
    pub name: String,
    /// Whether one can see that it has the focus.
    pub visible: bool,
}

/// Somebody at the browser. Elements are found as people and screen readers find them: by role, name and label, each
/// whole.
#[derive(Clone, Debug)]
pub struct Person {
    driver: Arc<Driver>,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    pub name: String,
    pub value: String,
    pub domain: String,
    pub path: String,
    pub http_only: bool,
    pub secure: bool,
    /// `Strict`, `Lax` or `None`.
    pub same_site: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    value: Value,
    error: Option<String>,
}

impl Browser {
    /// Starts it. `None` if this machine has no Chromium, which has then been reported.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        let (Some(node), Some(chromium)) = (fetched::node_with_packages(), fetched::chromium()) else {
            return Ok(None);
        };
        let directory = tempfile::tempdir()?;
        let chromium = chromium.into_os_string().into_string();
        let chromium = chromium.ok().context("the path of Chromium is not UTF-8")?;
        let home = directory.path().to_str().context("the temporary directory's path is not UTF-8")?;
        let program = Program {
            name: "browser",
            path: node,
            arguments: vec![repository().join("tests/clients/browser/driver.mjs").into()],
            environment: vec![("CHROMIUM".into(), chromium), ("HOME".into(), home.into())],
        };
        let (process, stdin, stdout) = Process::start_talking(&program, directory.path())?;
        let commands = ChildStdin::from_std(stdin)?;
        let answers = BufReader::new(ChildStdout::from_std(stdout)?).lines();
        let pipes = Mutex::new(Pipes { commands, answers });
        let driver = Driver { pipes, process, _directory: directory };
        let version = within("a browser", driver.ask(&json!({"do": "version"}))).await?;
        tracing::debug!(%version, "Chromium runs");
        Ok(Some(Self { driver: Arc::new(driver) }))
    }

    /// Sits somebody down, with no cookies at all.
    ///
    /// # Panics
    /// If the browser does not do it.
    pub async fn person(&self, name: &str) -> Person {
        self.person_at(name, Window::default()).await
    }

    /// As [`Self::person`], with a window that matters.
    ///
    /// # Panics
    /// If the browser does not do it.
    pub async fn person_at(&self, name: &str, window: Window) -> Person {
        let person = Person { driver: Arc::clone(&self.driver), name: name.to_owned() };
        let Window { width, height, dark } = window;
        person.tell("open", json!({"width": width, "height": height, "dark": dark})).await;
        person
    }
}

/// All methods panic if the browser does not do it in time, and show the page that it had.
impl Person {
    /// Goes to an address; the status of the page that came in the end.
    pub async fn goto(&self, url: &str) -> u16 {
        self.status_of("goto", json!({"url": url})).await
    }

    /// Goes back.
    pub async fn back(&self) -> u16 {
        self.status_of("back", json!({})).await
    }

    /// The status of the last page that came.
    pub async fn status(&self) -> u16 {
        self.status_of("status", json!({})).await
    }

    async fn status_of(&self, command: &str, arguments: Value) -> u16 {
        u16::try_from(self.number(command, arguments).await).unwrap_or_default()
    }

    /// Clicks what has this role (`button`, `link`, …) and name, and waits for the page that it leads to.
    pub async fn click(&self, role: &str, name: &str) {
        self.tell("click", json!({"role": role, "name": name})).await;
    }

    /// Fills in a field.
    pub async fn fill(&self, label: &str, value: &str) {
        self.tell("fill", json!({"label": label, "value": value})).await;
    }

    /// Chooses an option of a list, by what people read.
    pub async fn choose(&self, label: &str, option: &str) {
        self.tell("choose", json!({"label": label, "option": option})).await;
    }

    /// Opens or closes what is folded behind a summary with this text in it.
    pub async fn unfold(&self, name: &str) {
        self.tell("unfold", json!({"name": name})).await;
    }

    /// Waits until a text is somewhere on the page.
    pub async fn wait_for_text(&self, text: &str) {
        self.tell("wait_for_text", json!({"text": text})).await;
    }

    /// What axe finds fault with in how the page serves everybody: its impact, rule, and an element that has the fault.
    ///
    /// # Panics
    /// As everything here.
    pub async fn faults(&self) -> Vec<String> {
        self.texts("faults").await
    }

    /// Elements and handlers on the page that no page of ours has: what a text would have become that was not escaped.
    ///
    /// # Panics
    /// As everything here.
    pub async fn injected(&self) -> Vec<String> {
        self.texts("injected").await
    }

    /// What the page keeps in the browser's storage, as JSON.
    pub async fn stored(&self) -> String {
        self.string("stored").await
    }

    async fn texts(&self, command: &str) -> Vec<String> {
        let texts = self.tell(command, json!({})).await;
        serde_json::from_value(texts).unwrap_or_else(|error| panic!("no texts: {error}"))
    }

    /// Presses a key, such as `Tab` or `Enter`.
    pub async fn press(&self, key: &str) {
        self.tell("press", json!({"key": key})).await;
    }

    /// Types into what has the focus.
    pub async fn type_in(&self, text: &str) {
        self.tell("type", json!({"value": text})).await;
    }

    /// # Panics
    /// As everything here.
    pub async fn focused(&self) -> Focused {
        let focused = self.tell("focused", json!({})).await;
        serde_json::from_value(focused).unwrap_or_else(|error| panic!("nothing has the focus: {error}"))
    }

    /// By how many pixels the page is wider than the window.
    pub async fn overflow(&self) -> u64 {
        self.number("overflow", json!({})).await
    }

    /// What is selected after one click on what a CSS selector finds.
    pub async fn selected_by_click(&self, selector: &str) -> String {
        let selected = self.tell("selected_by_click", json!({"selector": selector})).await;
        selected.as_str().unwrap_or_default().to_owned()
    }

    /// Leads nowhere whose address contains `part`: the page before stays.
    pub async fn stay_off(&self, part: &str) {
        self.tell("stay_off", json!({"part": part})).await;
    }

    /// How many elements have this role and name.
    pub async fn count(&self, role: &str, name: &str) -> u64 {
        self.number("count", json!({"role": role, "name": name})).await
    }

    async fn number(&self, command: &str, arguments: Value) -> u64 {
        self.tell(command, arguments).await.as_u64().unwrap_or_default()
    }

    /// What can be read on the page.
    pub async fn text(&self) -> String {
        self.string("text").await
    }

    pub async fn html(&self) -> String {
        self.string("html").await
    }

    pub async fn title(&self) -> String {
        self.string("title").await
    }

    pub async fn url(&self) -> String {
        self.string("url").await
    }

    async fn string(&self, command: &str) -> String {
        self.tell(command, json!({})).await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the address contains `part`.
    pub async fn wait_for_url(&self, part: &str) {
        self.tell("wait_for_url", json!({"part": part})).await;
    }

    /// Waits until something has this role and name.
    pub async fn wait_for(&self, role: &str, name: &str) {
        self.tell("wait_for", json!({"role": role, "name": name})).await;
    }

    /// All cookies of this person.
    ///
    /// # Panics
    /// As everything here.
    pub async fn cookies(&self) -> Vec<Cookie> {
        let cookies = self.tell("cookies", json!({})).await;
        serde_json::from_value(cookies).unwrap_or_else(|error| panic!("no cookies: {error}"))
    }

    pub async fn set_cookie(&self, url: &str, name: &str, value: &str) {
        self.tell("set_cookie", json!({"url": url, "name": name, "value": value})).await;
    }

    /// Takes a picture of the whole page, as PNG.
    pub async fn screenshot(&self, path: &Path) {
        self.tell("screenshot", json!({"path": path})).await;
    }

    /// What the console has complained about since last asked, and where: violations of the content security policy,
    /// scripts that failed, things that could not be loaded.
    ///
    /// # Panics
    /// As everything here.
    pub async fn complaints(&self) -> Vec<String> {
        self.texts("complaints").await
    }

    /// Leaves, and takes all cookies along.
    pub async fn leave(self) {
        self.tell("close", json!({})).await;
    }

    async fn tell(&self, command: &str, mut arguments: Value) -> Value {
        arguments["do"] = command.into();
        arguments["person"] = self.name.as_str().into();
        let answer = within(command, self.driver.ask(&arguments)).await;
        match answer {
            Ok(value) => value,
            Err(error) => {
                let seen = json!({"do": "text", "person": self.name});
                let page = self.driver.ask(&seen).await.unwrap_or_default();
                panic!("{} cannot {command}: {error:#}\n--- the page ---\n{page}", self.name)
            }
        }
    }
}

impl Driver {
    async fn ask(&self, command: &Value) -> anyhow::Result<Value> {
        let mut pipes = self.pipes.lock().await;
        pipes.commands.write_all(format!("{command}\n").as_bytes()).await?;
        pipes.commands.flush().await?;
        let line = pipes.answers.next_line().await?;
        let line = line.with_context(|| format!("the browser has ended\n{}", self.process.log_tail()))?;
        let answer: Answer = serde_json::from_str(&line)?;
        match answer.error {
            Some(error) => bail!(error),
            None => Ok(answer.value),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
