//! What one VM remembers between requests: registry, leases, verified tokens, the watch, calls in flight.
//!
//! Exchanges ask the worker ([`asking`]), answers come in ([`landing`]), and the shell carries out what the worker wants
//! done, always from the root context. So a client that goes away takes no call of others with it.

mod asking;
mod calls;
mod landing;
mod measuring;
mod news;
mod standing;

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use portcullis_wire::digest::Digest;

pub use self::asking::{Asked, LeaseState, StreamCall};
use self::calls::Calls;
use self::landing::Landing;
pub use self::news::{ListNews, Listener};
pub use self::standing::Standing;
use crate::config::Config;
use crate::exchange::Surroundings;
use crate::identity::{
    Credential, Expectations, Fault, Guesses, Identity, Presented, Source, VerifiedTokens,
};
use crate::leases::{Flights, LeaseCache, Policies};
use crate::memory::Budget;
use crate::metrics::{Metrics, Pulse};
use crate::networks;
use crate::registry::Registry;
use crate::running::Running;
use crate::shared::SharedData;
use crate::step::{Call, CallOutcome, Destination, Effect};
use crate::watch::{Freshness, Watch};

/// All state that outlives a request. One per VM, kept in a static by the shell, because a configuration update
/// replaces the root context but not the VM.
#[derive(Debug)]
pub struct Worker {
    config: Config,
    watch: Watch,
    registry: Option<Rc<Registry>>,
    leases: LeaseCache,
    flights: Flights,
    verified: VerifiedTokens,
    guesses: Guesses,
    pub(crate) running: Running,
    calls: Calls,
    /// How a call ended, for each stream that waited for it, until the stream takes it.
    landings: HashMap<u32, Landing>,
    /// Streams that came before the first registry, and until when they wait.
    early: HashMap<u32, u64>,
    held: Budget,
    /// What an operator should read in the log; the shell takes it.
    notices: Vec<String>,
    /// When it was last told that the token-service and this filter do not understand each other.
    told_fault_ms: Option<u64>,
    swept_ms: u64,
    policies: Policies,
    /// For how long nothing had been verified at the last tick; `None` while all is.
    silent_ms: Option<u64>,
    /// Streams that look again at a certain time.
    later: HashMap<u32, u64>,
    /// Responses to end at the next tick.
    ending: Vec<u32>,
    news: ListNews,
    metrics: Metrics,
    pulse: Pulse,
    /// The trace contexts of streams, for the calls that are made for them.
    traces: HashMap<u32, Rc<str>>,
}

/// Whether requests can be decided now.
#[derive(Debug)]
pub enum Readiness {
    Ready(Rc<Registry>),
    /// The first registry is on its way; the stream will be woken.
    Waiting,
    /// Nothing has come in time, or nothing for too long.
    Unready,
}

/// What a caller is told to wait when the token-service gave no figure.
const RETRY_AFTER_MS: u64 = 2_000;

/// How often expired leases are swept out of memory.
const SWEEP_EVERY_MS: u64 = 5_000;

impl Worker {
    /// Reads the plugin configuration (JSON) strictly; the error names every problem. `filter_id` tells this VM apart
    /// from all others.
    pub fn configure(configuration: &[u8], filter_id: String) -> Result<Self, String> {
        let config = Config::read(configuration).map_err(|problems| problems.to_string())?;
        Ok(Self {
            running: Running::new(&filter_id),
            pulse: Pulse::new(&filter_id),
            metrics: Metrics::new(),
            traces: HashMap::new(),
            guesses: Guesses::new(config.guesses_per_minute, config.max_leases),
            watch: Watch::new(filter_id, config.staleness_budget_ms),
            registry: None,
            leases: LeaseCache::new(config.max_leases),
            flights: Flights::default(),
            verified: VerifiedTokens::new(config.max_verified_tokens, config.verifications_per_second),
            calls: Calls::default(),
            landings: HashMap::new(),
            early: HashMap::new(),
            held: Budget::new(config.max_held_bytes),
            notices: Vec::new(),
            told_fault_ms: None,
            swept_ms: 0,
            policies: Policies::default(),
            silent_ms: None,
            later: HashMap::new(),
            ending: Vec::new(),
            news: ListNews::default(),
            config,
        })
    }

