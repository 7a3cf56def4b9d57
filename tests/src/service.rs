//! The real token-service, as a process.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::artifacts::Artifacts;
use crate::patience::poll;
use crate::process::{Process, Program};

/// Where a token-service keeps everything, and where it listens.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of the process, its log and its configuration: several may share a directory, and so a database.
    pub name: &'static str,
    pub directory: PathBuf,
    pub internal: SocketAddr,
    pub admin: SocketAddr,
    pub public: SocketAddr,
    /// By which agents call the gateway.
    pub public_url: String,
    /// The `issuers` section of the configuration.
    pub issuers: Value,
    /// Sections in place of the usual ones.
    pub sections: Map<String, Value>,
    /// The `oauth` section.
    pub oauth: Value,
    /// What is logged: `info`, or more.
    pub log: &'static str,
    /// What is added to the environment of the process.
    pub environment: Vec<(String, String)>,
}

/// The name of one that is alone.
pub const ALONE: &str = "token-service";

/// A running token-service.
#[derive(Debug)]
pub struct TokenService {
    pub process: Process,
    pub admin: Admin,
    settings: Settings,
    artifacts: Artifacts,
}

impl TokenService {
    /// Starts it on what `settings.directory` holds; writes its configuration there; it makes its keys
    /// itself.
    pub async fn start(artifacts: &Artifacts, settings: &Settings) -> anyhow::Result<Self> {
        prepare(settings)?;
        let mut process = Process::start(&program(artifacts, settings), &settings.directory)?;
        let admin = match ready(settings, &mut process).await {
            Ok(admin) => admin,
            Err(error) => bail!("{error:#}\n{}", process.log_tail()),
        };
        Ok(Self { process, admin, settings: settings.clone(), artifacts: artifacts.clone() })
    }

    /// Where filters ask.
    pub fn internal_url(&self) -> String {
        format!("http://{}", self.settings.internal)
    }

    /// Where browsers are passed on to.
    pub fn pages_url(&self) -> String {
        format!("http://{}", self.settings.public)
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        Ok(())
    }

    /// Says something else in its configuration, from the next start on.
    pub fn set_section(&mut self, name: &str, section: Value) {
        self.settings.sections.insert(name.to_owned(), section);
    }

    /// Writes the file of its configuration, which it follows.
    pub fn write_configuration(&self) -> anyhow::Result<()> {
        prepare(&self.settings)
    }

    /// The file of its configuration.
    pub fn configuration(&self) -> PathBuf {
        self.settings.configuration()
    }

    /// Where filters ask.
    pub fn internal(&self) -> SocketAddr {
        self.settings.internal
    }

    /// Starts it again, after [`Self::kill`], on the same data.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        *self = Self::start(&self.artifacts, &self.settings).await?;
        Ok(())
    }
}

impl Settings {
    fn configuration(&self) -> PathBuf {
        let name = if self.name == ALONE { "portcullis" } else { self.name };
        self.directory.join(format!("{name}.yaml"))
    }
}

fn program(artifacts: &Artifacts, settings: &Settings) -> Program {
    Program {
        name: settings.name,
        path: artifacts.portcullis.clone(),
        arguments: vec!["serve".into(), "--config".into(), settings.configuration().into()],
        environment: std::iter::once(("PORTCULLIS_LOG".into(), settings.log.into()))
            .chain(settings.environment.iter().cloned())
            .collect(),
    }
}

fn prepare(settings: &Settings) -> anyhow::Result<()> {
    let directory = &settings.directory;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut configuration = json!({
        "public_url": settings.public_url,
        "listeners": {
            "internal": settings.internal.to_string(),
            "admin": settings.admin.to_string(),
            "public": settings.public.to_string(),
        },
        "store": {"sqlite": "portcullis.db"},
        "root_key": {"file": "root-key"},
        "admin_token_file": "admin-token",
        "api_key_environment": "local",
        "issuers": settings.issuers,
        "oauth": settings.oauth,
        // Both are for machines like this one only, where everything is on loopback.
        "sign_in": {"development": true},
        "egress": {"development_loopback": true},
        // Upstreams hear only of what a story is about.
        "catalogue": {"every": "never"},
    });
    for (name, section) in &settings.sections {
        configuration[name] = section.clone();
    }
    // JSON is YAML.
    fs::write(settings.configuration(), serde_json::to_string_pretty(&configuration)?)?;
    Ok(())
}

async fn ready(settings: &Settings, process: &mut Process) -> anyhow::Result<Admin> {
    let url = format!("http://{}", settings.admin);
    let token_file = settings.directory.join("admin-token");
    let outcome = poll(async || {
        if let Ok(Some(status)) = process.ended() {
            return Some(Err(status));
        }
        let token = fs::read_to_string(&token_file).ok()?;
        let admin = Admin::new(&url, token.trim()).ok()?;
        admin.get("/v1/servers").await.ok()?;
        Some(Ok(admin))
    })
    .await;
    match outcome {
        Some(Ok(admin)) => Ok(admin),
        Some(Err(status)) => bail!("the token-service has ended: {status}"),
        None => bail!("the token-service does not get ready"),
    }
}
