//! How long it takes from an administrator's change until every worker of every Envoy refuses, and whether any of them
//! serves after it should not. `src/bin/revocation.rs` (`make revocation`) runs it and prints the figures.

mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::worker::{Call, Pinned, pin_all};
use crate::admin::Admin;
use crate::mcp::{Agent, Era};
use crate::patience::poll;
use crate::seed::GRACE;
use crate::stack::{Builder, OPEN, Stack};

pub const ENVOYS: usize = 3;
pub const WORKERS: u32 = 4;

/// How often each caller of the load calls.
const LOAD_EVERY: Duration = Duration::from_millis(25);
/// How often a probe is sent on each connection.
const PROBE_EVERY: Duration = Duration::from_millis(2);

/// The stack, and a connection to every worker.
#[derive(Debug)]
pub struct Bench {
    pub stack: Stack,
    workers: Vec<Pinned>,
    /// Made by the load.
    calls: Arc<AtomicU64>,
}

/// What one change showed.
#[derive(Debug)]
pub struct Measured {
    pub kind: &'static str,
    /// From sending the change until the last probe was sent that was still served.
    pub served_until: Duration,
    /// From sending the change until the last worker had answered with a refusal, for which it asks the token-service.
    pub until_all_refuse: Duration,
    /// From sending the change until it was answered: it is committed, and acknowledged by every filter.
    pub until_applied: Duration,
    /// Probes that were served although they were sent after the change was answered.
    pub misses: usize,
}

/// The ways in which access is taken here.
const KINDS: [&str; 4] = ["member", "key", "provision", "tool"];

impl Bench {
    pub async fn start() -> anyhow::Result<Self> {
        let builder = Builder {
            concurrency: WORKERS,
            envoys: ENVOYS - 1,
            members: vec![GRACE],
            scripted: false,
            explained: false,
            ..Builder::default()
        };
        let stack = Stack::build(builder).await?;
        let call = Call { gateway: stack.gateway, key: stack.seeded.key.text.clone() };
        let mut workers = Vec::new();
        let others = stack.envoys.iter().map(|(address, envoy)| (*address, envoy));
        for (address, envoy) in std::iter::once((stack.gateway, &stack.envoy)).chain(others) {
            workers.extend(pin_all(address, envoy, &call).await?);
        }
        Ok(Self { stack, workers, calls: Arc::default() })
    }

    /// How many workers are probed.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Takes access away in the way that is next, probes all workers meanwhile, and gives it back.
    pub async fn revoke(&mut self, number: usize) -> anyhow::Result<Measured> {
        let kind = KINDS[number % KINDS.len()];
        self.all_serve().await?;
        let admin = self.stack.admin().clone();
        let (taken, given) = changes(&self.stack, kind);
        let applied = Arc::new(AtomicBool::new(false));
        let begun = Instant::now();
        let mut probes = JoinSet::new();
        for worker in self.workers.drain(..) {
            probes.spawn(watch(worker, begun, Arc::clone(&applied)));
        }
        let done = taken.apply(&admin).await;
        let until_applied = begun.elapsed();
        applied.store(true, Ordering::SeqCst);
        let (mut served_until, mut until_all_refuse, mut misses) = (Duration::ZERO, Duration::ZERO, 0);
        while let Some(probe) = probes.join_next().await {
            let Watched { worker, served_after, refused_after, served_late } = probe??;
            served_until = served_until.max(served_after);
            until_all_refuse = until_all_refuse.max(refused_after);
            misses += served_late;
            self.workers.push(worker);
        }
        done?;
        given.apply(&admin).await?;
        Ok(Measured { kind, served_until, until_all_refuse, until_applied, misses })
    }

    /// Lets the token-service stand still, and says how long any worker went on to serve.
    pub async fn partition(&mut self, staleness: &str) -> anyhow::Result<Duration> {
        let workspace = format!("/v1/workspaces/{}?wait=applied", self.stack.seeded.workspace);
        self.stack.admin().patch(&workspace, json!({"staleness": staleness})).await?;
        self.all_serve().await?;
        self.stack.service.process.freeze()?;
        let begun = Instant::now();
        let mut probes = JoinSet::new();
        for worker in self.workers.drain(..) {
            probes.spawn(until_refused(worker, begun));
        }
        let mut longest = Duration::ZERO;
        let mut outcome = Ok(());
        while let Some(probe) = probes.join_next().await {
            match probe? {
                Ok((worker, served_until)) => {
                    longest = longest.max(served_until);
                    self.workers.push(worker);
                }
                Err(error) => outcome = Err(error),
            }
        }
        self.stack.service.process.thaw()?;
        outcome?;
        self.all_serve().await?;
        Ok(longest)
    }

