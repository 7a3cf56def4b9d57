//! Clients of the terminal. A shell always reads the commands; the clients themselves do where variables name them,
//! because they are large, and one is not free to pass on.

use std::path::Path;

use portcullis_tests::fetched;
use portcullis_tests::patience::within;
use portcullis_tests::stack::SAMPLE;
use serde_json::{Value, json};

use super::{KEY_VARIABLE, Story, home, program, stand_in};

/// Runs what was copied in a shell; its output.
async fn paste(home: &Path, key: Option<&str>, command: &str) -> String {
    let mut shell = program(home, "sh");
    shell.args(["-c", command]).stdin(std::process::Stdio::null());
    if let Some(key) = key {
        shell.env(KEY_VARIABLE, key);
    }
    let output = within(command, shell.output()).await.expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command}: {text} {}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Puts a client where the shell finds it.
fn link(home: &Path, name: &str, client: &Path) -> anyhow::Result<()> {
    Ok(std::os::unix::fs::symlink(client, home.join("bin").join(name))?)
}

#[tokio::test]
async fn a_shell_makes_of_the_commands_what_the_clients_document() -> anyhow::Result<()> {
    let (story, home) = (Story::start().await, home()?);
    for name in ["claude", "codex"] {
        stand_in(home.path(), name, "printf '%s\\n' \"$@\"")?;
    }
    let url = story.setting.stack.url(SAMPLE);
    let header = format!("Authorization: Bearer ${{{KEY_VARIABLE}}}");
    let add = ["mcp", "add", "--transport", "http", "--scope", "user", SAMPLE, &url];
    let codex = ["mcp", "add", SAMPLE, "--url", &url];
    for (name, words) in [
        ("claude-code/sign-in/1", add.to_vec()),
        ("claude-code/sign-in/2", vec!["mcp", "login", SAMPLE]),
        ("claude-code/api-key/2", [&add[..], &["--header", &header]].concat()),
        ("claude-code/api-key/3", vec!["mcp", "list"]),
        ("codex/sign-in/2", vec!["mcp", "login", SAMPLE]),
        ("codex/sign-in/3", codex.to_vec()),
        ("codex/api-key/3", [&codex[..], &["--bearer-token-env-var", KEY_VARIABLE]].concat()),
    ] {
        // A key in the environment shows that the shell leaves the variable alone.
        let output = paste(home.path(), Some(story.key()), story.copied(name)).await;
        assert_eq!(output.lines().collect::<Vec<_>>(), words, "{name}");
    }
    let kept = format!("{}\nprintf %s \"${KEY_VARIABLE}\"", story.copied("key/shell"));
    let typed = format!("printf '%s\\n' '{}' | bash -c '{kept}'", story.key());
    assert!(story.copied("key/shell").contains("read -rs"), "{kept}");
    assert_eq!(paste(home.path(), None, &typed).await, story.key());
    Ok(())
}

#[tokio::test]
async fn claude_code_connects() -> anyhow::Result<()> {
    let Some(client) = fetched::client_named("CLAUDE_CODE") else { return Ok(()) };
    let (story, home) = (Story::start().await, home()?);
    link(home.path(), "claude", &client)?;
    paste(home.path(), None, story.copied("claude-code/api-key/2")).await;
    let kept = std::fs::read_to_string(home.path().join(".claude.json"))?;
    assert!(kept.contains(&format!("${{{KEY_VARIABLE}}}")) && !kept.contains(story.key()), "{kept}");
    let listed = paste(home.path(), Some(story.key()), story.copied("claude-code/api-key/3")).await;
    assert!(listed.contains("Connected"), "{listed}");
    let listed = paste(home.path(), None, story.copied("claude-code/api-key/3")).await;
    assert!(!listed.contains("Connected"), "{listed}");

    // With the address alone it finds out that somebody has to sign in.
    paste(home.path(), None, &format!("claude mcp remove {SAMPLE} --scope user")).await;
    paste(home.path(), None, story.copied("claude-code/sign-in/1")).await;
    let listed = paste(home.path(), None, "claude mcp list").await;
    assert!(listed.contains("Needs authentication"), "{listed}");

    // A file of a project is the same: what the client makes of it is what it made of the command.
    let shown = paste(home.path(), None, &format!("claude mcp get {SAMPLE}")).await;
    std::fs::write(home.path().join(".mcp.json"), story.copied("claude-code/sign-in/3"))?;
    paste(home.path(), None, &format!("claude mcp remove {SAMPLE} --scope user")).await;
    let of_project = paste(home.path(), None, &format!("claude mcp get {SAMPLE}")).await;
    for line in ["Type: http", &format!("URL: {}", story.setting.stack.url(SAMPLE))] {
        assert!(shown.contains(line) && of_project.contains(line), "{line}: {shown} {of_project}");
    }
    Ok(())
}

#[tokio::test]
async fn codex_reads_its_file() -> anyhow::Result<()> {
    let Some(client) = fetched::client_named("CODEX") else { return Ok(()) };
    let (story, home) = (Story::start().await, home()?);
    link(home.path(), "codex", &client)?;
    let file = home.path().join(".codex/config.toml");
    std::fs::create_dir(home.path().join(".codex"))?;
    let url = story.setting.stack.url(SAMPLE);
    for (name, status, variable) in [
        ("codex/sign-in/1", "not_logged_in", Value::Null),
        ("codex/api-key/2", "bearer_token", json!(KEY_VARIABLE)),
    ] {
        std::fs::write(&file, story.copied(name))?;
        let listed = paste(home.path(), Some(story.key()), "codex mcp list --json").await;
        let listed: Value = serde_json::from_str(&listed)?;
        let server = &listed[0];
        assert_eq!((&server["name"], &server["auth_status"]), (&json!(SAMPLE), &json!(status)), "{server}");
        let transport = &server["transport"];
        assert_eq!(
            (&transport["url"], &transport["bearer_token_env_var"]),
            (&json!(url), &variable),
            "{server}"
        );
    }
    // What it writes by itself is what the page says.
    let written = story.copied("codex/api-key/2").to_owned();
    std::fs::write(&file, "")?;
    paste(home.path(), Some(story.key()), story.copied("codex/api-key/3")).await;
    assert_eq!(std::fs::read_to_string(&file)?.trim(), written);
    Ok(())
}
