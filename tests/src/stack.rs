//! Everything at once: token-service, MCP servers, Envoy with the filter, and something registered.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::admin::Admin;
use crate::artifacts::Artifacts;
use crate::envoy::{self, Envoy};
use crate::mcp::{Agent, Era};
use crate::patience::poll;
use crate::port::Reserved;
use crate::seed::{self, Seeded, Server};
use crate::service::{self, TokenService};
use crate::upstream::sample::SampleUpstream;
use crate::upstream::scripted::ScriptedUpstream;

/// What the sample server demands. Told to the gateway, never to an agent; looked for where it must not be.
pub const SAMPLE_KEY: &str = "sample-upstream-key-5d1f0c";
/// What the gateway sends to the scripted server.
pub const SCRIPTED_KEY: &str = "scripted-upstream-key-a83e77";

/// Slug of the sample server's endpoint that demands a key.
pub const SAMPLE: &str = "sample";
/// Slug of the sample server's endpoint that takes anybody.
pub const OPEN: &str = "sample-open";
/// Slug of the scripted server.
pub const SCRIPTED: &str = "scripted";

const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// Ports to use instead of free ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    pub gateway: Option<u16>,
    pub envoy_admin: Option<u16>,
    pub admin: Option<u16>,
    pub internal: Option<u16>,
    pub public: Option<u16>,
    pub upstream: Option<u16>,
}

/// How to start a stack.
#[derive(Debug)]
pub struct Builder {
    /// Where everything is kept; a temporary directory otherwise.
    pub directory: Option<PathBuf>,
    pub ports: Ports,
    /// Envoy's worker threads.
    pub concurrency: u32,
    /// Whether to register the scripted server too.
    pub scripted: bool,
    /// The `issuers` section of `portcullis.yaml`.
    pub issuers: Value,
}

impl Default for Builder {
    fn default() -> Self {
        Self { directory: None, ports: Ports::default(), concurrency: 1, scripted: true, issuers: json!([]) }
    }
}

/// The running whole. Dropping it ends everything; if that happens in a panic, the logs are shown.
#[derive(Debug)]
pub struct Stack {
    pub envoy: Envoy,
    pub service: TokenService,
    pub sample: SampleUpstream,
    pub scripted: ScriptedUpstream,
    pub seeded: Seeded,
    pub servers: Vec<Server>,
    pub gateway: SocketAddr,
    _directory: Option<TempDir>,
}

