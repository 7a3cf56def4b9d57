//! Renewing connections: one owner at a time, whatever happens to it.

use std::sync::Arc;
use std::time::Duration;

use super::Database;
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::connection::{Attempt, Connection, ConnectionId, ConnectionState, ReauthReason};
use crate::store::connections::{RefreshFailure, RefreshStart, Renewed};
use crate::store::{Store, StoreError};

const HOUR: Duration = Duration::from_hours(1);

fn renewed(generation: u64) -> Renewed {
    Renewed {
        generation,
        tokens: tokens(generation),
        scopes: None,
        now: Timestamp(700_u64.saturating_add(generation)),
    }
}

async fn begin(store: &dyn Store, id: &ConnectionId, generation: u64, attempt: &str) -> RefreshStart {
    store.begin_refresh(id, generation, attempt, HOUR).await.expect("asks")
}

/// Begins, as the only one who may. Answers the attempt before that brought no answer.
async fn begun(store: &dyn Store, id: &ConnectionId, generation: u64, attempt: &str) -> Option<Attempt> {
    match begin(store, id, generation, attempt).await {
        RefreshStart::Begun { connection, previous } => {
            let present = connection.attempt.expect("its own");
            assert_eq!((present.id.as_str(), present.ambiguous), (attempt, false));
            previous
        }
        other => panic!("{other:?}"),
    }
}

async fn read(store: &dyn Store, id: &ConnectionId) -> Connection {
    store.connection(id).await.expect("reads").expect("is there")
}

async fn fail(
    store: &dyn Store,
    id: &ConnectionId,
    attempt: &str,
    failure: RefreshFailure,
) -> Option<Connection> {
    store.fail_refresh(id, attempt, &failure).await.expect("notes")
}

const AMBIGUOUS: RefreshFailure = RefreshFailure::Ambiguous { retry_in: Duration::ZERO };
const NOT_DONE: RefreshFailure = RefreshFailure::NotDone { retry_in: Duration::ZERO };

pub(in crate::store) async fn of_two_at_once_one_renews(database: &dyn Database) {
    let (one, two) = (database.open().await, database.open().await);
    let made = connected(one.as_ref(), &small(one.as_ref()).await).await;
    let before = revision(one.as_ref()).await;
    let (first, second) =
        tokio::join!(begin(one.as_ref(), &made.id, 1, "one"), begin(two.as_ref(), &made.id, 1, "two"));
    let (winner, busy, connection) = match (first, second) {
        (RefreshStart::Begun { connection, previous: None }, RefreshStart::Busy { until }) => {
            ("one", until, connection)
        }
        (RefreshStart::Busy { until }, RefreshStart::Begun { connection, previous: None }) => {
            ("two", until, connection)
        }
        other => panic!("{other:?}"),
    };
    let attempt = Attempt { id: winner.into(), lease_until: busy, ambiguous: false };
    assert_eq!(connection, Connection { attempt: Some(attempt), ..made.clone() });
    assert_eq!(read(two.as_ref(), &made.id).await, connection);
    assert_eq!(revision(one.as_ref()).await, before, "filters are not told");

    // The loser cannot end what is not its own; the winner does so once.
    let loser = if winner == "one" { "two" } else { "one" };
    assert!(!two.mark_sent(&made.id, loser).await.expect("asks"));
    assert_eq!(two.finish_refresh(&made.id, loser, &renewed(2)).await.expect("asks"), None);
    assert_eq!(fail(two.as_ref(), &made.id, loser, NOT_DONE).await, None);
    assert!(one.mark_sent(&made.id, winner).await.expect("notes"));
    let done = one.finish_refresh(&made.id, winner, &renewed(2)).await.expect("stores").expect("its own");
    let expected = Connection {
        generation: 2,
        tokens: Some(tokens(2)),
        refreshed_at: Timestamp(702),
        revision: done.revision,
        ..made.clone()
    };
    assert_eq!(done, expected);
    assert_eq!(read(two.as_ref(), &made.id).await, done);
    assert_eq!(one.finish_refresh(&made.id, winner, &renewed(3)).await.expect("asks"), None);
    assert_eq!(fail(one.as_ref(), &made.id, winner, AMBIGUOUS).await, None);

    // What the provider says about scopes replaces what was known.
    begun(two.as_ref(), &made.id, 2, "three").await;
    let narrower = Renewed { scopes: Some(scopes(&["a", "b"])), ..renewed(3) };
    let done = two.finish_refresh(&made.id, "three", &narrower).await.expect("stores").expect("its own");
    assert_eq!(done.scopes, scopes(&["a", "b"]));
}

