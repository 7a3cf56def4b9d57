//! What is compared, running.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::time::Instant;

use super::configuration::{self, Place};
use super::cpu::{Processors, pin, used};
use super::load::{Load, Requests, Slice};
use crate::artifacts::Artifacts;
use crate::patience::poll_for;
use crate::port::Reserved;
use crate::process::{Process, Program};
use crate::soak::usage::Usage;

/// Envoy compiles a module before it is ready.
const COMPILING: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Contender {
    /// The router alone.
    Plain,
    /// A wasm filter of the same SDK that does nothing.
    Nothing,
    /// One that copies both bodies.
    Reading,
    /// One that filters lists the plain way.
    Rewriting,
    /// Envoy's own filters: `jwt_authn` with its cache, `mcp`, `rbac`, `credential_injector`.
    Native,
    /// The same without the cache.
    NativeUncached,
    /// Ours as it is shipped.
    Hold,
    /// Ours with `body_gate: stream`.
    Stream,
    /// Ours with room for very many callers, who may all come at once.
    Roomy,
    /// Ours with as much room as shipped, for callers who all come at once.
    Fresh,
}

impl Contender {
    pub const ALL: [Self; 10] = [
        Self::Plain,
        Self::Nothing,
        Self::Reading,
        Self::Rewriting,
        Self::Native,
        Self::NativeUncached,
        Self::Hold,
        Self::Stream,
        Self::Roomy,
        Self::Fresh,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Nothing => "nothing",
            Self::Reading => "reading",
            Self::Rewriting => "rewriting",
            Self::Native => "native",
            Self::NativeUncached => "native_uncached",
            Self::Hold => "ours_hold",
            Self::Stream => "ours_stream",
            Self::Roomy => "ours_roomy",
            Self::Fresh => "ours_fresh",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Plain => "plain Envoy",
            Self::Nothing => "wasm filter that does nothing",
            Self::Reading => "wasm filter that reads bodies",
            Self::Rewriting => "wasm filter with serde_json values",
            Self::Native => "Envoy's own filters, JWT cached",
            Self::NativeUncached => "Envoy's own filters, JWT not cached",
            Self::Hold => "Portcullis",
            Self::Stream => "Portcullis, body_gate: stream",
            Self::Roomy => "Portcullis, room for 20,000 callers",
            Self::Fresh => "Portcullis, 10,000 callers",
        }
    }

    pub fn is_ours(self) -> bool {
        matches!(self, Self::Hold | Self::Stream | Self::Roomy | Self::Fresh)
    }
}

/// An Envoy with one worker on a processor of its own.
#[derive(Debug)]
pub struct Running {
    pub contender: Contender,
    pub load: Load,
    pub gateway: SocketAddr,
    /// From the start of the process until it served.
    pub ready_after: Duration,
    process: Process,
    log: PathBuf,
}

/// What so many requests cost.
#[derive(Clone, Debug)]
pub struct Cost {
    pub slice: Slice,
    /// Of Envoy's processor, for each request.
    pub cpu: Duration,
}

impl Running {
    /// Starts it and waits until it serves. `place` says where the others are.
    ///
    /// # Errors
    /// If it does not serve.
    pub async fn start(
        contender: Contender,
        artifacts: &Artifacts,
        mut place: Place,
        processors: Option<Processors>,
    ) -> anyhow::Result<Self> {
        let (gateway, admin) = (Reserved::take(None)?, Reserved::take(None)?);
        (place.gateway, place.admin) = (gateway.address()?, admin.address()?);
        place.directory = place.directory.join(contender.name());
        std::fs::create_dir_all(&place.directory)?;
        let configuration = place.directory.join("envoy.json");
        let text = serde_json::to_string_pretty(&configuration::of(contender, &place)?)?;
        std::fs::write(&configuration, text)?;
        let program = Program {
            name: contender.name(),
            path: artifacts.envoy.clone(),
            arguments: vec![
                "-c".into(),
                configuration.into(),
                "--use-dynamic-base-id".into(),
                "--concurrency".into(),
                "1".into(),
                "--component-log-level".into(),
                "wasm:warn".into(),
            ],
            environment: Vec::new(),
        };
        drop((gateway, admin));
        let begun = Instant::now();
        let mut process = Process::start(&program, &place.directory)?;
        let url = format!("http://{}/ready", place.admin);
        let http = crate::http::client().build()?;
        let ready = poll_for(COMPILING, async || {
            if let Ok(Some(status)) = process.ended() {
                return Some(Err(status));
            }
            let reply = http.get(&url).send().await.ok()?;
            reply.status().is_success().then_some(Ok(()))
        });
        match ready.await {
            Some(Ok(())) => {}
            Some(Err(status)) => bail!("{contender:?} has ended: {status}\n{}", process.log_tail()),
            None => bail!("{contender:?} does not get ready\n{}", process.log_tail()),
        }
        let ready_after = begun.elapsed();
        if let Some(processors) = processors {
            pin(process.id(), processors.envoy)?;
        }
        let load = Load::connect(place.gateway).await.with_context(|| process.log_tail())?;
        let log = place.directory.join("access.jsonl");
        Ok(Self { contender, load, gateway: place.gateway, ready_after, process, log })
    }

    /// Sends `count` requests as fast as they are answered; what they cost.
    pub async fn run(&mut self, requests: &std::sync::Arc<Requests>, count: usize) -> anyhow::Result<Cost> {
        let before = used(self.process.id())?;
        let slice = self.load.run(requests, count).await.with_context(|| self.described())?;
        let cpu = used(self.process.id())?.saturating_sub(before);
        // Nobody reads it, and it would fill the disk.
        std::fs::OpenOptions::new().write(true).truncate(true).open(&self.log)?;
        Ok(Cost { slice, cpu: cpu / u32::try_from(count.max(1))? })
    }

    /// What Envoy uses of memory.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.process.id())
    }

    fn described(&self) -> String {
        format!("{:?}\n{}", self.contender, self.process.log_tail())
    }
}