    /// Applies a new configuration. Caches, watch and waiting streams stay; calls of the replaced root context that
    /// never report are given up by their deadline.
    pub fn reconfigure(&mut self, configuration: &[u8]) -> Result<(), String> {
        self.config = Config::read(configuration).map_err(|problems| problems.to_string())?;
        self.watch.set_staleness_budget(self.config.staleness_budget_ms);
        // What older responses hold is counted in the budget that they began with.
        self.held = Budget::new(self.config.max_held_bytes);
        self.leases.set_capacity(self.config.max_leases);
        self.verified.set_bounds(self.config.max_verified_tokens, self.config.verifications_per_second);
        self.guesses.set_bounds(self.config.guesses_per_minute, self.config.max_leases);
        Ok(())
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the responses under way hold back together, and the requests that may have to be sent again.
    pub fn held(&self) -> &Budget {
        &self.held
    }

    /// The Envoy cluster that a call goes to.
    pub fn cluster(&self, call: &Call) -> Cow<'_, str> {
        match call.destination {
            Destination::TokenService => Cow::Borrowed(&self.config.token_service.cluster),
            Destination::Upstream => {
                let is_tls = call.header(b":scheme") == "https";
                Cow::Owned(self.config.replay_cluster_of(call.header(b":authority"), is_tls))
            }
        }
    }

    /// How long a reply to this call may be, in bytes, to be read at all; `None` if nobody waits for it any more.
    pub fn awaits(&self, id: u64) -> Option<usize> {
        if self.watch.is_poll(id) {
            return Some(usize::MAX);
        }
        let passed_on = self.calls.is_passed_on(id)?;
        Some(if passed_on { self.config.max_list_bytes.min(self.held.left()) } else { usize::MAX })
    }

    /// Whether a stream has queued work for the root context, so that the shell ticks soon.
    pub fn has_work(&self) -> bool {
        self.calls.has_queued() || !self.ending.is_empty() || self.metrics.is_pressing()
    }

    /// Lines for the operator's log since the last call; they hold no secret and nothing of a request.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Sends what is due: queued lease calls, the watch after its backoff; gives up what is overdue.
    pub fn on_tick(&mut self, now_ms: u64) -> Vec<Effect> {
        self.note_silence(now_ms);
        let mut woken = self.overdue(now_ms);
        if now_ms.saturating_sub(self.swept_ms) >= SWEEP_EVERY_MS {
            self.swept_ms = now_ms;
            self.leases.drop_expired(now_ms);
            self.guesses.sweep(now_ms);
        }
        self.tell_of_changed_lists(now_ms);
        let mut effects = Vec::new();
        let id = self.calls.next_id();
        if let Some(poll) = self.watch.due(now_ms, id) {
            let authority = &self.config.token_service.authority;
            effects.push(Effect::Call(calls::watch(id, authority, &poll.path_with_query, poll.timeout_ms)));
        }
        effects.extend(self.calls.take_queued(now_ms).into_iter().map(Effect::Call));
        if !self.ending.is_empty() {
            effects.push(Effect::End(std::mem::take(&mut self.ending)));
        }
        woken.sort_unstable();
        if !woken.is_empty() {
            effects.push(Effect::Wake(woken));
        }
        effects
    }

    /// Tells the other workers what of this one is still under way; with every tick.
    pub fn renew_running(&mut self, shared: &dyn SharedData, now_ms: u64) {
        self.running.on_tick(shared, now_ms);
    }

    /// Takes the outcome of a call; one that nobody knows any more is ignored.
    pub fn on_call(&mut self, id: u64, outcome: CallOutcome, now_ms: u64) -> Vec<Effect> {
        let woken = if self.watch.is_poll(id) {
            self.on_watch(id, outcome, now_ms)
        } else if let Some(finished) = self.calls.finish(id) {
            self.land(finished, outcome, now_ms)
        } else {
            Vec::new()
        };
        let mut effects = self.on_tick(now_ms);
        if !woken.is_empty() {
            effects.push(Effect::Wake(woken));
        }
        effects
    }