pub(in crate::store) async fn leases_end_by_the_databases_clock(database: &dyn Database) {
    let (one, two) = (database.open().await, database.open().await);
    let made = connected(one.as_ref(), &small(one.as_ref()).await).await;
    // A lease of no length is over at once, without anybody telling the store what time it is.
    let start = one.begin_refresh(&made.id, 1, "one", Duration::ZERO).await.expect("asks");
    let RefreshStart::Begun { connection, .. } = start else { panic!("{start:?}") };
    let ended = connection.attempt.expect("its own").lease_until;
    assert!(!one.mark_sent(&made.id, "one").await.expect("asks"), "the request must not be sent any more");
    assert_eq!(begun(two.as_ref(), &made.id, 1, "two").await, None, "nothing was sent");
    let until = read(one.as_ref(), &made.id).await.attempt.expect("the second").lease_until;
    assert!(until >= ended.plus(HOUR), "{until:?}");
    assert_eq!(begin(one.as_ref(), &made.id, 1, "one").await, RefreshStart::Busy { until });
    assert!(two.mark_sent(&made.id, "two").await.expect("notes"));
    // The longest there is does not wrap.
    database.end_leases().await;
    one.begin_refresh(&made.id, 1, "three", Duration::MAX).await.expect("asks");
    assert!(matches!(begin(two.as_ref(), &made.id, 1, "four").await, RefreshStart::Busy { .. }));
}

pub(in crate::store) async fn late_owners_change_nothing(database: &dyn Database) {
    let (paused, other) = (database.open().await, database.open().await);
    let made = connected(paused.as_ref(), &small(paused.as_ref()).await).await;
    begun(paused.as_ref(), &made.id, 1, "paused").await;
    database.end_leases().await;
    begun(other.as_ref(), &made.id, 1, "other").await;
    let present = read(other.as_ref(), &made.id).await;
    let before = revision(other.as_ref()).await;

    assert!(!paused.mark_sent(&made.id, "paused").await.expect("asks"));
    assert_eq!(paused.finish_refresh(&made.id, "paused", &renewed(2)).await.expect("asks"), None);
    for failure in [AMBIGUOUS, NOT_DONE, RefreshFailure::Refused(ReauthReason::Revoked)] {
        assert_eq!(fail(paused.as_ref(), &made.id, "paused", failure).await, None);
    }
    assert_eq!(read(other.as_ref(), &made.id).await, present);
    assert_eq!(revision(other.as_ref()).await, before);
    let done = other.finish_refresh(&made.id, "other", &renewed(2)).await.expect("stores");
    assert_eq!(done.and_then(|done| done.tokens), Some(tokens(2)));
}

pub(in crate::store) async fn late_answers_count_until_somebody_takes_over(database: &dyn Database) {
    let store = database.open().await;
    let made = connected(store.as_ref(), &small(store.as_ref()).await).await;
    begun(store.as_ref(), &made.id, 1, "slow").await;
    assert!(store.mark_sent(&made.id, "slow").await.expect("notes"));
    database.end_leases().await;
    let done = store.finish_refresh(&made.id, "slow", &renewed(2)).await.expect("stores");
    assert_eq!(done.map(|done| (done.generation, done.attempt)), Some((2, None)));
    // Even when it was given up: the tokens that came after all are the only good ones.
    begun(store.as_ref(), &made.id, 2, "slower").await;
    fail(store.as_ref(), &made.id, "slower", AMBIGUOUS).await.expect("its own");
    let done = store.finish_refresh(&made.id, "slower", &renewed(3)).await.expect("stores");
    assert_eq!(done.map(|done| (done.generation, done.attempt)), Some((3, None)));
}

