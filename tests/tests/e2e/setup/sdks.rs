//! Programs of one's own: the page's text is the program.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use portcullis_tests::fetched;
use portcullis_tests::patience::within;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use super::{KEY_VARIABLE, Story, home, program};
use crate::accounts::ADA;
use crate::identity::allow;

/// What precedes the address at which somebody has to sign in.
const OPEN: &str = "To sign in, open ";

/// What runs a program, and the names of the file and of the client on the page.
fn interpreters() -> [(Option<PathBuf>, &'static str, &'static str); 2] {
    [
        (fetched::python_with_packages(), "tools.py", "python"),
        (fetched::node_with_packages(), "tools.mjs", "typescript"),
    ]
}

/// Writes the program where its interpreter finds the packages that the tests have fetched.
fn write(text: &str, file: &str) -> anyhow::Result<TempDir> {
    let home = home()?;
    std::os::unix::fs::symlink(fetched::npm_packages(), home.path().join("node_modules"))?;
    std::fs::write(home.path().join(file), text)?;
    Ok(home)
}

fn run(interpreter: &Path, home: &TempDir, file: &str) -> Command {
    let mut command = program(home.path(), interpreter);
    command.arg(file);
    command
}

fn sorted(output: &str) -> Vec<String> {
    let mut lines: Vec<String> = output.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn with_a_key_from_the_environment() -> anyhow::Result<()> {
    let story = Story::start().await;
    for (interpreter, file, client) in interpreters() {
        let Some(interpreter) = interpreter else { continue };
        let home = write(story.copied(&format!("{client}/api-key/3")), file)?;
        let mut command = run(&interpreter, &home, file);
        let output = within(client, command.env(KEY_VARIABLE, story.key()).output()).await?;
        assert!(output.status.success(), "{client}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(sorted(&String::from_utf8(output.stdout)?), story.tools().await, "{client}");
        // Without the key it is refused, so it was the key that opened.
        let output = within(client, run(&interpreter, &home, file).output()).await?;
        assert!(!output.status.success() && output.stdout.is_empty(), "{client}: {output:?}");
    }
    Ok(())
}

#[tokio::test]
async fn signing_their_person_in() -> anyhow::Result<()> {
    let story = Story::start().await;
    for (interpreter, file, client) in interpreters() {
        let Some(interpreter) = interpreter else { continue };
        let home = write(story.copied(&format!("{client}/sign-in/2")), file)?;
        let mut child = run(&interpreter, &home, file).spawn()?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        within(client, output.read_line(&mut line)).await?;
        let Some(url) = line.trim_end().strip_prefix(OPEN) else {
            let failed = child.wait_with_output().await?;
            panic!("{client}: {line} {}", String::from_utf8_lossy(&failed.stderr))
        };
        allow(url, ADA).await;
        let mut tools = String::new();
        within(client, output.read_to_string(&mut tools)).await?;
        let ended = within(client, child.wait_with_output()).await?;
        assert!(ended.status.success(), "{client}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(sorted(&tools), story.tools().await, "{client}");
    }
    Ok(())
}
