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
    portcullis.yaml:13: workspaces[0].slug: "Core": a slug has 1 to 63 lower-case letters, digits and hyphens, and starts with a letter or digit
        choose a slug such as linear or team-2
    portcullis.yaml:14: servres: unknown key
        did you mean servers?
    portcullis.yaml:15: servers[0]: `auth` is missing
        add `auth`
    portcullis.yaml:15: servers[0]: `url` is missing
        add `url`
    portcullis.yaml:15: servers[0]: `workspaces` is missing
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

#[test]
fn render_needs_no_secret_and_names_every_server_that_does_not_fit() {
    let directory = Directory::new();
    let headers = "auth: {type: headers, headers: {authorization: {file: not-there}}}, workspaces: all";
    let path = directory.configure(&format!(
        "servers:\n  - {{slug: crm, url: 'https://crm.example/mcp', {headers}}}\n  - {{slug: notes, auth: {{type: oauth, preset: notion}}, workspaces: all}}\n"
    ));
    let render = |path: &Path| {
        let path = path.to_str().expect("a path");
        let arguments =
            ["render", "istio", "--namespace", "mcp", "--gateway", "agents/edge", "--config", path];
        portcullis(&arguments).output().expect("it runs")
    };
    let output = render(&path);
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for part in ["crm.example:443, of crm", "mcp.notion.com:443, of notes", "namespace: edge"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let path = directory.configure(
        "servers:\n  - {slug: a, url: 'https://10.0.0.1/mcp'}\n  - {slug: b, url: 'https://localhost/mcp'}\n",
    );
    let output = render(&path);
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true));
    assert!(error.contains("a: 10.0.0.1") && error.contains("b: localhost"), "{error}");
}

#[test]
fn import_prints_no_secret_and_says_where_they_belong() {
    let directory = Directory::new();
    let export = serde_json::json!({
        "slug": "crm", "url": "https://crm.example/mcp", "auth_type": "headers",
        "global_workspace_access": {"enabled": true},
        "configurations": {"headers": {"Authorization": "Bearer hunter2"}, "forward_headers": ["x-a"]},
    });
    let path = directory.write("export.json", &export.to_string());
    let import = |path: &str| portcullis(&["import", "portkey", path]).output().expect("it runs");
    let output = import(path.to_str().expect("a path"));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    assert_eq!(output.status.code(), Some(0));
    let (printed, report) = (text(output.stdout), text(output.stderr));
    assert!(!printed.contains("hunter2") && !report.contains("hunter2"), "{printed}{report}");
    assert!(report.contains("secrets/crm-authorization: the value of configurations.headers.Authorization"));
    assert!(report.contains("configurations.forward_headers"), "{report}");

    std::fs::create_dir(directory.path("secrets")).expect("is made");
    directory.write("secrets/crm-authorization", "Bearer hunter2");
    assert_eq!(check(&directory.configure(&printed)).status.code(), Some(0), "{printed}");
    for (path, problem) in [("/nowhere", "cannot be read"), ("/dev/null", "is not JSON")] {
        let output = import(path);
        let error = text(output.stderr);
        assert!(
            output.status.code() == Some(1) && output.stdout.is_empty() && error.contains(problem),
            "{error}"
        );
    }
}

fn check_server(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = portcullis(&["check-server"]);
    let output = command.args(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_server_asks_public_addresses_only() {
    for (url, why) in [
        ("linear", "not a URL"),
        ("http://mcp.example.com/mcp", "must be https"),
        ("https://me:hunter2@mcp.example.com/mcp", "user name"),
        ("https://127.0.0.1/mcp", "without --config only public addresses are asked"),
        ("https://169.254.169.254/mcp", "without --config only public addresses are asked"),
    ] {
        let (code, output, error) = check_server(&[url]);
        assert_eq!((code, output.as_str()), (Some(1), ""), "{url}: {error}");
        assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
    }
}

/// A server that describes itself as MCP wants it, on this machine.
async fn described(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    use axum::routing::{get, post};
    let origin = format!("http://{}", listener.local_addr()?);
    let challenge = format!(
        r#"Bearer scope="read write", resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp""#
    );
    let resource =
        serde_json::json!({"resource": format!("{origin}/mcp"), "authorization_servers": [origin]});
    let server = serde_json::json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"),
        "registration_endpoint": format!("{origin}/register"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    });
    let refusal = (axum::http::StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]);
    let routes = axum::Router::new()
        .route("/mcp", post(async || refusal))
        .route("/.well-known/oauth-protected-resource/mcp", get(async || axum::Json(resource)))
        .route("/.well-known/oauth-authorization-server", get(async || axum::Json(server)));
    axum::serve(listener, routes).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_server_reads_what_a_server_says_of_itself() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = tokio::spawn(described(listener));
    let directory = Directory::new();
    let config = directory.configure("egress: {development_loopback: true}\n");
    let url = format!("{origin}/mcp");
    let config = config.to_str().expect("a path").to_owned();
    let checked = tokio::task::spawn_blocking(move || check_server(&[&url, "--config", &config])).await;
    serving.abort();
    let (code, output, error) = checked.expect("it ends");
    assert_eq!(code, Some(0), "{error}");
    assert_snapshot!(output.replace(&origin, "ORIGIN"), @"
    ORIGIN/mcp
      server:         asks for a credential at once (status 401)
      authorization:  OAuth, by ORIGIN
      resource:       ORIGIN/mcp
      registration:   dynamic registration, or a client registered by hand
      scopes:         read write
      PKCE (S256):    yes
      warning:        it has no revocation endpoint: what a member disconnects stays valid there

    For portcullis.yaml:

    servers:
      - slug: server
        url: ORIGIN/mcp
        allow_http: true
        auth:
          type: oauth
        workspaces: all
    ");
}