    /// Somebody else's calls through every Envoy, until the handle is dropped.
    pub fn load(&self) -> JoinSet<()> {
        let mut callers = JoinSet::new();
        let others = self.stack.envoys.iter().map(|(address, _)| *address);
        for gateway in std::iter::once(self.stack.gateway).chain(others) {
            let key = self.stack.seeded.others.first().map(|grace| grace.key.text.clone());
            let agent = Agent::new(format!("http://{gateway}/{OPEN}/mcp"), key.as_deref(), Era::Modern);
            let (calls, host) = (Arc::clone(&self.calls), self.stack.gateway.to_string());
            callers.spawn(async move {
                let mut pace = tokio::time::interval(LOAD_EVERY);
                pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    pace.tick().await;
                    let call = agent.message("tools/call", json!({"name": "whoami", "arguments": {}}));
                    agent.send(agent.post(&call).header("host", &host)).await;
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        callers
    }

    /// How many calls the load has made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Waits until every worker serves again.
    async fn all_serve(&mut self) -> anyhow::Result<()> {
        for worker in &mut self.workers {
            let served = poll(async || match worker.is_served().await {
                Ok(is_served) => is_served.then_some(Ok(())),
                Err(error) => Some(Err(error)),
            });
            served.await.context("a worker does not serve again")??;
        }
        Ok(())
    }
}

struct Watched {
    worker: Pinned,
    /// When the last probe was sent that was served.
    served_after: Duration,
    refused_after: Duration,
    served_late: usize,
}

/// Probes until the worker has refused, and once after the change was answered.
async fn watch(mut worker: Pinned, begun: Instant, applied: Arc<AtomicBool>) -> anyhow::Result<Watched> {
    let (mut served_after, mut refused_after, mut served_late) = (Duration::ZERO, None, 0);
    loop {
        let is_late = applied.load(Ordering::SeqCst);
        let sent_after = begun.elapsed();
        if worker.is_served().await? {
            served_after = sent_after;
            served_late += usize::from(is_late);
            ensure!(served_late < 1_000, "a worker goes on serving");
            refused_after = None;
        } else {
            let refused_after = *refused_after.get_or_insert_with(|| begun.elapsed());
            if is_late {
                return Ok(Watched { worker, served_after, refused_after, served_late });
            }
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

/// When the last probe that was served was answered.
async fn until_refused(mut worker: Pinned, begun: Instant) -> anyhow::Result<(Pinned, Duration)> {
    let mut served_until = Duration::ZERO;
    loop {
        if !worker.is_served().await? {
            return Ok((worker, served_until));
        }
        served_until = begun.elapsed();
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

struct Change {
    method: &'static str,
    path: String,
    body: Value,
}

impl Change {
    async fn apply(&self, admin: &Admin) -> anyhow::Result<()> {
        let path = format!("{}?wait=applied", self.path);
        match self.method {
            "PATCH" => admin.patch(&path, self.body.clone()).await,
            "PUT" if self.body.is_null() => admin.put_nothing(&path).await,
            "PUT" => admin.put(&path, self.body.clone()).await,
            _ => admin.delete(&path).await,
        }
        .map(drop)
    }
}

fn changes(stack: &Stack, kind: &str) -> (Change, Change) {
    let (seeded, server) = (&stack.seeded, stack.server_id(OPEN));
    let change = |method, path: &str, body| Change { method, path: path.to_owned(), body };
    let disabled = |path: &str| {
        let patch = |is| change("PATCH", path, json!({"disabled": is}));
        (patch(true), patch(false))
    };
    match kind {
        "member" => disabled(&format!("/v1/members/{}", seeded.member)),
        "key" => disabled(&format!("/v1/keys/{}", seeded.key.id)),
        "provision" => {
            let path = format!("/v1/servers/{server}/workspaces/{}", seeded.workspace);
            (change("DELETE", &path, Value::Null), change("PUT", &path, Value::Null))
        }
        _ => {
            let path = format!("/v1/policies/workspace:{}/{server}", seeded.workspace);
            let deny = |name| change("PUT", &path, json!({"tools": {"deny": [name]}}));
            (deny("whoami"), deny("create_issue"))
        }
    }
}
