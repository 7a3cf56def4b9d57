//! `make run`: ready means ready, the file says how to use it, and nothing is left when it ends.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use portcullis_tests::artifacts::{Artifacts, profile_directory};
use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::patience::poll;
use portcullis_tests::process::{Process, Program};
use serde_json::{Value, json};

fn start(directory: &Path) -> Process {
    let artifacts = Artifacts::find().expect("everything built");
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let program = Program {
        name: "run",
        path: profile_directory().expect("a target directory").join("run"),
        arguments: Vec::new(),
        environment: vec![
            ("RUN_DIRECTORY".into(), text(&directory.join("run"))),
            ("ENVOY".into(), text(&artifacts.envoy)),
            ("PORTCULLIS_WASM".into(), text(&artifacts.wasm)),
            ("PORTCULLIS_BIN".into(), text(&artifacts.portcullis)),
        ],
    };
    Process::start(&program, directory).expect("starts")
}

#[tokio::test]
async fn ready_says_how_to_use_it_and_nothing_is_left() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut run = start(directory.path());
    let file = directory.path().join("run/ready.json");
    let text = poll(async || std::fs::read_to_string(&file).ok()).await;
    let ready: Value = text.map_or_else(
        || panic!("not ready: {}", run.log_tail()),
        |text| serde_json::from_str(&text).expect("whole as soon as it is there"),
    );
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");

    let field = |name: &str| ready[name].as_str().unwrap_or_else(|| panic!("{name} in {ready}")).to_owned();
    for server in ready["servers"].as_array().expect("servers") {
        let slug = server["slug"].as_str().expect("a slug");
        let url = format!("{}/{slug}/mcp", field("gateway_url"));
        let agent = Agent::new(url, Some(&field("api_key")), Era::Modern);
        let arguments = json!({"query": "gate", "id": "PC-1"});
        let call = async |tool: &str| {
            agent.call_tool(server[tool].as_str().expect("a tool"), arguments.clone()).await.answer()
        };
        assert!(call("allowed_tool").await["result"].is_object(), "{server}");
        assert_eq!(call("denied_tool").await["error"]["code"], -32602, "{server}");
    }
    let types: Vec<&str> = ready["servers"]
        .as_array()
        .expect("servers")
        .iter()
        .filter_map(|s| s["auth_type"].as_str())
        .collect();
    assert_eq!(types, ["headers", "none", "oauth", "client_credentials"]);
    let http = portcullis_tests::http::client().build().expect("a client");
    let admin = http.get(format!("{}/v1/servers", field("admin_url"))).bearer_auth(field("admin_token"));
    assert!(admin.send().await.expect("an answer").status().is_success());
    let envoy = http.get(format!("{}/ready", field("envoy_admin_url")));
    assert!(envoy.send().await.expect("an answer").status().is_success());
    assert!(Path::new(&field("access_log")).exists());
    assert_eq!(field("public_url"), field("gateway_url"));

    assert!(run.stop().expect("ends").success(), "{}", run.log_tail());
    assert!(!file.exists());
    for url in ["gateway_url", "admin_url", "envoy_admin_url"] {
        assert!(http.get(field(url)).send().await.is_err(), "{url} still answers");
    }
}

#[tokio::test]
async fn even_a_kill_leaves_nothing_running() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut run = start(directory.path());
    let file = directory.path().join("run/ready.json");
    let text = poll(async || std::fs::read_to_string(&file).ok()).await;
    let ready: Value = serde_json::from_str(&text.expect("ready")).expect("JSON");
    run.kill().expect("ends");
    let http = portcullis_tests::http::client().build().expect("a client");
    for name in ["gateway_url", "admin_url", "envoy_admin_url"] {
        let url = ready[name].as_str().expect("a URL");
        let gone = poll(async || http.get(url).send().await.is_err().then_some(())).await;
        assert!(gone.is_some(), "{name} still answers");
    }
}
