//! Very many watches on one token-service: as many as a fleet of Envoys holds, each on a connection of its own, as Envoy
//! keeps one for each worker's request that waits. `src/bin/watches.rs` (`make watches`) measures with it.
//!
//! Each watch is the filter's own state machine, asking by HTTP/1.1 over TCP.

mod connection;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use portcullis_filter_core::watch::News;
use portcullis_wire::watch::Invalidation;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::connection::Watcher;
use crate::artifacts::Artifacts;
use crate::port::Reserved;
use crate::service::{ALONE, Settings, TokenService};
use crate::soak::usage::{Usage, processor_seconds};

/// Connections that are being made at a time: a fleet does not start at once either.
const CONNECTING: usize = 128;

/// Descriptors besides the watches: files, logs, the database.
const OTHER_DESCRIPTORS: u64 = 200;

/// How long a change may take to arrive everywhere before it counts as lost.
const LOST_AFTER: Duration = Duration::from_mins(1);

const WORKSPACE: &str = "core";
const SERVER: &str = "docs";

/// A token-service, and the watches on it.
#[derive(Debug)]
pub struct Fleet {
    pub service: TokenService,
    watchers: JoinSet<anyhow::Result<()>>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    late: Arc<AtomicU64>,
    /// By watch: what it was told, in order.
    heard: Vec<Vec<Told>>,
    /// Keys to revoke.
    keys: Vec<String>,
    _directory: TempDir,
}

/// How many watches, and how long each is held.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub watches: usize,
    pub hold: Duration,
    pub servers: usize,
    pub changes: usize,
}

/// News that has come to one watch.
#[derive(Debug)]
struct Arrival {
    watch: usize,
    at: Instant,
    told: Told,
}

/// What one reply told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub cursor: u64,
    pub invalidations: Vec<Invalidation>,
    /// How many servers, if there was a registry.
    pub servers: Option<usize>,
}

impl Told {
    fn of(news: News) -> Self {
        let servers = news.registry.map(|registry| registry.servers.len());
        Self { cursor: news.cursor, invalidations: news.invalidations, servers }
    }
}

/// A change that an administrator makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// One key is revoked.
    Key,
    /// The workspace's rules on a server become others.
    Policy,
    /// A server is added, so that every filter gets the whole registry.
    Registry,
}

impl Change {
    pub const ALL: [Self; 3] = [Self::Key, Self::Policy, Self::Registry];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Policy => "policy",
            Self::Registry => "registry",
        }
    }
}

/// How one change arrived.
#[derive(Clone, Debug)]
pub struct Measured {
    /// From sending the change until each watch had it, the fastest first.
    pub took: Vec<Duration>,
    /// From sending the change until it was answered.
    pub answered: Duration,
    /// Seconds of processor time that the token-service has used from sending until the last watch had it.
    pub processor_seconds: f64,
}

/// Lets this process, and those that it starts, have as many descriptors as `watches` take.
///
/// # Errors
/// If the system's hard limit is lower, with what to do.
pub fn make_room(watches: usize) -> anyhow::Result<()> {
    let needed = u64::try_from(watches)?.saturating_add(OTHER_DESCRIPTORS);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(
        needed <= hard,
        "{watches} watches take {needed} descriptors in each process, and the hard limit is {hard}: raise it \
         (`ulimit -Hn`, as root) or hold fewer (WATCHES)"
    );
    setrlimit(Resource::RLIMIT_NOFILE, needed.max(soft), hard)
        .context("cannot raise the limit of descriptors")
}

impl Fleet {
    /// Starts a token-service with what there is to change, and nobody who watches.
    pub async fn prepare(extent: Extent) -> anyhow::Result<Self> {
        make_room(extent.watches)?;
        let directory = tempfile::tempdir()?;
        let artifacts = Artifacts::find()?;
        let places = [Reserved::take(None)?, Reserved::take(None)?, Reserved::take(None)?];
        let [internal, admin, public] = &places;
        let hold = format!("{}ms", extent.hold.as_millis());
        let settings = Settings {
            name: ALONE,
            directory: directory.path().to_owned(),
            internal: internal.address()?,
            admin: admin.address()?,
            public: public.address()?,
            public_url: format!("http://{}", public.address()?),
            issuers: json!([]),
            sections: Map::from_iter([("watch_hold".to_owned(), Value::from(hold))]),
            oauth: json!({}),
            log: "info",
            environment: Vec::new(),
        };
        drop(places);
        let service = TokenService::start(&artifacts, &settings).await?;
        let (_, arrivals) = mpsc::unbounded_channel();
        let mut fleet = Self {
            service,
            watchers: JoinSet::new(),
            arrivals,
            late: Arc::default(),
            heard: Vec::new(),
            keys: Vec::new(),
            _directory: directory,
        };
        fleet.register(extent).await?;
        Ok(fleet)
    }

    async fn register(&mut self, extent: Extent) -> anyhow::Result<()> {
        let admin = &self.service.admin;
        admin.post("/v1/workspaces", json!({"slug": WORKSPACE})).await?;
        for number in 0..extent.servers {
            let slug = if number == 0 { SERVER.to_owned() } else { format!("server-{number}") };
            admin.post("/v1/servers", server(&slug)).await?;
        }
        // Two for each round: one of them waits for the filters.
        for number in 0..2 * extent.changes {
            let path = format!("/v1/workspaces/{WORKSPACE}/keys");
            let made = admin.post(&path, json!({"name": format!("key {number}")})).await?;
            self.keys.push(made["key"]["id"].as_str().context("a key's id")?.to_owned());
        }
        Ok(())
    }

