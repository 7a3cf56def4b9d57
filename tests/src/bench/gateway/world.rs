//! What runs while the gateway is measured: every contender, a server that answers, a token-service.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::Extent;
use super::callers::{Algorithm, Message, Provider};
use super::configuration::{DENIED, Place};
use super::contenders::{Contender, Running};
use super::cpu::{Processors, pin};
use super::load::Requests;
use super::report::Report;
use super::upstream::{self, Answers, INITIALIZE, Upstream};
use crate::artifacts::{Artifacts, target_directory};
use crate::port::Reserved;
use crate::seed::{self, Seeded, Server};
use crate::service::{ALONE, Settings, TokenService};

/// The servers, by what they answer.
pub const SMALL: &str = "small";
pub const MANY_RULES: &str = "many-rules";
pub const LIST: &str = "list";
pub const LIST_EVENTS: &str = "list-events";
pub const EVENTS: &str = "events";
const SERVERS: [&str; 5] = [SMALL, MANY_RULES, LIST, LIST_EVENTS, EVENTS];

const CREDENTIAL: &str = "upstream-secret";

/// Known callers for the memory that a worker takes.
const CALLERS: usize = 10_000;

#[derive(Debug)]
pub struct World {
    pub provider: Provider,
    seeded: Seeded,
    contenders: BTreeMap<Contender, Running>,
    service: TokenService,
    _upstream: Upstream,
    _directory: TempDir,
}

impl World {
    /// Starts all of it, on these processors if they are to be kept apart.
    ///
    /// # Errors
    /// If something does not start.
    pub async fn start(extent: Extent, processors: Option<Processors>) -> anyhow::Result<Self> {
        if let Some(processors) = processors {
            // Threads that are started later are where those are that start them.
            pin(std::process::id(), processors.others)?;
        }
        let artifacts = Artifacts::find()?;
        let contender = target_directory()?.join("wasm32-wasip1/release/portcullis_contender.wasm");
        anyhow::ensure!(contender.exists(), "{} does not exist: run `make bench`", contender.display());
        let directory = tempfile::tempdir()?;
        let upstream = Upstream::start(answers()).await?;
        let provider = Provider::new()?;
        let service = token_service(&artifacts, &directory, &provider).await?;
        let seeded = seed::seed(&service.admin, &servers(upstream.address), &[]).await?;
        set_rules(&service, &seeded, extent).await?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let place = Place {
            gateway: nowhere,
            admin: nowhere,
            upstream: upstream.address,
            token_service: service.internal(),
            directory: directory.path().to_owned(),
            jwks: provider.jwks(),
            wasm: artifacts.wasm.clone(),
            contender,
            credential: CREDENTIAL,
        };
        let mut contenders = BTreeMap::new();
        for contender in Contender::ALL {
            let running = Running::start(contender, &artifacts, place.clone(), processors).await?;
            contenders.insert(contender, running);
        }
        if let Some(processors) = processors {
            pin(service.process.id(), processors.others)?;
        }
        let world =
            Self { provider, seeded, contenders, service, _upstream: upstream, _directory: directory };
        Ok(world)
    }

    /// A new token of the member.
    pub fn token(&self, algorithm: Algorithm) -> anyhow::Result<String> {
        self.provider.tokens(algorithm, 1)?.pop().context("a token")
    }

    pub fn api_key(&self) -> String {
        self.seeded.key.text.clone()
    }

    pub fn of(&self, contender: Contender) -> anyhow::Result<&Running> {
        self.contenders.get(&contender).context("every contender runs")
    }

    pub fn running(&mut self, contender: Contender) -> anyhow::Result<&mut Running> {
        self.contenders.get_mut(&contender).context("every contender runs")
    }

    /// What is known from their start.
    ///
    /// # Errors
    /// If the module cannot be looked at.
    pub fn notes(&self, report: &mut Report) -> anyhow::Result<()> {
        for contender in [Contender::Plain, Contender::Hold] {
            report.ready_after.insert(contender, self.of(contender)?.ready_after);
        }
        report.module_bytes = std::fs::metadata(Artifacts::find()?.wasm)?.len();
        Ok(())
    }

