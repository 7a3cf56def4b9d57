//! Claude Desktop starts a program and speaks to it by its input and output. So does this, with what the page says.

use anyhow::{Context as _, bail};
use portcullis_tests::artifacts::repository;
use portcullis_tests::fetched;
use portcullis_tests::patience::within;
use portcullis_token_service::domain::client_setup::BRIDGE;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use super::{Story, home, names, program};
use crate::accounts::ADA;
use crate::identity::allow_anything;

/// Started as a desktop application would: found by name, and told nothing but its arguments.
struct Bridge {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<ChildStderr>>,
    _child: Child,
    _home: TempDir,
}

impl Bridge {
    /// `None` where there is no Node to run it with.
    fn start(server: &Value, home: TempDir) -> anyhow::Result<Option<Self>> {
        let Some(node) = fetched::node_with_packages() else { return Ok(None) };
        assert_eq!(server["command"], "npx");
        let arguments = server["args"].as_array().context("no arguments")?;
        let mut command = program(home.path(), "npx");
        // The package that the tests have fetched, in this version or none.
        command.current_dir(repository().join("tests")).env("npm_config_offline", "true");
        command.env("npm_node_execpath", node);
        command.args(arguments.iter().filter_map(Value::as_str));
        let mut child = command.spawn()?;
        Ok(Some(Self {
            input: child.stdin.take().context("no input")?,
            output: BufReader::new(child.stdout.take().context("no output")?).lines(),
            log: BufReader::new(child.stderr.take().context("no log")?).lines(),
            _child: child,
            _home: home,
        }))
    }

    async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        Ok(self.input.write_all(format!("{message}\n").as_bytes()).await?)
    }

    async fn answer(&mut self, id: u64) -> anyhow::Result<Value> {
        while let Some(line) = self.output.next_line().await? {
            let message: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            if message["id"] == id {
                return Ok(message["result"].clone());
            }
        }
        let mut log = String::new();
        while let Some(line) = self.log.next_line().await? {
            log.push_str(&line);
            log.push('\n');
        }
        bail!("the bridge has ended: {log}")
    }

    /// The address that it wants opened.
    async fn address(&mut self) -> anyhow::Result<String> {
        while let Some(line) = self.log.next_line().await? {
            if let Some(start) = line.find("http").filter(|_| line.contains("/oauth/authorize")) {
                return Ok(line[start..].trim().to_owned());
            }
        }
        bail!("the bridge wants nothing opened")
    }

    async fn initialize(&mut self) -> anyhow::Result<()> {
        let client = json!({"name": "desktop", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        self.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})).await
    }

    /// The tools, once it is connected.
    async fn tools(&mut self) -> anyhow::Result<Vec<String>> {
        within("the handshake", self.answer(1)).await?;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        self.send(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})).await?;
        let mut tools = names(&within("the tools", self.answer(2)).await?);
        tools.sort();
        Ok(tools)
    }
}

#[tokio::test]
async fn with_a_key_in_a_file() -> anyhow::Result<()> {
    let (story, home) = (Story::start().await, home()?);
    let headers = home.path().join("headers.txt");
    let text = story.copied("claude-desktop/api-key/1");
    assert!(text.contains("YOUR_API_KEY"), "{text}");
    std::fs::write(&headers, text.replace("YOUR_API_KEY", story.key()))?;
    let mut server = story.server("claude-desktop/api-key/2", "mcpServers");
    let path = headers.to_str().context("a path that is not UTF-8")?;
    let arguments = server["args"].as_array_mut().context("no arguments")?;
    let file = arguments.iter_mut().find(|word| *word == "/PATH/TO/portcullis-headers.txt");
    *file.context("no place for the path")? = path.into();
    let Some(mut bridge) = Bridge::start(&server, home)? else { return Ok(()) };
    bridge.initialize().await?;
    assert_eq!(bridge.tools().await?, story.tools().await);
    Ok(())
}

#[tokio::test]
async fn signing_its_person_in() -> anyhow::Result<()> {
    let story = Story::start().await;
    let server = story.server("claude-desktop/sign-in/1", "mcpServers");
    let Some(mut bridge) = Bridge::start(&server, home()?)? else { return Ok(()) };
    bridge.initialize().await?;
    let address = within("an address", bridge.address()).await?;
    let page = allow_anything(&address, ADA).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(bridge.tools().await?, story.tools().await);
    Ok(())
}

/// What users start is what is tested.
#[test]
fn the_bridge_on_the_page_is_the_one_of_the_tests() -> anyhow::Result<()> {
    let packages: Value =
        serde_json::from_str(&std::fs::read_to_string(repository().join("tests/package.json"))?)?;
    let version = packages["dependencies"]["mcp-remote"].as_str().context("no version")?;
    assert_eq!(BRIDGE, format!("mcp-remote@{version}"));
    Ok(())
}
