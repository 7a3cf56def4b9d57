//! A replica is killed (SIGKILL) at every step of a renewal, and the next one goes on. The authorization server keeps
//! the truth: no refresh token comes more often than the one try that is allowed after a request without an answer,
//! nobody gets another one's token, and in the end a call works or says that the member has to connect again.

use std::sync::Arc;

use portcullis_token_service::broker::failpoints::Failpoint;
use portcullis_token_service::domain::connection::{ConnectionId, ConnectionOwner};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::authorization_server::Reuse;
use crate::replica::{Orders, Outcome, Replica};
use crate::stage::{OAUTH, Stage, member_id};

/// Runs for each failpoint.
const RUNS: u32 = 8;

/// Replicas at once.
const AT_ONCE: usize = 6;

const CALLERS: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Works,
    Reconnect,
}

/// What has to come of it.
pub(crate) fn expected(point: Failpoint, reuse: Reuse) -> Fate {
    match point {
        // The provider has rotated, and nobody knows the new token but who is dead.
        Failpoint::AfterReply | Failpoint::AfterSeal | Failpoint::BeforeCommit | Failpoint::SpillWrite
            if reuse == Reuse::Strict =>
        {
            Fate::Reconnect
        }
        _ => Fate::Works,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_with_a_provider_that_punishes_reuse() {
    kill_everywhere(Reuse::Strict).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_with_a_provider_that_forgives_a_repetition() {
    kill_everywhere(Reuse::Grace).await;
}

async fn kill_everywhere(reuse: Reuse) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    println!(
        "{:<14} {:>5} {:>6} {:>10}  most uses of one refresh token ({reuse:?})",
        "killed at", "runs", "works", "reconnect"
    );
    let mut points = JoinSet::new();
    for point in Failpoint::ALL {
        let places = Arc::clone(&places);
        points.spawn(async move {
            let stage = Arc::new(Stage::new(reuse).await);
            let mut all = JoinSet::new();
            for run in 0..RUNS {
                let (stage, places) = (Arc::clone(&stage), Arc::clone(&places));
                all.spawn(async move {
                    let _place = places.acquire().await.expect("open");
                    let name = format!("member{run}");
                    // Whoever starts on a database commits all that is beside it, also what another run waits for.
                    if point == Failpoint::SpillReplay {
                        kill_once(&Stage::new(reuse).await, point, &name, reuse).await
                    } else {
                        kill_once(&stage, point, &name, reuse).await
                    }
                });
            }
            (point, all.join_all().await)
        });
    }
    let mut rows = points.join_all().await;
    rows.sort_by_key(|(point, _)| Failpoint::ALL.iter().position(|other| other == point));
    for (point, fates) in rows {
        let works = fates.iter().filter(|(fate, _)| *fate == Fate::Works).count();
        let uses = fates.iter().map(|(_, uses)| *uses).max().unwrap_or(0);
        let name = format!("{point:?}");
        println!("{name:<14} {:>5} {works:>6} {:>10}  {uses}", fates.len(), fates.len() - works);
    }
}

pub(crate) async fn kill_once(stage: &Stage, point: Failpoint, name: &str, reuse: Reuse) -> (Fate, u32) {
    stage.connected(name, -60).await;
    let shared = point == Failpoint::SharedMade;
    let server = if shared { format!("srv_{name}") } else { OAUTH.to_owned() };
    if shared {
        stage.add_server(&server, stage.client_credentials(&server)).await;
    }
    let orders = Orders {
        home: stage.home.clone(),
        server: server.clone(),
        member: name.to_owned(),
        callers: CALLERS,
        die_at: Some(format!("{point:?}")),
        pause_at: None,
        commits_fail: point == Failpoint::SpillWrite,
    };
    if point == Failpoint::SpillReplay {
        // Before, a replica that could not commit: it serves what it holds.
        let orders = Orders { die_at: None, commits_fail: true, ..orders.clone() };
        let outcome = Replica::start(&orders).await.run().await.expect("lives");
        check(stage, name, &outcome);
        assert_eq!((outcome.reconnect, outcome.tokens.len()), (0, 1));
    }
    assert_eq!(Replica::start(&orders).await.run().await, None, "it dies at {point:?}");

    let orders = Orders { die_at: None, commits_fail: false, ..orders };
    let outcome = Replica::start(&orders).await.run().await.expect("lives");
    check(stage, if shared { "gateway" } else { name }, &outcome);
    let fate = if outcome.reconnect == 0 { Fate::Works } else { Fate::Reconnect };
    assert_eq!(fate, expected(point, reuse), "{point:?}");

    let owner = if shared { ConnectionOwner::Shared } else { ConnectionOwner::Member(member_id(name)) };
    let connection = stage.present(&ConnectionId::of(&server.as_str().into(), &owner)).await;
    assert!(connection.tokens.is_some(), "nothing is deleted");
    let uses = stage.provider.ledger().uses(name).into_iter().max().unwrap_or(0);
    assert_eq!(uses, allowed_uses(point), "{point:?}");
    (fate, uses)
}

/// How often a refresh token may come: once more where the first request was never answered, as far as anybody alive knows.
pub(crate) fn allowed_uses(point: Failpoint) -> u32 {
    match point {
        Failpoint::SharedMade => 0,
        Failpoint::AfterReply | Failpoint::AfterSeal | Failpoint::BeforeCommit | Failpoint::SpillWrite => 2,
        _ => 1,
    }
}

/// Everybody got the same, and it is theirs.
fn check(stage: &Stage, subject: &str, outcome: &Outcome) {
    assert_eq!(outcome.lost, 0, "{outcome:?}");
    assert!(outcome.reconnect == 0 || outcome.tokens.is_empty(), "{outcome:?}");
    assert_eq!(outcome.tokens.len() + usize::from(outcome.reconnect > 0), 1, "{outcome:?}");
    for token in &outcome.tokens {
        assert_eq!(stage.provider.ledger().owner_of(token), Some(subject));
    }
}