pub(in crate::store) async fn generations_fence_renewals(database: &dyn Database) {
    let store = database.open().await;
    let made = connected(store.as_ref(), &small(store.as_ref()).await).await;
    for other in [0, 2, u64::MAX] {
        let start = begin(store.as_ref(), &made.id, other, "one").await;
        assert_eq!(start, RefreshStart::Moved(made.clone()), "{other}");
    }
    let none = ConnectionId::from("con_none".to_owned());
    assert_eq!(begin(store.as_ref(), &none, 1, "one").await, RefreshStart::Missing);
    begun(store.as_ref(), &made.id, 1, "one").await;
    for other in [0, 1, 3, u64::MAX] {
        let wrong = store.finish_refresh(&made.id, "one", &renewed(other)).await.expect("asks");
        assert_eq!(wrong, None, "{other}");
    }
    store.finish_refresh(&made.id, "one", &renewed(2)).await.expect("stores").expect("its own");
    let start = begin(store.as_ref(), &made.id, 1, "two").await;
    assert!(matches!(start, RefreshStart::Moved(Connection { generation: 2, .. })), "{start:?}");
}

/// A refresh token whose fate is unknown stays so however many try after: each has to know, to tell a lost rotation
/// from a revocation.
pub(in crate::store) async fn unanswered_attempts_are_remembered_until_an_answer(database: &dyn Database) {
    let store = database.open().await;
    let made = connected(store.as_ref(), &small(store.as_ref()).await).await;
    begun(store.as_ref(), &made.id, 1, "one").await;
    let failed = fail(store.as_ref(), &made.id, "one", AMBIGUOUS).await.expect("its own");
    let lost = failed.attempt.clone().expect("it brought no answer");
    assert_eq!((lost.id.as_str(), lost.ambiguous), ("one", true));
    assert_eq!((failed.state, &failed.tokens), (ConnectionState::Active, &made.tokens));

    assert_eq!(begun(store.as_ref(), &made.id, 1, "two").await.as_ref(), Some(&lost));
    database.end_leases().await;
    // The second was never sent; the third certainly did nothing.
    assert_eq!(begun(store.as_ref(), &made.id, 1, "three").await.as_ref(), Some(&lost));
    let free = fail(store.as_ref(), &made.id, "three", NOT_DONE).await.expect("its own");
    assert_eq!(free.attempt.as_ref(), Some(&lost));
    assert_eq!(begun(store.as_ref(), &made.id, 1, "four").await.as_ref(), Some(&lost));
    // Tokens settle the matter.
    let done = store.finish_refresh(&made.id, "four", &renewed(2)).await.expect("stores");
    assert_eq!(done.expect("its own").attempt, None);
    assert_eq!(begun(store.as_ref(), &made.id, 2, "five").await, None);
}

pub(in crate::store) async fn what_was_sent_and_lost_counts_as_ambiguous(database: &dyn Database) {
    let (lost, other) = (database.open().await, database.open().await);
    let made = connected(lost.as_ref(), &small(lost.as_ref()).await).await;
    begun(lost.as_ref(), &made.id, 1, "lost").await;
    assert!(lost.mark_sent(&made.id, "lost").await.expect("notes"));
    let sent = read(other.as_ref(), &made.id).await.attempt.expect("under way");
    assert!(sent.ambiguous);
    // The process dies here and says nothing.
    drop(lost);
    let busy = begin(other.as_ref(), &made.id, 1, "other").await;
    assert_eq!(busy, RefreshStart::Busy { until: sent.lease_until });
    database.end_leases().await;
    let previous = begun(other.as_ref(), &made.id, 1, "other").await.expect("it was sent");
    assert_eq!((previous.id.as_str(), previous.ambiguous), ("lost", true));
}

pub(in crate::store) async fn refusals_ask_for_consent(database: &dyn Database) {
    let store = database.open().await;
    let made = connected(store.as_ref(), &small(store.as_ref()).await).await;
    begun(store.as_ref(), &made.id, 1, "one").await;
    fail(store.as_ref(), &made.id, "one", AMBIGUOUS).await.expect("its own");
    begun(store.as_ref(), &made.id, 1, "two").await.expect("it may be lost");
    let refusal = RefreshFailure::Refused(ReauthReason::LostRotation);
    let refused = fail(store.as_ref(), &made.id, "two", refusal).await.expect("its own");
    let expected = Connection {
        state: ConnectionState::NeedsReauth(ReauthReason::LostRotation),
        revision: refused.revision,
        ..made.clone()
    };
    assert_eq!(refused, expected, "the tokens stay");
    assert!(refused.revision > made.revision);
    assert_eq!(begin(store.as_ref(), &made.id, 1, "three").await, RefreshStart::Moved(refused));
}