    fn on_watch(&mut self, id: u64, outcome: CallOutcome, now_ms: u64) -> Vec<u32> {
        let answered = self.watch.on_reply(id, outcome, now_ms);
        if let Some(answered) = &answered {
            self.count_watch(answered.is_ok());
        }
        let news = match answered {
            Some(Ok(news)) => news,
            Some(Err(failure)) => {
                self.notices.push(failure.to_string());
                return Vec::new();
            }
            None => return Vec::new(),
        };
        if news.reset {
            self.leases.forget_all(news.cursor);
            self.verified.forget_all();
        }
        self.leases.invalidate(news.invalidations, news.cursor, now_ms);
        let Some(registry) = news.registry else { return Vec::new() };
        let (registry, left_out) = Registry::compile(registry, news.cursor);
        self.notices.extend(left_out.iter().map(ToString::to_string));
        self.registry = Some(Rc::new(registry));
        self.early.drain().map(|(stream, _)| stream).collect()
    }

    /// Streams that have waited long enough, for the first registry or otherwise, and those whose call was lost.
    fn overdue(&mut self, now_ms: u64) -> Vec<u32> {
        let late = self.early.iter().filter(|(_, until_ms)| **until_ms <= now_ms);
        let mut woken: Vec<u32> = late.map(|(stream, _)| *stream).collect();
        woken.extend(self.later.extract_if(|_, at_ms| *at_ms <= now_ms).map(|(stream, _)| stream));
        for finished in self.calls.overdue(now_ms) {
            woken.extend(self.land(finished, CallOutcome::Failed, now_ms));
        }
        woken
    }

    /// Whether requests can be decided now; `stream` waits if they soon can.
    pub fn readiness(&mut self, stream: u32, now_ms: u64) -> Readiness {
        match (self.watch.freshness(now_ms), &self.registry) {
            (Freshness::Fresh | Freshness::Stale { .. }, Some(registry)) => {
                self.early.remove(&stream);
                Readiness::Ready(Rc::clone(registry))
            }
            (Freshness::Expired, _) => Readiness::Unready,
            _ => {
                let until_ms = now_ms.saturating_add(self.config.startup_wait_ms);
                if *self.early.entry(stream).or_insert(until_ms) > now_ms {
                    return Readiness::Waiting;
                }
                self.early.remove(&stream);
                Readiness::Unready
            }
        }
    }

    /// Verifies a credential as far as that can be done here.
    pub fn identify(
        &mut self,
        credential: &Credential,
        registry: &Registry,
        resource: &str,
        around: &Surroundings<'_>,
    ) -> Result<Identity, Fault> {
        let Presented::Token(token) = &credential.presented else { return Ok(Identity::ApiKey) };
        let expected = Expectations { registry, resource, now_ms: self.watch.service_time_ms(around.now_ms) };
        let identity = self.verified.verify(token, credential.digest, &expected, around.verifier)?;
        identity.judge_scope().map(|()| identity)
    }

    /// Whether anything may be found out about a credential; `Err` with how long to wait, in milliseconds.
    pub fn may_guess(&mut self, credential: &Digest, around: &Surroundings<'_>) -> Result<(), u64> {
        self.guesses.judge(credential, || source(around), around.now_ms)
    }

    /// Nobody knows this credential.
    pub fn note_guess(&mut self, credential: Digest, around: &Surroundings<'_>) {
        self.guesses.note(credential, || source(around), around.now_ms);
    }

    /// The stream is over. A call that it shares goes on for the others, and for the cache; one of its own is not waited
    /// for any more.
    pub fn forget(&mut self, stream: u32, shared: &dyn SharedData) {
        self.running.end(stream, shared);
        self.flights.leave(stream);
        self.calls.leave(stream);
        self.landings.remove(&stream);
        self.early.remove(&stream);
        self.later.remove(&stream);
        self.traces.remove(&stream);
    }

    /// The stream belongs to a trace; so do calls that are made for it from here on. One that several streams share belongs
    /// to that of the first.
    pub fn note_trace(&mut self, stream: u32, traceparent: &str) {
        self.traces.insert(stream, traceparent.into());
    }
}

fn source(around: &Surroundings<'_>) -> Source {
    Source::of((around.source)().as_deref().and_then(networks::address))
}
