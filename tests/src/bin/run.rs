//! `make run`: the whole gateway on this machine, with a server of each kind to call, until it is interrupted.
//!
//! Everything is kept in `target/run` (or where `RUN_DIRECTORY` says), made anew each time. `ready.json` there appears
//! when everything works and goes when it ends. `PORT`, `ADMIN_PORT`, `INTERNAL_PORT`, `PUBLIC_PORT`, `ENVOY_ADMIN_PORT` and `UPSTREAM_PORT` choose ports.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use portcullis_tests::artifacts::target_directory;
use portcullis_tests::demo::{self, Demo};
use portcullis_tests::mcp::MODERN;
use portcullis_tests::seed::{ISSUER, SUBJECT};
use portcullis_tests::stack::{Builder, Ports, Stack};
use serde::Serialize;
use serde_json::{Map, json};
use tokio::signal::unix::{SignalKind, signal};

/// `ready.json`: what a script needs to use the running system.
#[derive(Debug, Serialize)]
struct Ready<'a> {
    gateway_url: String,
    public_url: String,
    /// The admin listener's front page.
    console_url: String,
    admin_url: &'a str,
    admin_token: &'a str,
    api_key: &'a str,
    access_log: &'a Path,
    envoy_admin_url: &'a str,
    servers: Vec<ReadyServer<'a>>,
}

#[derive(Debug, Serialize)]
struct ReadyServer<'a> {
    slug: &'a str,
    auth_type: &'a str,
    allowed_tool: &'a str,
    denied_tool: &'a str,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopped = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::select! {
        () = stopped => {
            println!("\nStopped.");
            Ok(())
        }
        outcome = run() => outcome,
    }
}

/// Runs until something ends that should not. Being dropped ends everything.
async fn run() -> anyhow::Result<()> {
    let directory = match std::env::var_os("RUN_DIRECTORY") {
        Some(directory) => directory.into(),
        None => target_directory()?.join("run"),
    };
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    fs::create_dir_all(&directory)?;
    let mut demo = Demo::start().await?;
    let builder = Builder {
        directory: Some(directory.clone()),
        ports: ports()?,
        concurrency: 2,
        scripted: false,
        servers: demo.servers(),
        // So that a client with the URL alone can sign in: on plain http it has no document to be known by.
        oauth: json!({"dynamic_registration": true}),
        sections: Map::from_iter([("catalogue".to_owned(), json!({"every": "15m"}))]),
        explained: false,
        ..Builder::default()
    };
    let mut stack = Stack::build(builder).await?;
    let owner = json!({"issuer": ISSUER, "subject": SUBJECT, "name": "Ada Lovelace", "role": "owner"});
    stack.admin().post("/v1/administrators", owner).await?;
    let _announcement = Announcement::write(&directory, &stack)?;
    print_guide(&stack, &directory);
    tokio::select! {
        ended = stack.ended() => ended,
        ended = demo.ended() => ended,
    }
}

fn ports() -> anyhow::Result<Ports> {
    Ok(Ports {
        gateway: port("PORT")?,
        admin: port("ADMIN_PORT")?,
        internal: port("INTERNAL_PORT")?,
        public: port("PUBLIC_PORT")?,
        envoy_admin: port("ENVOY_ADMIN_PORT")?,
        upstream: port("UPSTREAM_PORT")?,
    })
}

fn port(variable: &str) -> anyhow::Result<Option<u16>> {
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() => match text.parse() {
            Ok(port) => Ok(Some(port)),
            Err(_) => bail!("{variable} is {text:?}, which is no port: use 1 to 65535, or leave it out"),
        },
        _ => Ok(None),
    }
}

/// `ready.json` while this lives.
#[derive(Debug)]
struct Announcement(std::path::PathBuf);

impl Announcement {
    /// Whole or not at all, and for its owner only: it holds the admin token.
    fn write(directory: &Path, stack: &Stack) -> anyhow::Result<Self> {
        let gateway_url = stack.public_url();
        let ready = Ready {
            public_url: gateway_url.clone(),
            gateway_url,
            console_url: format!("{}/", stack.admin().url().trim_end_matches('/')),
            admin_url: stack.admin().url(),
            admin_token: stack.admin().token(),
            api_key: &stack.seeded.key.text,
            access_log: stack.envoy.access_log.path(),
            envoy_admin_url: &stack.envoy.admin_url,
            servers: stack
                .servers
                .iter()
                .map(|server| ReadyServer {
                    slug: server.slug,
                    auth_type: server.auth_type(),
                    allowed_tool: server.allowed_tool,
                    denied_tool: server.denied_tool,
                })
                .collect(),
        };
        let path = directory.join("ready.json");
        // Made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&mut file, &ready)?;
        file.write_all(b"\n")?;
        file.persist(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// What to try.
fn print_guide(stack: &Stack, directory: &Path) {
    println!("\nPortcullis is running. Interrupt it to end it.\n\nServers:");
    for server in &stack.servers {
        let (url, auth) = (stack.url(server.slug), server.auth_type());
        println!("  {url}  ({auth}; {} is allowed, {} is denied)", server.allowed_tool, server.denied_tool);
    }
    println!("\nAll addresses:    {}", directory.join("ready.json").display());
    println!("What was called:  tail -f {}", stack.envoy.access_log.path().display());
    println!("Searchable:       {}/v1/records (portcullis records)", stack.admin().url());
    println!("The admin API:    {}/openapi.json", stack.admin().url());
    println!("The console:      {}/ (Ada Lovelace is an owner)", stack.admin().url());
    let (Some(server), key) = (stack.servers.first(), &stack.seeded.key.text) else { return };
    let url = stack.url(server.slug);
    println!("\nList the tools that the key may use, call one, and be refused another:");
    println!("{}", curl(&url, key, "tools/list", None));
    println!("{}", curl(&url, key, "tools/call", Some(server.allowed_tool)));
    println!("{}", curl(&url, key, "tools/call", Some(server.denied_tool)));
    let desk = stack.url(demo::DESK);
    println!(
        "\nCall a server that wants an account of yours. The answer has a link: open it in a browser, sign in as"
    );
    println!("Ada Lovelace, agree, and sign in to the sample provider under any name. Then call again:");
    println!("{}", curl(&desk, key, "tools/call", Some("whoami")));
    println!("\nWhat is connected:  {}/connections", stack.public_url());
    println!("Set up a client:    {}/setup", stack.public_url());
    let headers = json!({"Authorization": format!("Bearer {key}")});
    let client = json!({"mcpServers": {server.slug: {"url": url, "headers": headers}}});
    println!(
        "\nFor an MCP client's configuration, with the key, or without headers to sign in by itself:\n{client:#}"
    );
}

/// A command that sends one modern request.
fn curl(url: &str, key: &str, method: &str, tool: Option<&str>) -> String {
    let mut params = json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }});
    let mut headers = vec![
        format!("Authorization: Bearer {key}"),
        "Content-Type: application/json".to_owned(),
        "Accept: application/json, text/event-stream".to_owned(),
        format!("MCP-Protocol-Version: {MODERN}"),
        format!("Mcp-Method: {method}"),
    ];
    if let Some(tool) = tool {
        params["name"] = tool.into();
        params["arguments"] = json!({"query": "gate", "id": "PC-1"});
        headers.push(format!("Mcp-Name: {tool}"));
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let headers: Vec<String> = headers.into_iter().map(|header| format!("-H '{header}'")).collect();
    format!("  curl -sS {url} {} -d '{body}'", headers.join(" "))
}
