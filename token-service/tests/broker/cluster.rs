//! Three replicas on one PostgreSQL renew the same connections, and one of them is killed (SIGKILL) at a step of it, again
//! and again. `KILLS` says how often; `make kills` sets ten thousand.
//!
//! The two that live on are asked while the third dies, or right after. What came of it is compared with the ledger of an
//! authorization server that punishes every reuse, and that of one that forgives a repetition.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use portcullis_test_postgres::Database;
use portcullis_token_service::broker::Timings;
use portcullis_token_service::broker::failpoints::{Failpoint, Failpoints};
use portcullis_token_service::clock::SystemClock;
use portcullis_token_service::store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::authorization_server::Reuse;
use crate::crashes::{Fate, allowed_uses, expected, kill_once};
use crate::process::{Process, die, next_line, say, told};
use crate::replica::{Outcome, ask};
use crate::stage::{Home, OAUTH, QUICK, Stage, broker, member_grant, open};

/// Where nothing else is said: a few for each step.
const KILLS: u32 = 48;
/// How many clusters are at work at once, for a few kills and for many: mostly each waits until a lock is over.
const CLUSTERS: std::ops::RangeInclusive<u32> = 6..=12;
const CALLERS: u32 = 3;

/// What a replica is to do next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Order {
    server: String,
    /// Each asks at the same time, by [`CALLERS`] or so many callers.
    members: Vec<String>,
    callers: Option<u32>,
    die_at: Option<String>,
    commits_fail: bool,
}

/// Dies where its present order says.
#[derive(Default)]
struct Fatal(Mutex<Order>);

impl Failpoints for Fatal {
    fn hit(&self, point: Failpoint) {
        if self.0.lock().expect("no panic").die_at == Some(format!("{point:?}")) {
            die();
        }
    }