impl Stack {
    /// Starts a stack for one story.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        Self::build(Builder::default()).await.unwrap_or_else(|error| panic!("no stack: {error:#}"))
    }

    /// Starts a stack and waits until the filter judges requests.
    pub async fn build(builder: Builder) -> anyhow::Result<Self> {
        let artifacts = Artifacts::find()?;
        let temporary = if builder.directory.is_none() { Some(tempfile::tempdir()?) } else { None };
        let directory = builder.directory.or_else(|| Some(temporary.as_ref()?.path().to_owned()));
        let directory = directory.context("nowhere to keep things")?;
        let ports = builder.ports;
        let sample = SampleUpstream::start(listener(ports.upstream).await?, SAMPLE_KEY)?;
        let scripted = ScriptedUpstream::start(listener(None).await?)?;
        let servers = servers(&sample, &scripted, builder.scripted);

        // Reserved together, so that they differ; each is let go right before its program starts.
        let gateway = Reserved::take(ports.gateway)?;
        let envoy_admin = Reserved::take(ports.envoy_admin)?;
        let admin = Reserved::take(ports.admin)?;
        let internal = Reserved::take(ports.internal)?;
        let public = Reserved::take(ports.public)?;
        let gateway_address = gateway.address()?;
        let public_url = format!("http://{gateway_address}");
        let service_settings = service::Settings {
            directory: directory.clone(),
            internal: internal.address()?,
            admin: admin.address()?,
            public: public.address()?,
            public_url: public_url.clone(),
            issuers: builder.issuers,
        };
        let envoy_settings = envoy::Settings {
            gateway: gateway_address,
            admin: envoy_admin.address()?,
            token_service: internal.address()?,
            pages: public.address()?,
            public_url,
            access_log: directory.join("access.jsonl"),
            concurrency: builder.concurrency,
        };
        drop((admin, internal, public));
        let service = TokenService::start(&artifacts, &service_settings).await?;
        let seeded = seed::seed(&service.admin, &servers).await.context("cannot seed the token-service")?;
        drop((gateway, envoy_admin));
        let mut envoy = Envoy::start(&artifacts, &envoy_settings, &directory)?;
        envoy.ready().await?;
        let mut stack = Self {
            envoy,
            service,
            sample,
            scripted,
            seeded,
            servers,
            gateway: gateway_address,
            _directory: temporary,
        };
        stack.filter_ready().await?;
        Ok(stack)
    }

    pub fn admin(&self) -> &Admin {
        &self.service.admin
    }

    /// Where agents find a server.
    pub fn url(&self, slug: &str) -> String {
        format!("http://{}/{slug}/mcp", self.gateway)
    }

    /// An agent with the seeded member's key.
    pub fn agent(&self, slug: &str, era: Era) -> Agent {
        Agent::new(self.url(slug), Some(&self.seeded.key.text), era)
    }

    /// A legacy agent that has shaken hands.
    pub async fn legacy_agent(&self, slug: &str) -> Agent {
        let mut agent = self.agent(slug, Era::Legacy(crate::mcp::LATEST_LEGACY));
        agent.initialize().await;
        agent
    }

    /// The id of a registered server.
    ///
    /// # Panics
    /// If it is not registered.
    pub fn server_id(&self, slug: &str) -> &str {
        let position = self.servers.iter().position(|server| server.slug == slug).expect("a registered slug");
        &self.seeded.servers[position]
    }

    /// Whether the filter has never trapped: a trap makes Envoy reload its VM.
    ///
    /// # Panics
    /// If Envoy does not say.
    pub async fn filter_never_trapped(&self) -> bool {
        self.envoy.stat("vm_reload").await.expect("Envoy's statistics") == 0
    }

    /// Waits until a request is judged instead of being told to come back later.
    async fn filter_ready(&mut self) -> anyhow::Result<()> {
        let agent = self.agent(SAMPLE, Era::Modern);
        let judged = poll(async || {
            let reply = agent.post(&agent.message("tools/list", json!({}))).send().await.ok()?;
            (reply.status() == 200).then_some(())
        })
        .await;
        self.sample.journal.clear();
        if judged.is_none() {
            bail!("the filter does not get ready\n{}", self.logs());
        }
        Ok(())
    }

    /// Waits until a part ends that should not, and says which.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(WATCH_INTERVAL);
        loop {
            tokio::select! {
                () = self.sample.ended() => bail!("the sample server has ended"),
                _ = look.tick() => {}
            }
            for process in [&mut self.service.process, &mut self.envoy.process] {
                if let Some(status) = process.ended()? {
                    bail!("{} has ended: {status}\n{}", process.name(), process.log_tail());
                }
            }
        }
    }

    fn logs(&self) -> String {
        let access_log = self.envoy.access_log.text();
        format!(
            "{}{}--- access log ---\n{access_log}",
            self.service.process.log_tail(),
            self.envoy.process.log_tail()
        )
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
    }
}

async fn listener(port: Option<u16>) -> std::io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).await
}

fn servers(sample: &SampleUpstream, scripted: &ScriptedUpstream, with_scripted: bool) -> Vec<Server> {
    let mut servers = vec![
        Server {
            slug: SAMPLE,
            url: sample.url(),
            headers: vec![("authorization", format!("Bearer {SAMPLE_KEY}"))],
            allowed_tool: "search_issues",
            denied_tool: "delete_issue",
            denied_prompts: vec!["delete_*"],
            denied_resources: vec!["secret://*"],
            payload: "redacted",
        },
        Server {
            slug: OPEN,
            url: sample.open_url(),
            headers: Vec::new(),
            allowed_tool: "get_issue",
            denied_tool: "create_issue",
            denied_prompts: Vec::new(),
            denied_resources: Vec::new(),
            payload: "redacted",
        },
    ];
    if with_scripted {
        servers.push(Server {
            slug: SCRIPTED,
            url: scripted.url(),
            headers: vec![("x-api-key", SCRIPTED_KEY.to_owned())],
            allowed_tool: "allowed",
            denied_tool: "denied*",
            denied_prompts: vec!["denied*"],
            denied_resources: vec!["denied*"],
            payload: "full",
        });
    }
    servers
}
