//! Everything at once: token-service, MCP servers, Envoy with the filter, and something registered.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::admin::Admin;
use crate::artifacts::Artifacts;
use crate::denials::unexplained;
use crate::envoy::{self, Envoy};
use crate::mcp::{Agent, Era};
use crate::mesh::{Mesh, Place};
use crate::patience::poll;
use crate::seed::{self, IssuedKey, Member, Seeded, Server};
use crate::service::{Settings, TokenService};
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

mod places;

use places::Places;

const FILTER_FILE: &str = "filter.json";
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

/// Which of several token-services Envoy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    First,
    /// Each in its turn.
    All,
}

/// How to start a stack.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own, and stories name them")]
pub struct Builder {
    /// Where everything is kept; a temporary directory otherwise.
    pub directory: Option<PathBuf>,
    pub ports: Ports,
    /// Envoy's worker threads.
    pub concurrency: u32,
    /// Whether to register the scripted server too.
    pub scripted: bool,
    /// Further servers to register.
    pub servers: Vec<Server>,
    /// Further members of the workspace, each with a key.
    pub members: Vec<Member>,
    /// Further token-services on the same database.
    pub replicas: usize,
    /// Which of the token-services Envoy asks.
    pub asked: Asked,
    /// Further Envoys in front of the first token-service.
    pub envoys: usize,
    /// The `issuers` section of `portcullis.yaml`.
    pub issuers: Value,
    /// Sections of `portcullis.yaml` in place of the usual ones.
    pub sections: Map<String, Value>,
    /// The `oauth` section of `portcullis.yaml`.
    pub oauth: Value,
    /// Whether everything of ours logs all that it can.
    pub talkative: bool,
    /// Envoy's own rate limit service, asked behind the filter.
    pub rate_limit_service: Option<SocketAddr>,
    /// Whether everything that was denied has to have an explanation when the stack ends.
    pub explained: bool,
    /// How long a response may last, if not as long as `envoy.yaml` says.
    pub longest_response: Option<Duration>,
    /// How long Envoy's calls to the token-service may take, if not as long as `envoy.yaml` says: for stories about something
    /// else, whose database may be slow where much runs beside it.
    pub longest_lease: Option<Duration>,
    /// Where Envoy sends its spans.
    pub collector: Option<SocketAddr>,
    /// The authorities whose certificates servers may show, if not the system's.
    pub trusted_ca: Option<PathBuf>,
    /// Another filter than the one that was built.
    pub filter: Option<PathBuf>,
    /// What stands between Envoy and the token-service's internal listener.
    pub between: Option<SocketAddr>,
    /// Whether Envoy reads its listener from a file that can change while it runs.
    pub listener_by_file: bool,
    /// The same of the filter alone: [`Stack::filter_file`].
    pub filter_by_file: bool,
    /// A gateway of a mesh in the place of an Envoy of one's own. It has a route to the sample server, and to no other.
    pub mesh: Option<Mesh>,
    /// Whether Envoy has a cluster and a route for each server, which were rendered, and no dynamic forward proxy.
    pub rendered: bool,
    /// What is added to the environment of the token-service.
    pub service_environment: Vec<(String, String)>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            directory: None,
            ports: Ports::default(),
            concurrency: 1,
            scripted: true,
            servers: Vec::new(),
            members: Vec::new(),
            replicas: 0,
            asked: Asked::First,
            envoys: 0,
            issuers: json!([]),
            sections: Map::new(),
            oauth: json!({}),
            talkative: false,
            rate_limit_service: None,
            explained: true,
            longest_response: None,
            longest_lease: None,
            collector: None,
            trusted_ca: None,
            filter: None,
            between: None,
            listener_by_file: false,
            filter_by_file: false,
            mesh: None,
            rendered: false,
            service_environment: Vec::new(),
        }
    }
}

