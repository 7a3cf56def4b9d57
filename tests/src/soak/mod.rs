//! Nothing ever mixes, at volume: many callers, and changes under their feet, in an order that a seed and the machine
//! choose; every single answer is judged.
//!
//! - [`plan`]: what is done next.
//! - [`world`]: who is there. Seven memberships of six people in two workspaces, two keys each; two servers for which each
//!   member connects an account at a provider, one with the gateway's own client, one with a fixed header.
//! - `upstreams`: the servers and providers, whose `Protected` is the oracle.
//! - [`fact`]: what may be true at which moment. While something changes, the old and the new may be met; once it has to be known
//!   everywhere (`?wait=applied` was answered), the new alone.
//! - `calls`, `changes`, `consent`: the steps.
//! - `judge`: whether an answer may be. Upstreams say whose token each call had and from which sign-in it came, and
//!   repeat a nonce of the caller's.
//! - [`tally`]: how often what happened; [`usage`]: what it took.
//! - [`stampede`]: many calls in the same moment.
//! - [`records`]: whether each request has left its record.
//! - [`tamper`]: what is sealed in the database, changed and moved about.
//! - [`crowd`]: very many callers, in a world of their own.

mod calls;
mod changes;
mod consent;
pub mod crowd;
pub mod fact;
mod judge;
pub mod plan;
pub mod records;
pub mod stampede;
pub mod tally;
pub mod tamper;
mod upstreams;
pub mod usage;
pub mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis_token_service::store::{Location, PostgresUrl};
use tokio::sync::RwLock;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use calls::Line;
use plan::{Plan, Step};
use tally::{Counts, Tally};
use tamper::Tampering;
use usage::Usage;
use world::World;

use crate::postgres::Database;
use crate::process::Process;
use crate::rotation::{Calls, NEXT_ROOT_KEY, rotate_under_calls};
use crate::upstream::protected::Verdict;

/// How much, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub seed: u64,
    pub calls: u64,
    /// How many tasks take steps at the same time.
    pub tasks: u64,
    /// A restart of the token-service after each so many calls.
    pub restart_every: Option<u64>,
}

/// The seed that `PORTCULLIS_SEED` names, or a new one.
///
/// # Panics
/// If it names none.
pub fn seed() -> u64 {
    match std::env::var("PORTCULLIS_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("PORTCULLIS_SEED={text}: {error}")),
        Err(_) => fastrand::u64(..),
    }
}

/// A world and those who act in it.
#[derive(Debug)]
pub struct Soak {
    pub(crate) world: World,
    pub tally: Tally,
    line: Line,
    /// Written while the token-service is restarted.
    running: RwLock<()>,
    machine_rest: Rest,
    restarts: AtomicU64,
}

/// Something that is not to be done too often.
#[derive(Debug)]
struct Rest(Mutex<Instant>);

/// A little more than the time within which the gateway does not renew a refused token twice.
const REST: Duration = Duration::from_secs(31);

impl Rest {
    /// Whether it was long enough; if so, it begins anew.
    fn is_over(&self) -> bool {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = since.elapsed() >= REST;
        if is_over {
            *since = Instant::now();
        }
        is_over
    }
}

impl Soak {
    /// Starts the world, with three token-services where there is a `database` for them, and connects everybody.
    pub async fn start(database: Option<Database>) -> anyhow::Result<Arc<Self>> {
        let world = World::start(database).await?;
        let soak = Arc::new(Self {
            line: Line::new(&world.public_url),
            world,
            tally: Tally::default(),
            running: RwLock::default(),
            machine_rest: Rest(Mutex::new(Instant::now())),
            restarts: AtomicU64::new(0),
        });
        soak.everybody_knows().await?;
        soak.connect_everybody().await?;
        Ok(soak)
    }

    /// Takes steps until there were enough calls, or one that may not be. Returns what happened.
    pub async fn run(self: &Arc<Self>, settings: Settings) -> Counts {
        // On this thread, which is busy enough; providers and upstreams have the others.
        let local = LocalSet::new();
        local.run_until(self.run_tasks(settings)).await;
        self.look_at_upstreams();
        if !self.world.stack.lock().await.filter_never_trapped().await {
            self.tally.violation("the filter has trapped".to_owned());
        }
        self.tally.counts()
    }

