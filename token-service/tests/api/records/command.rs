//! `portcullis records`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::stand::{Stand, call};

fn command(stand: &Stand, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("records").args(arguments.split_whitespace()).env_clear();
    command.env("PORTCULLIS_ADMIN_URL", &stand.service.addresses.admin);
    command.env("PORTCULLIS_ADMIN_TOKEN", stand.service.token());
    command
}

async fn output(stand: &Stand, arguments: &str) -> String {
    let mut command = command(stand, arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("ends").expect("runs");
    assert!(output.status.success(), "{arguments}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_searched_and_downloaded() {
    let stand = Stand::start("").await;
    let denied = [
        ("portcullis.decision", "deny"),
        ("portcullis.rule", "workspace/tools.deny:b"),
        ("rpc.response.status_code", "-32602"),
        ("user.name", "Ada\u{1b}[2J"),
    ];
    stand.send(vec![call(1, "a", &[]), call(2, "b", &denied)]).await;
    let all = output(&stand, "").await;
    let expected = "2026-11-23T10:00:00.002Z  denied           200      7 ms  linear  tools/call b  Ada\u{fffd}[2J  \
                    workspace/tools.deny:b\n\
                    2026-11-23T10:00:00.001Z  ok               200      7 ms  linear  tools/call a  -\n";
    assert_eq!(all, expected);
    assert_eq!(output(&stand, "--limit 1").await.lines().count(), 1);
    assert_eq!(output(&stand, "--tool a --outcome ok --server linear").await.lines().count(), 1);
    assert_eq!(output(&stand, "--error-code -32602").await.lines().count(), 1);
    assert!(output(&stand, "--status 5xx").await.is_empty());
    let json: serde_json::Value =
        serde_json::from_str(&output(&stand, "--json --tool b").await).expect("JSON");
    assert_eq!(json["records"][0]["name"], "b");
    assert_eq!(output(&stand, "--format csv --limit 1").await.lines().count(), 2);
    assert_eq!(output(&stand, "--format ndjson").await.lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_followed() {
    let stand = Stand::start("").await;
    let mut following = command(&stand, "--follow").stdout(Stdio::piped()).spawn().expect("runs");
    let lines = BufReader::new(following.stdout.take().expect("its output"));
    let first = tokio::task::spawn_blocking(move || lines.lines().next());
    tokio::pin!(first);
    // It follows from when it first asks, which nothing here can see; so records come until one is shown.
    let mut number = 0;
    let line = loop {
        number += 1;
        stand.send(vec![call(number, "a", &[])]).await;
        tokio::select! {
            line = &mut first => break line.expect("ends").expect("a line").expect("text"),
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
    };
    assert!(line.ends_with("linear  tools/call a  -"), "{line}");
    following.kill().expect("runs still");
    following.wait().expect("ends");
}