    /// What a worker takes of memory that knows very many callers.
    ///
    /// # Errors
    /// If one of them is not served.
    pub async fn memory(&mut self, report: &mut Report, extent: Extent) -> anyhow::Result<()> {
        let callers = if extent.is_short() { CALLERS / 10 } else { CALLERS };
        let keys = self.provider.tokens(Algorithm::EdDsa, callers)?;
        let message = Message::call(SMALL, 100);
        let requests = Requests::new(keys.iter().map(|token| message.request(token)).collect());
        for contender in [Contender::Plain, Contender::Fresh] {
            let running = self.running(contender)?;
            running.run(&requests, callers).await?;
            report.resident.insert(contender, running.usage()?.resident);
        }
        // A token-service that has gone would show as leases that are missing.
        anyhow::ensure!(self.service.process.ended()?.is_none(), "the token-service has ended");
        Ok(())
    }
}

fn answers() -> Answers {
    let small = upstream::json(&upstream::small(), "");
    let shaken = json!({
        "protocolVersion": crate::mcp::LATEST_LEGACY,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "bench", "version": "0"},
    });
    let shaken = json!({"jsonrpc": "2.0", "id": 1, "result": shaken});
    Answers::from([
        (SMALL, small.clone()),
        (MANY_RULES, small),
        (LIST, upstream::json(&upstream::tools(), "")),
        (LIST_EVENTS, upstream::events([upstream::tools()].iter())),
        (EVENTS, upstream::events(upstream::progress(1_000).iter())),
        (INITIALIZE, upstream::json(&shaken, "mcp-session-id: 4f1c9b0e-bench\r\n")),
    ])
}

async fn token_service(
    artifacts: &Artifacts,
    directory: &TempDir,
    provider: &Provider,
) -> anyhow::Result<TokenService> {
    let places = [Reserved::take(None)?, Reserved::take(None)?, Reserved::take(None)?];
    let [internal, admin, public] = &places;
    let settings = Settings {
        name: ALONE,
        directory: directory.path().join("service"),
        internal: internal.address()?,
        admin: admin.address()?,
        public: public.address()?,
        public_url: "http://localhost:10000".to_owned(),
        issuers: provider.issuers(),
        // As long as there are, so that 10,000 callers stay known while they are measured.
        sections: Map::from_iter([("lease_ttl".to_owned(), json!("300s"))]),
        oauth: json!({}),
        log: "warn",
        environment: Vec::new(),
    };
    drop(places);
    TokenService::start(artifacts, &settings).await
}

fn servers(upstream: SocketAddr) -> Vec<Server> {
    let server = |slug: &'static str| Server {
        slug,
        url: format!("http://{upstream}/{slug}/mcp"),
        auth: seed::headers(&[("authorization", &format!("Bearer {CREDENTIAL}"))]),
        allowed_tool: "search_issues",
        denied_tool: "delete_issue",
        denied_prompts: Vec::new(),
        denied_resources: Vec::new(),
        // As a registration is without a word about it.
        payload: "off",
    };
    SERVERS.map(server).into()
}

async fn set_rules(service: &TokenService, seeded: &Seeded, extent: Extent) -> anyhow::Result<()> {
    let most = if extent.is_short() { 1_000 } else { 10_000 };
    for (slug, id) in SERVERS.iter().zip(&seeded.servers) {
        let mut denied: Vec<Value> = DENIED.iter().map(|pattern| json!(pattern)).collect();
        if *slug == MANY_RULES {
            let more = (denied.len()..most)
                .map(|number| json!(format!("tool_{number}{}", if number % 2 == 0 { "" } else { "_*" })));
            denied.extend(more);
        }
        let path = format!("/v1/policies/workspace:{}/{id}", seeded.workspace);
        service.admin.put(&path, json!({"tools": {"deny": denied}})).await?;
    }
    Ok(())
}