pub(in crate::store) async fn failed_renewals_wait(database: &dyn Database) {
    let store = database.open().await;
    let made = connected(store.as_ref(), &small(store.as_ref()).await).await;
    for failure in
        [RefreshFailure::NotDone { retry_in: HOUR * 2 }, RefreshFailure::Ambiguous { retry_in: HOUR * 2 }]
    {
        let lease = {
            begun(store.as_ref(), &made.id, 1, "one").await;
            read(store.as_ref(), &made.id).await.attempt.expect("under way").lease_until
        };
        fail(store.as_ref(), &made.id, "one", failure).await.expect("its own");
        match begin(store.as_ref(), &made.id, 1, "two").await {
            RefreshStart::Busy { until } => assert!(until >= lease.plus(HOUR), "{until:?}"),
            other => panic!("{other:?}"),
        }
        database.end_leases().await;
    }
    assert_eq!(read(store.as_ref(), &made.id).await.tokens, made.tokens);
}

pub(in crate::store) async fn connecting_and_disconnecting_discard_a_renewal(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let made = connected(store.as_ref(), &small).await;
    begun(store.as_ref(), &made.id, 1, "one").await;
    assert!(store.mark_sent(&made.id, "one").await.expect("notes"));
    let owner = of_member(&small.member);
    let anew = store.connect(&new_connection(&small.server, owner.clone(), 2)).await.expect("connects");
    assert_eq!(anew.attempt, None);
    for generation in [2, 3] {
        let late = store.finish_refresh(&made.id, "one", &renewed(generation)).await.expect("asks");
        assert_eq!(late, None, "{generation}");
    }
    // Nobody's lease is in the way of the new tokens, and nothing is unclear about them.
    assert_eq!(begun(store.as_ref(), &made.id, 2, "two").await, None);
    assert!(store.mark_sent(&made.id, "two").await.expect("notes"));

    store.disconnect(&made.id).await.expect("disconnects").expect("was connected");
    let gone = read(store.as_ref(), &made.id).await;
    assert_eq!((gone.state, &gone.tokens, &gone.attempt), (ConnectionState::Disconnected, &None, &None));
    assert!(!store.mark_sent(&made.id, "two").await.expect("asks"));
    for generation in [3, 4] {
        let late = store.finish_refresh(&made.id, "two", &renewed(generation)).await.expect("asks");
        assert_eq!(late, None, "{generation}");
    }
    for failure in [AMBIGUOUS, NOT_DONE, RefreshFailure::Refused(ReauthReason::Revoked)] {
        assert_eq!(fail(store.as_ref(), &made.id, "two", failure).await, None);
    }
    assert_eq!(read(store.as_ref(), &made.id).await, gone, "it does not come back to life");
    let stale = store.connect(&new_connection(&small.server, owner, 3)).await;
    assert!(matches!(stale, Err(StoreError::Stale)));
}

/// Several processes renew the same connection over and over. No generation is renewed twice, none is left out.
pub(in crate::store) async fn many_at_once_make_one_attempt_for_each_generation(database: &dyn Database) {
    const TASKS: usize = 8;
    const LAST: u64 = 12;
    let handles = [database.open().await, database.open().await];
    let made = connected(handles[0].as_ref(), &small(handles[0].as_ref()).await).await;
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let store = Arc::clone(&handles[task % 2]);
        let id = made.id.clone();
        tasks.push(tokio::spawn(async move {
            let mut used = Vec::new();
            loop {
                let generation = read(store.as_ref(), &id).await.generation;
                if generation >= LAST {
                    return used;
                }
                let attempt = format!("{task}-{generation}");
                if let RefreshStart::Begun { .. } = begin(store.as_ref(), &id, generation, &attempt).await {
                    assert!(store.mark_sent(&id, &attempt).await.expect("notes"));
                    used.push(generation);
                    let next = renewed(generation + 1);
                    store.finish_refresh(&id, &attempt, &next).await.expect("stores").expect("its own");
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    let mut used = Vec::new();
    for task in tasks {
        used.extend(task.await.expect("no panic"));
    }
    used.sort_unstable();
    assert_eq!(used, (1..LAST).collect::<Vec<_>>(), "each refresh token is used once");
    let last = read(handles[1].as_ref(), &made.id).await;
    assert_eq!((last.generation, last.tokens), (LAST, Some(tokens(LAST))));
}
