//! The page that says what to put into a client. What is copied from it is used as it is, by the real clients where they
//! can be had.

mod bridge;
mod editors;
mod in_browser;
mod sdks;
mod terminals;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use portcullis_tests::mcp::Era;
use portcullis_tests::person::Person;
use portcullis_tests::stack::SAMPLE;
use scraper::{Html, Selector};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::accounts::{ADA, sign_in};
use crate::identity::Setting;

/// What the page calls the variable with the key.
const KEY_VARIABLE: &str = "PORTCULLIS_API_KEY";

/// A gateway, and what Ada copies from the page of its sample server.
struct Story {
    setting: Setting,
    snippets: BTreeMap<String, String>,
}

impl Story {
    async fn start() -> Self {
        let setting = Setting::with_workers(1).await;
        let url = format!("{}/setup/core/{SAMPLE}", setting.stack.public_url());
        let page = sign_in(&Person::new(), &url, ADA).await;
        assert_eq!(page.status, 200, "{}", page.text());
        Self { setting, snippets: snippets(&page.html) }
    }

    /// What is in the box of this name.
    fn copied(&self, name: &str) -> &str {
        let known = || self.snippets.keys();
        self.snippets.get(name).unwrap_or_else(|| panic!("no {name}, only {:?}", known()))
    }

    /// The entry for the sample server in a configuration of the form `{"<list>": {"sample": …}}`.
    fn server(&self, name: &str, list: &str) -> Value {
        let file: Value = serde_json::from_str(self.copied(name)).expect("JSON");
        let servers = file[list].as_object().unwrap_or_else(|| panic!("no {list}: {file}"));
        assert_eq!(servers.keys().collect::<Vec<_>>(), [SAMPLE], "{file}");
        servers[SAMPLE].clone()
    }

    fn key(&self) -> &str {
        &self.setting.stack.seeded.key.text
    }

    /// What Ada may use, as an agent of hers sees it.
    async fn tools(&self) -> Vec<String> {
        let reply = self.setting.stack.agent(SAMPLE, Era::Modern).call("tools/list", json!({})).await;
        let mut tools = names(&reply.answer()["result"]);
        tools.sort();
        assert!(tools.contains(&"search_issues".to_owned()) && !tools.contains(&"delete_issue".to_owned()));
        tools
    }
}

/// The names of the tools in a result, in its order.
fn names(result: &Value) -> Vec<String> {
    let tools = result["tools"].as_array().unwrap_or_else(|| panic!("no tools: {result}"));
    tools.iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect()
}

/// Every box of a page by its name.
fn snippets(html: &str) -> BTreeMap<String, String> {
    let (page, boxes) =
        (Html::parse_document(html), Selector::parse("pre[data-snippet]").expect("a selector"));
    let code = Selector::parse("code").expect("a selector");
    let read = |found: scraper::ElementRef<'_>| {
        let name = found.value().attr("data-snippet")?.to_owned();
        Some((name, found.select(&code).next()?.text().collect::<String>()))
    };
    page.select(&boxes).filter_map(read).collect()
}

/// A home directory in which nothing opens a browser: whoever wants to open one says where to as well.
fn home() -> anyhow::Result<TempDir> {
    let home = tempfile::tempdir()?;
    std::fs::create_dir(home.path().join("bin"))?;
    stand_in(home.path(), "xdg-open", "exit 0")?;
    Ok(home)
}

/// Makes a program of a shell script, found before others of its name.
fn stand_in(home: &Path, name: &str, script: &str) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = home.join("bin").join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A program as somebody with this home directory starts it.
fn program(home: &Path, path: impl AsRef<Path>) -> Command {
    let mut command = Command::new(path.as_ref());
    let mut path = std::ffi::OsString::from(home.join("bin"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("PATH", path).current_dir(home).kill_on_drop(true);
    command.env_remove(KEY_VARIABLE).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
