//! A replica: another process on the same database.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use portcullis_token_service::broker::failpoints::{Failpoint, Failpoints};
use portcullis_token_service::broker::{Broker, NoCredential};
use portcullis_token_service::clock::SystemClock;
use portcullis_token_service::domain::resolve::Grant;
use portcullis_token_service::store::StoreError;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::process::{Process, die, next_line, say, told};
use crate::stage::{Home, QUICK, broker, member_grant, open, token_of};

/// What a replica is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) home: Home,
    pub(crate) server: String,
    pub(crate) member: String,
    /// How many callers ask at once.
    pub(crate) callers: u32,
    /// Where to die.
    pub(crate) die_at: Option<String>,
    /// Where to say so and stand still (SIGSTOP), until somebody wakes it.
    pub(crate) pause_at: Option<String>,
    /// No renewed token can be committed.
    pub(crate) commits_fail: bool,
}

/// What it has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The different access tokens that its callers got.
    pub(crate) tokens: Vec<String>,
    /// Callers who were told to connect again.
    pub(crate) reconnect: u32,
    /// Callers who got neither in the end.
    pub(crate) lost: u32,
}

pub(crate) struct Replica(Process);

impl Replica {
    /// Starts it, and waits until it has opened the database.
    pub(crate) async fn start(orders: &Orders) -> Self {
        Self(Process::start("replica::replica_process", orders).await)
    }

    pub(crate) async fn go(&mut self) {
        self.0.tell("go").await;
    }

    /// Lets it run until it stands still.
    pub(crate) async fn run_until_paused(&mut self) {
        self.go().await;
        assert_eq!(self.0.line().await.as_deref(), Some("paused"));
    }

    /// Wakes it up and lets it run to its end.
    pub(crate) async fn resume(mut self) -> Outcome {
        self.0.wake();
        self.0.outcome().await.expect("it lives")
    }

    /// Lets it run to its end: what it says, or `None` if it was killed.
    pub(crate) async fn run(mut self) -> Option<Outcome> {
        self.go().await;
        self.0.outcome().await
    }
}

impl Failpoints for Orders {
    fn hit(&self, point: Failpoint) {
        let point = format!("{point:?}");
        if self.pause_at.as_ref() == Some(&point) {
            say("paused");
            // To this very thread, which then does not go on a little before the process stops.
            raise(Signal::SIGSTOP).expect("stands still");
        }
        if self.die_at.as_ref() == Some(&point) {
            die();
        }
    }

    fn commit_fails(&self) -> Option<StoreError> {
        self.commits_fail.then(|| StoreError::Unavailable { problem: "the disk is full".to_owned() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by other tests as a process of its own"]
async fn replica_process() {
    let Some(orders) = told::<Orders>() else { return };
    let (store, vault) = open(&orders.home).await;
    let failpoints = Arc::new(orders.clone());
    let broker = broker(&orders.home.directory, &store, &vault, Arc::new(SystemClock), failpoints, QUICK);
    let grant = Arc::new(member_grant(&*store, &orders.server, &orders.member).await);
    say("ready");
    next_line().await.expect("a word");
    // As at the start of a service.
    broker.settle_unsaved().await;
    let outcome = ask(&broker, &grant, orders.callers).await;
    broker.drain().await;
    say(&serde_json::to_string(&outcome).expect("writes"));
}

/// Asks for a credential, so many at once, as patiently as filters do.
pub(crate) async fn ask(broker: &Arc<Broker>, grant: &Arc<Grant>, callers: u32) -> Outcome {
    let mut asking = JoinSet::new();
    for _ in 0..callers {
        let (broker, grant) = (Arc::clone(broker), Arc::clone(grant));
        asking.spawn(async move {
            // As long as a patient filter asks again.
            for _ in 0..200 {
                match broker.credential(&grant, None).await {
                    Err(NoCredential::Unavailable { retry_after_ms }) => {
                        tokio::time::sleep(Duration::from_millis(retry_after_ms.min(200))).await;
                    }
                    outcome => return outcome,
                }
            }
            Err(NoCredential::Unavailable { retry_after_ms: 0 })
        });
    }
    let mut outcome = Outcome::default();
    while let Some(caller) = asking.join_next().await {
        match caller.expect("no panic") {
            Ok(credential) => outcome.tokens.push(token_of(&credential).to_owned()),
            Err(NoCredential::ConnectRequired { .. }) => outcome.reconnect += 1,
            Err(_) => outcome.lost += 1,
        }
    }
    outcome.tokens.sort();
    outcome.tokens.dedup();
    outcome
}