/// The running whole. Dropping it ends everything; if that happens in a panic, the logs are shown.
#[derive(Debug)]
pub struct Stack {
    pub envoy: Envoy,
    pub service: TokenService,
    pub replicas: Vec<TokenService>,
    pub envoys: Vec<(SocketAddr, Envoy)>,
    pub sample: SampleUpstream,
    pub scripted: ScriptedUpstream,
    pub seeded: Seeded,
    pub servers: Vec<Server>,
    pub gateway: SocketAddr,
    /// Where everything is kept.
    pub directory: PathBuf,
    /// How many requests the stack itself has made to see whether the filter judges them.
    pub probes: u64,
    explained: bool,
    _temporary: Option<TempDir>,
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
        let mut artifacts = Artifacts::find()?;
        artifacts.wasm = builder.filter.unwrap_or(artifacts.wasm);
        let temporary = if builder.directory.is_none() { Some(tempfile::tempdir()?) } else { None };
        let directory = builder.directory.or_else(|| Some(temporary.as_ref()?.path().to_owned()));
        let directory = directory.context("nowhere to keep things")?;
        let sample = SampleUpstream::start(listener(builder.ports.upstream).await?, SAMPLE_KEY)?;
        let scripted = ScriptedUpstream::start(listener(None).await?)?;
        let mesh = builder.mesh.map(|mesh| Place { mesh, server: sample.address() });
        let mut servers = servers(&sample, &scripted, builder.scripted);
        if let Some(place) = mesh {
            for server in &mut servers {
                server.url = place.url_of(&server.url);
            }
        }
        servers.extend(builder.servers);
        if builder.rendered {
            // Nothing is rendered for a server without a name.
            for server in &mut servers {
                server.url = server.url.replace("127.0.0.1", "localhost");
            }
        }

