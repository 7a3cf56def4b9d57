//! A crowd: callers who come, make a few calls, and do not come back. What the filter and the token-service keep about
//! callers is bounded, so neither may grow once those bounds are reached.
//!
//! Each caller has a token of the company's identity provider and is a member since its first call. Nothing is changed or
//! restarted meanwhile: what is measured is memory, and every call has to be served, unless so many are new at once that the
//! token-service is late.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::interval;

use super::judge::Outcome;
use super::upstreams::{self, HEADER_OWNER};
use super::usage::Usage;
use super::world::{WORKERS, WORKSPACES};
use crate::idp::{AUDIENCE, IdentityProvider};
use crate::mcp::{Agent, Era, LATEST_LEGACY};
use crate::seed::ISSUER;
use crate::stack::{Builder, Stack};
use crate::upstream::protected::witness::TESTIFY;

/// How often the processes are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Good until long after the run: it is about the number of callers, not about their age.
const EXPIRY: u64 = 4_000_000_000;

/// How many callers, and how many calls of each.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub callers: u64,
    pub calls_each: u64,
    /// How many callers are there at the same time.
    pub present: u64,
}

/// What Envoy and the token-service used at one moment, and after how many calls.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub calls: u64,
    /// Envoy, the token-service.
    pub usage: [Usage; 2],
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Seen {
    pub calls: u64,
    /// Answers that told the caller to come back later.
    pub unavailable: u64,
    /// The first few of the other answers that were not what was asked for.
    pub failed: Vec<String>,
    pub samples: Vec<Sample>,
}

#[derive(Debug)]
struct Crowd {
    settings: Settings,
    idp: IdentityProvider,
    agent: Agent,
    url: String,
    next: AtomicU64,
    calls: AtomicU64,
    unavailable: AtomicU64,
    failed: Mutex<Vec<String>>,
}

/// Lets them all come, so many at a time. `progress` is told how far it has come.
///
/// # Errors
/// If the stack does not start, or a process cannot be looked at.
pub async fn run(settings: Settings, mut progress: impl FnMut(Sample)) -> anyhow::Result<Seen> {
    let idp = IdentityProvider::default();
    let (upstream, server) = upstreams::for_everybody("archive").await?;
    let mut stack = Stack::build(Builder {
        concurrency: WORKERS,
        scripted: false,
        servers: vec![server],
        issuers: admitting(&idp),
        explained: false,
        ..Builder::default()
    })
    .await?;
    // Everybody comes with a new token: more in a second than the shipped configuration lets a worker verify.
    stack.envoy.restart_changed(|plugin| plugin["verifications_per_second"] = json!(10_000))?;
    stack.envoy.ready().await?;
    stack.filter_ready().await?;

    let crowd = Arc::new(Crowd {
        settings,
        idp,
        agent: Agent::new(stack.public_url(), None, Era::Modern),
        url: stack.url("archive"),
        next: AtomicU64::new(0),
        calls: AtomicU64::new(0),
        unavailable: AtomicU64::new(0),
        failed: Mutex::default(),
    });
    let mut present: JoinSet<()> = (0..settings.present).map(|_| Arc::clone(&crowd).come_and_go()).collect();
    let mut seen = Seen::default();
    let mut look = interval(LOOK);
    while !present.is_empty() {
        tokio::select! {
            Some(gone) = present.join_next() => gone?,
            _ = look.tick() => {
                let usage = [Usage::of(stack.envoy.process.id())?, Usage::of(stack.service.process.id())?];
                let sample = Sample { calls: crowd.calls.load(Ordering::Relaxed), usage };
                seen.samples.push(sample);
                progress(sample);
                // Nobody asks what reached it, and it is a lot.
                upstream.take_calls();
                upstream.journal.clear();
            }
        }
    }
    ensure!(stack.filter_never_trapped().await, "the filter has trapped");
    seen.calls = crowd.calls.load(Ordering::Relaxed);
    seen.unavailable = crowd.unavailable.load(Ordering::Relaxed);
    seen.failed.clone_from(&crowd.failed());
    Ok(seen)
}

/// The identity provider of [`IdentityProvider::issuers`], each of whose people is a member of the workspace that the token
/// names.
fn admitting(idp: &IdentityProvider) -> Value {
    let mut issuers = idp.issuers();
    issuers[0]["workspace_claim"] = json!("workspace");
    issuers[0]["auto_provision_members"] = json!(true);
    issuers
}

impl Crowd {
    async fn come_and_go(self: Arc<Self>) {
        loop {
            let caller = self.next.fetch_add(1, Ordering::Relaxed);
            if caller >= self.settings.callers {
                return;
            }
            self.call(caller).await;
        }
    }

    async fn call(&self, caller: u64) {
        // Some have a session, which is a caller's own as well.
        let era = if caller.is_multiple_of(4) { Era::Legacy(LATEST_LEGACY) } else { Era::Modern };
        let mut agent = self.agent.with_credential(Some(&self.token(caller))).at(&self.url, era);
        if caller.is_multiple_of(4)
            && let Err(refused) = agent.try_initialize(json!({})).await
        {
            return self.is_not_served(caller, &Outcome::of(&refused));
        }
        for call in 0..self.settings.calls_each {
            let nonce = format!("{caller}-{call}");
            let reply = agent.call_tool(TESTIFY, json!({"nonce": nonce})).await;
            self.calls.fetch_add(1, Ordering::Relaxed);
            match Outcome::of(&reply) {
                Outcome::Served(said) if said.subject == HEADER_OWNER && said.nonce == nonce => {}
                other => self.is_not_served(caller, &other),
            }
        }
    }

    fn token(&self, caller: u64) -> String {
        self.idp.sign_claims(
            &json!({"iss": ISSUER, "sub": format!("person-{caller}"), "aud": AUDIENCE, "exp": EXPIRY,
            "workspace": WORKSPACES[0]}),
        )
    }

    fn failed(&self) -> MutexGuard<'_, Vec<String>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_not_served(&self, caller: u64, outcome: &Outcome) {
        if let Outcome::Unavailable(_) = outcome {
            self.unavailable.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut failed = self.failed();
        if failed.len() < 10 {
            failed.push(format!("caller {caller}: {outcome:?}"));
        }
    }
}

impl Seen {
    /// Mean resident memory in bytes, of Envoy and of the token-service, between two parts of all calls, in percent; 0 if
    /// nobody looked then.
    pub fn memory_between(&self, from: u64, to: u64) -> [u64; 2] {
        let part = |sample: &&Sample| (from..=to).contains(&(sample.calls * 100 / self.calls.max(1)));
        let samples: Vec<&Sample> = self.samples.iter().filter(part).collect();
        let count = u64::try_from(samples.len()).unwrap_or(u64::MAX).max(1);
        [0, 1].map(|process| samples.iter().map(|sample| sample.usage[process].resident).sum::<u64>() / count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_part_of_the_calls() {
        let sample = |calls, resident| Sample {
            calls,
            usage: [Usage { resident, descriptors: 1 }, Usage { resident: 10 * resident, descriptors: 1 }],
        };
        let samples = vec![sample(0, 1), sample(500, 100), sample(600, 200), sample(1_000, 7)];
        let seen = Seen { calls: 1_000, samples, ..Seen::default() };
        assert_eq!(seen.memory_between(40, 60), [150, 1_500]);
        assert_eq!(seen.memory_between(90, 100), [7, 70]);
    }
}