    async fn run_tasks(self: &Arc<Self>, settings: Settings) {
        let mut tasks = JoinSet::new();
        for task in 0..settings.tasks {
            let soak = Arc::clone(self);
            tasks.spawn_local(async move { soak.take_steps(settings, task).await });
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                self.tally.violation(format!("a task: {error}"));
            }
        }
    }

    async fn take_steps(&self, settings: Settings, task: u64) {
        let mut plan = Plan::new(settings.seed, task, self.world.size());
        while self.tally.calls() < settings.calls && !self.tally.failed() {
            let (name, made) = if self.restart_is_due(settings) {
                ("restart", self.restart().await)
            } else {
                match plan.next() {
                    Some(Step::Change(change)) => (change.name(), self.change(change).await),
                    Some(Step::Call(call)) => {
                        self.call(call).await;
                        continue;
                    }
                    None => return,
                }
            };
            self.tally.change(name);
            if let Err(error) = made {
                self.tally.violation(format!("{name}: {error:#}"));
            }
        }
    }

    fn restart_is_due(&self, settings: Settings) -> bool {
        let Some(every) = settings.restart_every else { return false };
        let done = self.restarts.load(Ordering::SeqCst);
        self.tally.calls() / every > done
            && self.restarts.compare_exchange(done, done + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Replaces every kind of key amid `rate` calls a second.
    ///
    /// # Errors
    /// If that does not come to its end.
    pub async fn replace_keys(&self, rate: u32) -> anyhow::Result<Calls> {
        rotate_under_calls(&mut *self.world.stack.lock().await, rate).await
    }

    /// Changes and moves what is sealed, after [`Self::replace_keys`].
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn tamper(&self) -> anyhow::Result<Tampering> {
        let stack = self.world.stack.lock().await;
        let location = match &self.world.database {
            Some(database) => Location::Postgres(PostgresUrl::parse(database.url().as_str())?),
            None => Location::Sqlite(stack.directory.join("portcullis.db")),
        };
        tamper::tamper(&location, &stack.directory.join(NEXT_ROOT_KEY)).await
    }

    /// How many pairs of a member and a server there are.
    pub fn places(&self) -> usize {
        let size = self.world.size();
        size.seats * size.servers
    }

    /// What Envoy and the token-service use at the moment; `None` while the latter is restarted.
    pub fn usage(&self) -> Option<[Usage; 2]> {
        let stack = self.world.stack.try_lock().ok()?;
        let of = |process: &Process| Usage::of(process.id()).ok();
        Some([of(&stack.envoy.process)?, of(&stack.service.process)?])
    }

    /// What Envoy and the token-service have logged, by their names.
    pub async fn logs(&self) -> Vec<(&'static str, String)> {
        let stack = self.world.stack.lock().await;
        [&stack.envoy.process, &stack.service.process].map(|process| (process.name(), process.log())).into()
    }

    /// What upstreams saw since the last look: never a session of somebody else, never a credential of the gateway's.
    pub fn look_at_upstreams(&self) {
        for endpoint in &self.world.endpoints {
            let calls = endpoint.upstream.take_calls();
            for call in calls.iter().filter(|call| call.verdict == Verdict::ForeignSession) {
                // The upstream puts an end to the session of a member who has another account by now.
                if world::seat_of(call.session_of.as_deref()) == world::seat_of(call.subject.as_deref()) {
                    self.tally.change("session of an earlier account");
                } else {
                    self.tally.violation(format!("{}: {call:?}", endpoint.slug));
                }
            }
            let journal = endpoint.upstream.journal.entries();
            if journal.iter().any(|entry| entry.contains("pcl_") || entry.contains("pcl-")) {
                self.tally.violation(format!("{} got what is the gateway's own", endpoint.slug));
            }
        }
    }
}