        let places = Places::take(builder.ports)?;
        let gateway = places.gateway.address()?;
        let service_settings =
            places.service(&directory, builder.issuers, builder.oauth, builder.talkative)?;
        let service_settings = Settings {
            sections: builder.sections,
            environment: builder.service_environment,
            ..service_settings
        };
        let envoy_settings = places.envoy(&directory, builder.concurrency, builder.talkative)?;
        let envoy_settings = envoy::Settings {
            rate_limit_service: builder.rate_limit_service,
            longest_response: builder.longest_response,
            longest_lease: builder.longest_lease,
            collector: builder.collector,
            trusted_ca: builder.trusted_ca,
            token_service: builder.between.unwrap_or(envoy_settings.token_service),
            listener_file: builder.listener_by_file.then(|| directory.join("listeners.json")),
            filter_file: builder.filter_by_file.then(|| directory.join(FILTER_FILE)),
            mesh,
            ..envoy_settings
        };
        // Each is let go right before its program starts.
        let (gateway_port, envoy_admin) = places.keep_for_envoy();
        let service = TokenService::start(&artifacts, &service_settings).await?;
        let replicas = places::replicas(&artifacts, &service_settings, builder.replicas).await?;
        let further = replicas.iter().filter(|_| builder.asked == Asked::All);
        let envoy_settings =
            envoy::Settings { replicas: further.map(TokenService::internal).collect(), ..envoy_settings };
        let seeded = seed::seed(&service.admin, &servers, &builder.members).await;
        let seeded = seeded.context("cannot seed the token-service")?;
        let rendered_from = builder.rendered.then(|| registry(&service.admin));
        let envoy_settings = envoy::Settings { rendered_from, ..envoy_settings };
        drop((gateway_port, envoy_admin));
        let mut envoy = Envoy::start(&artifacts, &envoy_settings, &directory)?;
        envoy.ready().await?;
        let envoys = places::envoys(&artifacts, &envoy_settings, builder.envoys, &directory).await?;
        let mut stack = Self {
            envoy,
            service,
            replicas,
            envoys,
            sample,
            scripted,
            seeded,
            servers,
            gateway,
            directory,
            probes: 0,
            explained: builder.explained,
            _temporary: temporary,
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

    /// The gateway as browsers know it.
    pub fn public_url(&self) -> String {
        format!("http://{}", self.gateway)
    }

    /// The file that Envoy follows for the filter, if the stack was built so.
    pub fn filter_file(&self) -> PathBuf {
        self.directory.join(FILTER_FILE)
    }

    /// Where providers send browsers back to.
    ///
    /// # Panics
    /// If no such server is registered.
    pub fn callback_url(&self, slug: &str) -> String {
        format!("{}/callback/{}", self.public_url(), self.server_id(slug))
    }

    /// An agent with Ada's key.
    pub fn agent(&self, slug: &str, era: Era) -> Agent {
        self.agent_of(&self.seeded.key, slug, era)
    }

    /// An agent with somebody's key.
    pub fn agent_of(&self, key: &IssuedKey, slug: &str, era: Era) -> Agent {
        Agent::new(self.url(slug), Some(&key.text), era)
    }

    /// A legacy agent that has shaken hands.
    pub async fn legacy_agent(&self, slug: &str) -> Agent {
        let mut agent = self.agent(slug, Era::Legacy(crate::mcp::LATEST_LEGACY));
        agent.initialize().await;
        agent
    }

    /// Renders clusters and routes again; Envoy takes them up while it runs.
    pub fn render_again(&self) -> anyhow::Result<()> {
        let registry = registry(self.admin());
        envoy::render_upstreams(&Artifacts::find()?, &registry, &self.directory)
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

    /// Starts Envoy again; its filter knows nothing then.
    pub async fn restart_envoy(&mut self) -> anyhow::Result<()> {
        self.envoy.restart().await?;
        self.filter_ready().await
    }

    /// Waits until a request is judged instead of being told to come back later.
    pub async fn filter_ready(&mut self) -> anyhow::Result<()> {
        let agent = self.agent(SAMPLE, Era::Modern);
        let judged = poll(async || {
            let reply = agent.post(&agent.message("tools/list", json!({}))).send().await.ok()?;
            self.probes += 1;
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
            let services = self.replicas.iter_mut().map(|replica| &mut replica.process);
            for process in services.chain([&mut self.service.process, &mut self.envoy.process]) {
                if let Some(status) = process.ended()? {
                    bail!("{} has ended: {status}\n{}", process.name(), process.log_tail());
                }
            }
        }
    }

    fn logs(&self) -> String {
        let access_log = self.envoy.access_log.text();
        let replicas: String = self.replicas.iter().map(|replica| replica.process.log_tail()).collect();
        format!(
            "{}{replicas}{}--- access log ---\n{access_log}",
            self.service.process.log_tail(),
            self.envoy.process.log_tail()
        )
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        } else if self.explained {
            let others = self.envoys.iter().map(|(_, envoy)| &envoy.access_log);
            let logs: Vec<_> = std::iter::once(&self.envoy.access_log).chain(others).collect();
            let faults = unexplained(&logs, self.admin());
            assert!(faults.is_empty(), "denied without a true explanation:\n{}", faults.join("\n"));
        }
    }
}

fn registry(admin: &Admin) -> envoy::Registry {
    envoy::Registry::Service { admin_url: admin.url().to_owned(), token: admin.token().to_owned() }
}

async fn listener(port: Option<u16>) -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port.unwrap_or(0))).await
}

fn servers(sample: &SampleUpstream, scripted: &ScriptedUpstream, with_scripted: bool) -> Vec<Server> {
    let mut servers = vec![
        Server {
            slug: SAMPLE,
            url: sample.url(),
            auth: seed::headers(&[("authorization", &format!("Bearer {SAMPLE_KEY}"))]),
            allowed_tool: "search_issues",
            denied_tool: "delete_issue",
            denied_prompts: vec!["delete_*"],
            denied_resources: vec!["secret://*"],
            payload: "redacted",
        },
        Server {
            slug: OPEN,
            url: sample.open_url(),
            auth: seed::no_credential(),
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
            auth: seed::headers(&[("x-api-key", SCRIPTED_KEY)]),
            allowed_tool: "allowed",
            denied_tool: "denied*",
            denied_prompts: vec!["denied*"],
            denied_resources: vec!["denied*"],
            payload: "full",
        });
    }
    servers
}
