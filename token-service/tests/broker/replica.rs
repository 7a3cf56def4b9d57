//! A replica: this test binary once more, as another process on the same database.

use std::io::{BufRead as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::Pid;
use portcullis_token_service::broker::failpoints::{Failpoint, Failpoints};
use portcullis_token_service::broker::{Broker, NoCredential};
use portcullis_token_service::clock::SystemClock;
use portcullis_token_service::domain::resolve::Grant;
use portcullis_token_service::store::StoreError;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::stage::{Home, QUICK, broker, member_grant, open, token_of};

const ORDERS: &str = "PORTCULLIS_TEST_REPLICA";
const MARK: &str = "replica: ";

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

pub(crate) struct Replica {
    child: Child,
    output: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Replica {
    /// Starts it, and waits until it has opened the database.
    pub(crate) async fn start(orders: &Orders) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "replica::replica_process", "--ignored", "--nocapture", "--test-threads=1"])
            .env(ORDERS, serde_json::to_string(orders).expect("writes"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        let output = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut replica = Self { child, output };
        replica.line().await.expect("it is ready");
        replica
    }

    async fn line(&mut self) -> Option<String> {
        while let Some(line) = self.output.next_line().await.expect("reads") {
            // The test harness may have begun the line.
            if let Some((_, text)) = line.split_once(MARK) {
                return Some(text.to_owned());
            }
        }
        None
    }

    pub(crate) async fn go(&mut self) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(b"go\n").await.expect("writes");
        stdin.flush().await.expect("writes");
    }

    /// Lets it run until it stands still.
    pub(crate) async fn run_until_paused(&mut self) {
        self.go().await;
        assert_eq!(self.line().await.as_deref(), Some("paused"));
    }

    /// Wakes it up and lets it run to its end.
    pub(crate) async fn resume(self) -> Outcome {
        let id = i32::try_from(self.child.id().expect("it lives")).expect("a process id");
        kill(Pid::from_raw(id), Signal::SIGCONT).expect("it wakes up");
        self.end().await.expect("it lives")
    }

    /// Lets it run to its end: what it says, or `None` if it was killed.
    pub(crate) async fn run(mut self) -> Option<Outcome> {
        self.go().await;
        self.end().await
    }

    async fn end(mut self) -> Option<Outcome> {
        let line = self.line().await;
        let status = self.child.wait().await.expect("ends");
        if let Some(text) = line {
            return Some(serde_json::from_str(&text).expect("an outcome"));
        }
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{status}");
        None
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
            kill(Pid::this(), Signal::SIGKILL).expect("dies");
            // Nothing more happens in this process.
            loop {
                std::thread::park();
            }
        }
    }

    fn commit_fails(&self) -> Option<StoreError> {
        self.commits_fail.then(|| StoreError::Unavailable { problem: "the disk is full".to_owned() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by other tests as a process of its own"]
async fn replica_process() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Orders = serde_json::from_str(&orders).expect("orders");
    let (store, vault) = open(&orders.home).await;
    let failpoints = Arc::new(orders.clone());
    let broker = broker(&orders.home.directory, &store, &vault, Arc::new(SystemClock), failpoints, QUICK);
    let grant = Arc::new(member_grant(&*store, &orders.server, &orders.member).await);
    say("ready");
    std::io::stdin().lock().lines().next().expect("a word").expect("reads");
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

fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{MARK}{text}").and_then(|()| output.flush()).expect("writes");
}
