//! How long it takes from an administrator's change until every worker of every Envoy refuses, and whether any of them
//! serves after it should not. `src/bin/revocation.rs` (`make revocation`) runs it and prints the figures.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::admin::Admin;
use crate::envoy::Envoy;
use crate::mcp::{Agent, Era};
use crate::patience::within;
use crate::raw::RawConnection;
use crate::seed::GRACE;
use crate::stack::{Builder, OPEN, Stack};

pub const ENVOYS: usize = 3;
pub const WORKERS: u32 = 4;

/// How often each caller of the load calls.
const LOAD_EVERY: Duration = Duration::from_millis(25);
/// How often a probe is sent on each connection.
const PROBE_EVERY: Duration = Duration::from_millis(2);
/// Connections that are opened at most until one Envoy's workers all have one.
const MOST_CONNECTIONS: usize = 200;

/// The stack, and a connection to every worker.
#[derive(Debug)]
pub struct Bench {
    pub stack: Stack,
    workers: Vec<Pinned>,
    /// Made by the load.
    calls: Arc<AtomicU64>,
}

/// A connection that one worker has.
#[derive(Debug)]
struct Pinned {
    connection: RawConnection,
    request: Vec<u8>,
}

/// What one change showed.
#[derive(Debug)]
pub struct Measured {
    pub kind: &'static str,
    /// From sending the change until the last worker had refused.
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
            ..Builder::default()
        };
        let stack = Stack::build(builder).await?;
        let key = stack.seeded.key.text.clone();
        let host = stack.gateway;
        let mut workers = Vec::new();
        let others = stack.envoys.iter().map(|(address, envoy)| (*address, envoy));
        for (address, envoy) in std::iter::once((stack.gateway, &stack.envoy)).chain(others) {
            workers.extend(pin_all(address, envoy, &request(host, &key)).await?);
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
        let (mut until_all_refuse, mut misses) = (Duration::ZERO, 0);
        while let Some(probe) = probes.join_next().await {
            let Watched { worker, refused_after, served_late } = probe??;
            until_all_refuse = until_all_refuse.max(refused_after);
            misses += served_late;
            self.workers.push(worker);
        }
        done?;
        given.apply(&admin).await?;
        Ok(Measured { kind, until_all_refuse, until_applied, misses })
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
            within("a worker that serves", async {
                while !worker.probe().await?.is_served {
                    tokio::time::sleep(PROBE_EVERY).await;
                }
                anyhow::Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

struct Answer {
    is_served: bool,
}

impl Pinned {
    async fn probe(&mut self) -> anyhow::Result<Answer> {
        self.connection.send(&self.request).await;
        let response = self.connection.response().await.context("a worker has hung up")?;
        // A denial of a tool has the status 200 as well.
        Ok(Answer { is_served: response.status == 200 && response.text().contains("\"result\"") })
    }
}

struct Watched {
    worker: Pinned,
    refused_after: Duration,
    served_late: usize,
}

/// Probes until the worker has refused, and once after the change was answered.
async fn watch(mut worker: Pinned, begun: Instant, applied: Arc<AtomicBool>) -> anyhow::Result<Watched> {
    let (mut refused_after, mut served_late) = (None, 0);
    loop {
        let is_late = applied.load(Ordering::SeqCst);
        let answer = worker.probe().await?;
        if answer.is_served {
            served_late += usize::from(is_late);
            ensure!(served_late < 1_000, "a worker goes on serving");
            refused_after = None;
        } else {
            let refused_after = *refused_after.get_or_insert_with(|| begun.elapsed());
            if is_late {
                return Ok(Watched { worker, refused_after, served_late });
            }
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

/// When the last probe that was served was answered.
async fn until_refused(mut worker: Pinned, begun: Instant) -> anyhow::Result<(Pinned, Duration)> {
    let mut served_until = Duration::ZERO;
    loop {
        if !worker.probe().await?.is_served {
            return Ok((worker, served_until));
        }
        served_until = begun.elapsed();
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

/// Opens connections until every worker of one Envoy has one. Which one has the latest is told by the listener's figures
/// of each worker.
async fn pin_all(address: SocketAddr, envoy: &Envoy, request: &[u8]) -> anyhow::Result<Vec<Pinned>> {
    let mut found: Vec<Option<Pinned>> = (0..WORKERS).map(|_| None).collect();
    for _ in 0..MOST_CONNECTIONS {
        let before = connections(envoy).await?;
        let mut worker = Pinned { connection: RawConnection::open(address).await, request: request.to_vec() };
        worker.probe().await?;
        let after = connections(envoy).await?;
        let fresh = before.iter().zip(&after).position(|(before, after)| after > before);
        let place = found.get_mut(fresh.context("no worker has the connection")?);
        place.context("a worker too many")?.get_or_insert(worker);
        if found.iter().all(Option::is_some) {
            return Ok(found.into_iter().flatten().collect());
        }
    }
    anyhow::bail!("not every worker of {address} gets a connection")
}

/// How many connections each worker has taken so far.
async fn connections(envoy: &Envoy) -> anyhow::Result<Vec<u64>> {
    let mut counts = Vec::new();
    for worker in 0..WORKERS {
        counts.push(envoy.stat(&format!("worker_{worker}.downstream_cx_total")).await?);
    }
    Ok(counts)
}

/// A call as bytes, the same each time.
fn request(host: SocketAddr, key: &str) -> Vec<u8> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "probe", "version": "1"},
    });
    let params = json!({"name": "whoami", "arguments": {}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    format!(
        "POST /{OPEN}/mcp HTTP/1.1\r\nhost: {host}\r\nx-portcullis-api-key: {key}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\n\
         mcp-name: whoami\r\ncontent-length: {length}\r\n\r\n{body}",
        length = body.len(),
    )
    .into_bytes()
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