    fn commit_fails(&self) -> Option<StoreError> {
        let fails = self.0.lock().expect("no panic").commits_fail;
        fails.then(|| StoreError::Unavailable { problem: "the disk is full".to_owned() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by other tests as a process of its own"]
async fn cluster_process() {
    let Some((home, own, is_quick)) = told::<(Home, PathBuf, bool)>() else { return };
    let (store, vault) = open(&home).await;
    let fatal = Arc::new(Fatal::default());
    // Of its own are the renewed tokens that it could not commit.
    let timings = if is_quick { QUICK } else { Timings::default() };
    let broker = broker(&own, &store, &vault, Arc::new(SystemClock), Arc::clone(&fatal) as _, timings);
    broker.settle_unsaved().await;
    say("ready");
    while let Some(line) = next_line().await {
        let order: Order = serde_json::from_str(&line).expect("an order");
        fatal.0.lock().expect("no panic").clone_from(&order);
        let mut grants = Vec::new();
        for member in &order.members {
            grants.push(Arc::new(member_grant(&*store, &order.server, member).await));
        }
        let callers = order.callers.unwrap_or(CALLERS);
        let mut asking = JoinSet::new();
        for grant in grants {
            let broker = Arc::clone(&broker);
            asking.spawn(async move { ask(&broker, &grant, callers).await });
        }
        let mut all = Outcome::default();
        for outcome in asking.join_all().await {
            all.tokens.extend(outcome.tokens);
            all.reconnect += outcome.reconnect;
            all.lost += outcome.lost;
        }
        all.tokens.sort();
        say(&serde_json::to_string(&all).expect("writes"));
    }
}

/// One replica, as another process.
struct Member(Process);

impl Member {
    async fn start(home: &Home, own: &TempDir, is_quick: bool) -> Self {
        Self(Process::start("cluster::cluster_process", &(home, own.path(), is_quick)).await)
    }

    async fn order(&mut self, order: &Order) {
        self.0.tell(&serde_json::to_string(order).expect("writes")).await;
    }

    /// What came of the order; `None` if it was killed.
    async fn outcome(&mut self) -> Option<Outcome> {
        self.0.outcome().await
    }
}

struct Cluster {
    stage: Arc<Stage>,
    directories: [TempDir; 3],
    members: [Member; 3],
    reuse: Reuse,
}

/// What came of all the kills.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    kills: u32,
    /// The one that was to die had nothing to do.
    survived: u32,
    reconnects: u32,
    most_uses: u32,
}

impl Cluster {
    /// `is_quick`: a lock whose owner is gone is over soon. Of an owner who is slow as well.
    async fn start(stage: &Arc<Stage>, reuse: Reuse, is_quick: bool) -> Self {
        let directories = std::array::from_fn(|_| tempfile::tempdir().expect("a directory"));
        let [one, two, three] = &directories;
        let (one, two, three) = tokio::join!(
            Member::start(&stage.home, one, is_quick),
            Member::start(&stage.home, two, is_quick),
            Member::start(&stage.home, three, is_quick)
        );
        Self { stage: Arc::clone(stage), directories, members: [one, two, three], reuse }
    }

    /// Kills the first at `point`. `at_once`: the others are asked at the same time, and may be faster.
    async fn kill_at(&mut self, point: Failpoint, name: &str, at_once: bool, tally: &mut Tally) {
        self.stage.connected(name, -60).await;
        let shared = point == Failpoint::SharedMade;
        let server = if shared { format!("srv_{name}") } else { OAUTH.to_owned() };
        if shared {
            self.stage.add_server(&server, self.stage.client_credentials(&server)).await;
        }
        let order = Order { server, members: vec![name.to_owned()], ..Order::default() };
        let commits_fail = point == Failpoint::SpillWrite;
        let fatal = Order { die_at: Some(format!("{point:?}")), commits_fail, ..order.clone() };
        let [victim, two, three] = &mut self.members;
        victim.order(&fatal).await;
        let first = if at_once {
            two.order(&order).await;
            three.order(&order).await;
            victim.outcome().await
        } else {
            let first = victim.outcome().await;
            two.order(&order).await;
            three.order(&order).await;
            first
        };
        let others = [two.outcome().await.expect("lives"), three.outcome().await.expect("lives")];
        let died = first.is_none();
        if died {
            *victim = Member::start(&self.stage.home, &self.directories[0], true).await;
            victim.order(&order).await;
        }
        let last = if died { victim.outcome().await.expect("lives") } else { first.expect("lives") };
        let fate = if died { expected(point, self.reuse) } else { Fate::Works };
        self.judge(point, name, fate, &[&others[0], &others[1], &last]);
        tally.kills += u32::from(died);
        tally.survived += u32::from(!died);
        tally.reconnects += u32::from(fate == Fate::Reconnect);
        let uses = self.stage.provider.ledger().uses(name).into_iter().max().unwrap_or(0);
        assert!(uses <= allowed_uses(point), "{point:?}: {uses} uses");
        tally.most_uses = tally.most_uses.max(uses);
    }

    /// Everybody got the same token, and it is theirs; or everybody was told to connect again.
    fn judge(&self, point: Failpoint, name: &str, fate: Fate, outcomes: &[&Outcome]) {
        let subject = if point == Failpoint::SharedMade { "gateway" } else { name };
        for outcome in outcomes {
            assert_eq!(outcome.lost, 0, "{point:?}: {outcome:?}");
            let wanted = match fate {
                Fate::Works => (0, 1),
                Fate::Reconnect => (CALLERS, 0),
            };
            assert_eq!((outcome.reconnect, outcome.tokens.len()), wanted, "{point:?}: {outcomes:?}");
            for token in &outcome.tokens {
                assert_eq!(self.stage.provider.ledger().owner_of(token), Some(subject), "{point:?}");
            }
        }
        assert!(
            outcomes.iter().all(|outcome| outcome.tokens == outcomes[0].tokens),
            "{point:?}: {outcomes:?}"
        );
    }
}

fn kills() -> u32 {
    std::env::var("KILLS")
        .map_or(KILLS, |text| text.parse().unwrap_or_else(|error| panic!("KILLS={text}: {error}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_is_killed_anywhere() {
    let mut figures = BTreeMap::new();
    for reuse in [Reuse::Strict, Reuse::Grace] {
        let Some(database) = Database::make().await else { return };
        let stage = Arc::new(Stage::on_postgres(reuse, database.url().as_str()).await);
        let tally = kill_everywhere(&stage, reuse, kills() / 2).await;
        println!("{reuse:?}: {tally:?}");
        // A provider that forgives a repetition loses nothing at all.
        assert!(reuse == Reuse::Strict || tally.reconnects == 0);
        let name = format!("{reuse:?}").to_lowercase();
        for (what, value) in [
            ("kills", tally.kills),
            ("told_to_reconnect", tally.reconnects),
            ("most_uses_of_a_refresh_token", tally.most_uses),
        ] {
            figures.insert(
                format!("{name}_{what}"),
                json!({"value": value, "unit": "times", "target": "none", "holds": true}),
            );
        }
    }
    for what in ["double_uses", "tokens_of_somebody_else", "silent_losses"] {
        // Whatever is not 0 has ended the test.
        figures.insert(what.to_owned(), json!({"value": 0, "unit": "times", "target": "0", "holds": true}));
    }
    write_figures(&figures);
}

/// Beside those of other programs, and in the same form.
fn write_figures(figures: &BTreeMap<String, serde_json::Value>) {
    let program = std::env::current_exe().expect("this program");
    let target = program.ancestors().nth(3).expect("is in a target directory").join("kills");
    std::fs::create_dir_all(&target).expect("makes");
    let text = serde_json::to_string_pretty(figures).expect("writes");
    std::fs::write(target.join("results.json"), text).expect("writes");
}

/// 3,000 calls on 100 connections, whose tokens have all expired.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_make_one_token_request_for_each_connection() {
    const CONNECTIONS: usize = 100;
    let Some(database) = Database::make().await else { return };
    let stage = Arc::new(Stage::on_postgres(Reuse::Strict, database.url().as_str()).await);
    let members: Vec<String> = (0..CONNECTIONS).map(|number| format!("member{number}")).collect();
    for member in &members {
        stage.connected(member, -60).await;
    }
    let mut cluster = Cluster::start(&stage, Reuse::Strict, false).await;
    let order = Order { server: OAUTH.to_owned(), members, callers: Some(10), ..Order::default() };
    for member in &mut cluster.members {
        member.order(&order).await;
    }
    let mut outcomes = Vec::new();
    for member in &mut cluster.members {
        outcomes.push(member.outcome().await.expect("lives"));
    }
    let requests = stage.provider.ledger().token_requests;
    println!("3 x 10 callers on {CONNECTIONS} connections: {requests} token requests");
    for outcome in &outcomes {
        assert_eq!((outcome.tokens.len(), outcome.reconnect, outcome.lost), (CONNECTIONS, 0, 0));
        assert_eq!(outcome, &outcomes[0], "the same tokens everywhere");
    }
    assert_eq!(usize::try_from(requests).expect("few"), CONNECTIONS);
}

async fn kill_everywhere(stage: &Arc<Stage>, reuse: Reuse, kills: u32) -> Tally {
    let (next, killed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let replaying = Arc::new(tokio::sync::Mutex::new(()));
    let mut clusters = JoinSet::new();
    for _ in 0..(kills / 24).clamp(*CLUSTERS.start(), *CLUSTERS.end()) {
        let (stage, next, killed) = (Arc::clone(stage), Arc::clone(&next), Arc::clone(&killed));
        let replaying = Arc::clone(&replaying);
        clusters.spawn(async move {
            let mut cluster = Cluster::start(&stage, reuse, true).await;
            let mut tally = Tally::default();
            loop {
                if killed.load(Ordering::SeqCst) >= kills {
                    return tally;
                }
                let (number, before) = (next.fetch_add(1, Ordering::SeqCst), tally.kills);
                let points = Failpoint::ALL.len();
                let point = Failpoint::ALL[number as usize % points];
                let name = format!("member{number}");
                if point == Failpoint::SpillReplay {
                    // Of one that starts again on its own disk. One at a time: here they have it in common.
                    let _alone = replaying.lock().await;
                    let (fate, uses) = kill_once(&stage, point, &name, reuse).await;
                    tally.kills += 1;
                    tally.reconnects += u32::from(fate == Fate::Reconnect);
                    tally.most_uses = tally.most_uses.max(uses);
                } else {
                    let at_once = (number as usize / points).is_multiple_of(2);
                    cluster.kill_at(point, &name, at_once, &mut tally).await;
                }
                // Nobody was, if the victim had nothing to do.
                let done = killed.fetch_add(tally.kills - before, Ordering::SeqCst);
                if number.is_multiple_of(500) && number > 0 {
                    println!("{done} of {kills} ({reuse:?})");
                }
            }
        });
    }
    let mut all = Tally::default();
    for tally in clusters.join_all().await {
        all.kills += tally.kills;
        all.survived += tally.survived;
        all.reconnects += tally.reconnects;
        all.most_uses = all.most_uses.max(tally.most_uses);
    }
    all
}
