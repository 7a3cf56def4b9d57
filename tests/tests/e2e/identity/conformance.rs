//! The conformance suite of MCP against the gateway's authorization server.

use std::process::Stdio;

use anyhow::Context as _;
use portcullis_tests::fetched;
use portcullis_tests::port::Reserved;
use portcullis_tests::stack::SAMPLE;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::{SUITE, Setting, allow};
use crate::accounts::ADA;

/// Starts the suite; it prints where its person has to go.
fn start(setting: &Setting, results: &std::path::Path) -> anyhow::Result<Option<Child>> {
    let Some(node) = fetched::node_with_packages() else { return Ok(None) };
    let reserved = Reserved::take(None)?;
    let port = reserved.address()?.port().to_string();
    // Let go right before the suite takes it.
    drop(reserved);
    let child = Command::new(node)
        .arg(fetched::npm_packages().join("@modelcontextprotocol/conformance/dist/index.js"))
        .args(["authorization", "--url", &setting.public_url(), "--client-id", SUITE])
        .args(["--resource", &setting.stack.url(SAMPLE), "-p", &port, "-o"])
        .arg(results)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    Ok(Some(child))
}

/// Every check that the suite has made: what it is called and what became of it.
fn checks(results: &std::path::Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut checks = Vec::new();
    for entry in std::fs::read_dir(results)? {
        let file = entry?.path().join("checks.json");
        let made: Vec<Value> = serde_json::from_slice(&std::fs::read(&file)?)?;
        let text = |check: &Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
        checks.extend(made.iter().map(|check| (text(check, "id"), text(check, "status"))));
    }
    Ok(checks)
}

#[tokio::test]
async fn the_authorization_server_passes_the_conformance_suite() -> anyhow::Result<()> {
    let (setting, results) = (Setting::start().await, tempfile::tempdir()?);
    let Some(mut suite) = start(&setting, results.path())? else { return Ok(()) };
    let mut lines = BufReader::new(suite.stdout.take().context("no way to listen")?).lines();
    let (mut said, mut signed_in) = (String::new(), 0);
    while let Some(line) = lines.next_line().await? {
        if line.starts_with("http") && line.contains("/oauth/authorize?") {
            signed_in += 1;
            allow(&line, ADA).await;
        }
        said.push_str(&line);
        said.push('\n');
    }
    let status = suite.wait().await?;
    let checks = checks(results.path())?;
    let bad: Vec<_> =
        checks.iter().filter(|(_, status)| !["SUCCESS", "INFO"].contains(&status.as_str())).collect();
    assert!(status.success() && bad.is_empty(), "{bad:?}\n{said}");
    assert_eq!(signed_in, 1, "{said}");
    for id in ["authorization-server-metadata", "authorization-code-grant"] {
        assert!(checks.iter().any(|(check, _)| check.starts_with(id)), "{id}: {checks:?}");
    }
    Ok(())
}
