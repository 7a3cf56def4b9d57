//! The program itself.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use insta::assert_snapshot;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::Directory;

fn portcullis(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).env_clear();
    command
}

fn check(path: &Path) -> Output {
    let path = path.to_str().expect("a path");
    portcullis(&["check", "--config", path]).output().expect("it runs")
}

#[test]
fn check_names_every_problem() {
    let directory = Directory::new();
    let path = directory.configure("workspaces: [{slug: Core}]\nservres: []\nservers: [{slug: docs}]\n");
    let output = check(&path);
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8(output.stderr).expect("text");
    assert_snapshot!(shown.replace(path.to_str().expect("a path"), "portcullis.yaml"), @r#"
    portcullis.yaml:12: workspaces[0].slug: "Core": a slug has 1 to 63 lower-case letters, digits and hyphens, and starts with a letter or digit
        choose a slug such as linear or team-2
    portcullis.yaml:13: servres: unknown key
        did you mean servers?
    portcullis.yaml:14: servers[0]: `url` is missing
        add `url`
    portcullis.yaml:14: servers[0]: `auth` is missing
        add `auth`
    portcullis.yaml:14: servers[0]: `workspaces` is missing
        add `workspaces`
    5 problems
    "#);
}

#[test]
fn check_says_when_all_is_well() {
    let directory = Directory::new();
    let output = check(&directory.configure("workspaces: [{slug: core}]\n"));
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).expect("text").ends_with("portcullis.yaml is good\n"));
    let files: Vec<_> =
        directory.files().iter().filter_map(|path| path.file_name().map(ToOwned::to_owned)).collect();
    assert_eq!(files, ["portcullis.yaml"], "it changes nothing");
}

#[test]
fn version() {
    let output = portcullis(&["version"]).output().expect("it runs");
    assert_eq!(
        String::from_utf8(output.stdout).expect("text"),
        concat!("portcullis ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn serve_logs_json_and_stops_on_a_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let directory = Directory::new();
        let path = directory.configure("workspaces: [{slug: core}]\n");
        let mut child = portcullis(&["serve", "--config", path.to_str().expect("a path")])
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut log = BufReader::new(child.stderr.take().expect("its log"));
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).expect("a line"), 0, "it ended: {lines:?}");
            let entry: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
            let is_listening = entry["message"] == "listening";
            lines.push(line);
            if is_listening {
                break;
            }
        }
        kill(Pid::from_raw(child.id().try_into().expect("an id")), signal).expect("signals");
        let mut rest = String::new();
        log.read_to_string(&mut rest).expect("the rest");
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{rest}");
        assert!(rest.contains("stopped"), "{rest}");
    }
}

#[test]
fn serve_names_every_problem_and_ends() {
    let directory = Directory::new();
    let path = directory.configure("workspaces: [{slug: Core}]\nservres: []\n");
    let output =
        portcullis(&["serve", "--config", path.to_str().expect("a path")]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8(output.stderr).expect("text");
    assert!(shown.contains("servres") && shown.contains("2 problems"), "{shown}");
}
