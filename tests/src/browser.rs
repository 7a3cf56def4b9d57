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
        self.status("goto", json!({"url": url})).await
    }

    /// Goes back.
    pub async fn back(&self) -> u16 {
        self.status("back", json!({})).await
    }

    async fn status(&self, command: &str, arguments: Value) -> u16 {
        let status = self.tell(command, arguments).await;
        status.as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or_default()
    }

    /// Clicks what has this role (`button`, `link`, …) and name, and waits for the page that it leads to.
    pub async fn click(&self, role: &str, name: &str) {
        self.tell("click", json!({"role": role, "name": name})).await;
    }

    /// Fills in a field.
    pub async fn fill(&self, label: &str, value: &str) {
        self.tell("fill", json!({"label": label, "value": value})).await;
    }

    /// How many elements have this role and name.
    pub async fn count(&self, role: &str, name: &str) -> u64 {
        self.tell("count", json!({"role": role, "name": name})).await.as_u64().unwrap_or_default()
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

    /// What the console has complained about since last asked: violations of the content security policy, scripts
    /// that failed, things that could not be loaded.
    ///
    /// # Panics
    /// As everything here.
    pub async fn complaints(&self) -> Vec<String> {
        let complaints = self.tell("complaints", json!({})).await;
        serde_json::from_value(complaints).unwrap_or_else(|error| panic!("no texts: {error}"))
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
pub(crate) mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;
    use crate::provider::Provider;
    use crate::provider::clients::Client;
    use crate::provider::faults::Endpoint;
    use crate::provider::shape::{Resource, Shape};
    use crate::upstream::Serving;

    /// A page for a browser to come back to, and its address.
    pub(crate) async fn landing() -> anyhow::Result<(Serving, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let serving = Serving::start(listener, Router::new().route("/callback", get(async || "Back.")))?;
        let url = format!("http://{}/callback", serving.address);
        Ok((serving, url))
    }

    #[tokio::test]
    async fn two_people_click_through_a_provider_and_share_nothing() -> anyhow::Result<()> {
        let Some(browser) = Browser::start().await? else { return Ok(()) };
        let (_landing, redirect_uri) = landing().await?;
        let mut client = Client::confidential("app", "secret");
        client.redirect_uris.push(redirect_uri.clone());
        let provider =
            Provider::start(Shape { resource: Resource::Ignored, ..Shape::github(client) }).await?;
        let authorize = provider.url(Endpoint::Authorize);
        let url = format!("{authorize}?response_type=code&client_id=app&redirect_uri={redirect_uri}&state=s");
        let (ada, grace) = (browser.person("ada").await, browser.person("grace").await);
        ada.set_cookie(&authorize, "secret", "of-ada").await;
        for (person, account) in [(&ada, "ada@github"), (&grace, "grace@github")] {
            assert_eq!(person.goto(&url).await, 200);
            assert_eq!(person.title().await, "GitHub: sign in");
            assert!(person.text().await.contains("asks for: repo"));
            person.fill("Account", account).await;
            assert_eq!(person.count("button", "Deny").await, 1);
            person.click("button", "Allow").await;
            person.wait_for_url(&format!("{redirect_uri}?code=")).await;
            assert_eq!(person.text().await, "Back.");
        }
        let subjects: Vec<_> = provider.ledger.authorizations().into_iter().map(|one| one.subject).collect();
        assert_eq!(subjects, ["ada@github", "grace@github"]);
        assert_eq!(ada.cookies().await[0].value, "of-ada");
        assert!(grace.cookies().await.is_empty());
        let picture = tempfile::tempdir()?;
        grace.goto(&url).await;
        grace.screenshot(&picture.path().join("page.png")).await;
        assert!(std::fs::metadata(picture.path().join("page.png"))?.len() > 1000);
        grace.leave().await;
        assert!(ada.complaints().await.iter().all(|complaint| !complaint.contains("policy")));
        Ok(())
    }
}