    /// Begins all watches, and returns when each has had its first answer; how long that took.
    pub async fn connect(&mut self, watches: usize) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let (sender, arrivals) = mpsc::unbounded_channel();
        self.arrivals = arrivals;
        self.heard = vec![Vec::new(); watches];
        let (address, connecting) = (self.service.internal(), Arc::new(Semaphore::new(CONNECTING)));
        for watch in 0..watches {
            let (sender, connecting, late) =
                (sender.clone(), Arc::clone(&connecting), Arc::clone(&self.late));
            self.watchers.spawn(async move {
                let mut one = Watcher::new(format!("envoy-{}-worker-{}", watch / 17, watch % 17));
                let permit = connecting.acquire_owned().await?;
                one.connect(address).await?;
                let mut permit = Some(permit);
                loop {
                    let (news, at, is_late) = one.poll().await?;
                    late.fetch_add(u64::from(is_late), Ordering::Relaxed);
                    drop(permit.take());
                    let told = Told::of(news);
                    // What is empty is no news.
                    let is_news = told.servers.is_some() || !told.invalidations.is_empty();
                    let arrival = Arrival { watch, at, told };
                    if is_news && sender.send(arrival).is_err() {
                        return Ok(());
                    }
                }
            });
        }
        self.arrive(watches).await?;
        Ok(begun.elapsed())
    }

    /// Waits until each of `watches` has had news once more; when that was, the first first.
    async fn arrive(&mut self, watches: usize) -> anyhow::Result<Vec<Instant>> {
        let mut at = Vec::with_capacity(watches);
        while at.len() < watches {
            tokio::select! {
                arrival = timeout(LOST_AFTER, self.arrivals.recv()) => {
                    let arrival = arrival.with_context(|| format!("{} of {watches} watches have it", at.len()))?;
                    let Arrival { watch, at: when, told } = arrival.context("all watches have ended")?;
                    self.heard.get_mut(watch).context("a watch")?.push(told);
                    at.push(when);
                }
                Some(ended) = self.watchers.join_next() => ended?.context("a watch has ended")?,
            }
        }
        at.sort_unstable();
        Ok(at)
    }

    /// Makes one change and waits until every watch has it.
    pub async fn change(&mut self, change: Change, number: usize) -> anyhow::Result<Measured> {
        let process = self.service.process.id();
        let used = processor_seconds(process)?;
        let admin = self.service.admin.clone();
        let key = if change == Change::Key { Some(self.keys.pop().context("a key")?) } else { None };
        let sent = Instant::now();
        let changing = tokio::spawn(async move {
            match (change, key) {
                (Change::Key, Some(key)) => admin.delete(&format!("/v1/keys/{key}")).await?,
                (Change::Registry, _) => admin.post("/v1/servers", server(&format!("new-{number}"))).await?,
                _ => {
                    let path = format!("/v1/policies/workspace:{WORKSPACE}/{SERVER}");
                    admin.put(&path, json!({"tools": {"deny": [format!("tool-{number}")]}})).await?
                }
            };
            anyhow::Ok(sent.elapsed())
        });
        let at = self.arrive(self.heard.len()).await?;
        let answered = changing.await??;
        Ok(Measured {
            took: at.into_iter().map(|at| at.saturating_duration_since(sent)).collect(),
            answered,
            processor_seconds: processor_seconds(process)? - used,
        })
    }

    /// Revokes a key and waits until the service says that every filter has applied it: how long that took, or `None` if
    /// not all had in the time that it waits.
    pub async fn change_and_wait(&mut self) -> anyhow::Result<Option<Duration>> {
        let key = self.keys.pop().context("a key")?;
        let admin = self.service.admin.clone();
        let sent = Instant::now();
        let waiting = tokio::spawn(async move {
            let url = format!("{}/v1/keys/{key}?wait=applied", admin.url());
            let client = crate::http::client().build()?;
            let reply = client.delete(url).bearer_auth(admin.token()).send().await?;
            let waited = sent.elapsed();
            if reply.status() == StatusCode::GATEWAY_TIMEOUT {
                return anyhow::Ok(None);
            }
            let applied = reply.headers().get("x-portcullis-applied").context("how many were waited for")?;
            anyhow::Ok(Some((waited, applied.to_str()?.parse::<usize>()?)))
        });
        self.arrive(self.heard.len()).await?;
        let Some((waited, applied)) = waiting.await?? else { return Ok(None) };
        ensure!(applied == self.heard.len(), "{applied} of {} filters were waited for", self.heard.len());
        Ok(Some(waited))
    }

    /// What the token-service uses of memory.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.service.process.id())
    }

    /// Processor time that the token-service uses while nothing changes, in seconds for each second.
    pub async fn idle_load(&self, during: Duration) -> anyhow::Result<f64> {
        let (process, begun) = (self.service.process.id(), Instant::now());
        let used = processor_seconds(process)?;
        tokio::time::sleep(during).await;
        Ok((processor_seconds(process)? - used) / begun.elapsed().as_secs_f64())
    }

    /// Answers that came later than a filter waits for them.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// What each watch was told after its first answer.
    pub fn heard(&self) -> impl Iterator<Item = &[Told]> {
        self.heard.iter().map(|told| told.get(1..).unwrap_or_default())
    }
}

fn server(slug: &str) -> Value {
    let url = format!("https://{slug}.example/mcp");
    json!({"slug": slug, "url": url, "auth": {"type": "none"}, "workspaces": "all"})
}
