//! Renewals under way in this process, one for each connection, and those that rest after a failure.
//!
//! A renewal is a task of the service: it goes on when whoever wanted it goes away, and a stopping service waits for it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::domain::connection::{Connection, ConnectionId, ReauthReason};

/// How a renewal ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended {
    /// The connection as it is now, where that is known.
    pub latest: Option<Arc<Connection>>,
    /// Why it was not renewed.
    pub failure: Option<Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// When trying again makes sense.
    pub retry_in: Duration,
    pub needs: Needs,
}

impl Ended {
    /// In one word, for a renewal that was to bring tokens after `generation`.
    pub(super) fn outcome(&self, generation: u64) -> &'static str {
        let latest = self.latest.as_deref();
        match self.failure.map(|failure| failure.needs) {
            Some(Needs::Administrator) => "misconfigured",
            Some(Needs::Consent(_)) => "consent_required",
            Some(Needs::Time) => "failed",
            None if latest.is_some_and(|latest| latest.generation > generation) => "renewed",
            None => "refused",
        }
    }
}

/// What it takes until there can be another token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Time,
    /// An administrator has to act.
    Administrator,
    /// The member has to connect again, once the present token is of no more use.
    Consent(ReauthReason),
}

/// Where to learn how it ends; `None` while it has not.
pub(super) type Ending = watch::Receiver<Option<Ended>>;

#[derive(Default)]
pub(super) struct Flights {
    flights: Mutex<HashMap<ConnectionId, Flight>>,
    tasks: Mutex<JoinSet<()>>,
}

enum Flight {
    Running(Ending),
    Resting(Rest),
}

/// Nobody tries again before `until`, as long as the connection is of this generation.
struct Rest {
    generation: u64,
    failures: u32,
    until: Instant,
    needs: Needs,
}

/// What [`Flights::join`] found.
pub(super) enum Joined {
    /// It was under way already, or was begun now.
    Running(Ending),
    /// It failed a moment ago.
    Resting(Failure),
}

impl Flights {
    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the renewal of this connection, or begins it with `renew`, which is given how often in a row it has failed.
    pub(super) fn join<F>(
        self: &Arc<Self>,
        id: &ConnectionId,
        generation: u64,
        renew: impl FnOnce(u32) -> F,
    ) -> Joined
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let mut flights = self.lock();
        let failures = match flights.get(id) {
            Some(Flight::Running(ending)) => return Joined::Running(ending.clone()),
            Some(Flight::Resting(rest)) if rest.generation == generation => {
                let left = rest.until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    let failure = Failure { retry_in: left, needs: rest.needs };
                    return Joined::Resting(failure);
                }
                rest.failures
            }
            _ => 0,
        };
        let (sender, ending) = watch::channel(None);
        flights.insert(id.clone(), Flight::Running(ending.clone()));
        drop(flights);
        // Should the renewal panic, the guard opens the way for the next one, and the sender's end tells who waits.
        let landing =
            Landing { flights: Arc::clone(self), id: id.clone(), generation, failures, ended: None };
        let renewal = renew(failures);
        self.spawn(async move {
            let mut landing = landing;
            let ended = renewal.await;
            landing.ended = Some(ended.clone());
            drop(landing);
            sender.send_replace(Some(ended));
        });
        Joined::Running(ending)
    }

    pub(super) fn is_idle(&self, id: &ConnectionId) -> bool {
        match self.lock().get(id) {
            Some(Flight::Running(_)) => false,
            Some(Flight::Resting(rest)) => rest.until <= Instant::now(),
            None => true,
        }
    }

    /// How many renewals are under way, and how many rest.
    pub(super) fn count(&self) -> (usize, usize) {
        let flights = self.lock();
        let running = flights.values().filter(|flight| matches!(flight, Flight::Running(_))).count();
        (running, flights.len().saturating_sub(running))
    }

    /// A task that a stopping service waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Waits until every task has ended.
    pub(super) async fn drain(&self) {
        loop {
            let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
            if tasks.is_empty() {
                return;
            }
            while tasks.join_next().await.is_some() {}
        }
    }

    /// Forgets rests that are over, once they tell nothing about how often a renewal has failed.
    pub(super) fn sweep(&self, memory: Duration) {
        let now = Instant::now();
        self.lock().retain(|_, flight| match flight {
            Flight::Running(_) => true,
            Flight::Resting(rest) => now.saturating_duration_since(rest.until) < memory,
        });
    }
}

/// Replaces a running flight by what it leaves behind.
struct Landing {
    flights: Arc<Flights>,
    id: ConnectionId,
    generation: u64,
    failures: u32,
    ended: Option<Ended>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        flights.remove(&self.id);
        if let Some(Failure { retry_in, needs }) = self.ended.as_ref().and_then(|ended| ended.failure) {
            let failures = self.failures.saturating_add(1);
            let until = Instant::now() + retry_in;
            let rest = Rest { generation: self.generation, failures, until, needs };
            flights.insert(self.id.clone(), Flight::Resting(rest));
        }
    }
}

/// Waits for the end, at most for so long.
pub(super) async fn end_of(mut ending: Ending, longest: Duration) -> Option<Ended> {
    let waited = tokio::time::timeout(longest, ending.wait_for(Option::is_some)).await;
    // Without a result: it takes longer, or has panicked.
    waited.ok()?.ok()?.clone()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::broker::test_values::connection;

    const LONG: Duration = Duration::from_mins(1);

    fn failure(retry_in: Duration, needs: Needs) -> Ended {
        let failure = Failure { retry_in, needs };
        Ended { latest: None, failure: Some(failure) }
    }

    #[tokio::test]
    async fn all_who_want_it_share_one_renewal() {
        let flights = Arc::new(Flights::default());
        let begun = Arc::new(AtomicU32::new(0));
        let (go, wait) = watch::channel(false);
        let endings: Vec<Ending> = (0..1000)
            .map(|_| {
                let (begun, mut wait) = (Arc::clone(&begun), wait.clone());
                let renew = |_| async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    let _ = wait.wait_for(|go| *go).await;
                    Ended { latest: Some(Arc::new(connection())), failure: None }
                };
                match flights.join(&connection().id, 5, renew) {
                    Joined::Running(ending) => ending,
                    Joined::Resting(_) => panic!("nothing has failed"),
                }
            })
            .collect();
        go.send_replace(true);
        for ending in endings {
            assert!(end_of(ending, LONG).await.expect("ends").latest.is_some());
        }
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        assert!(flights.is_idle(&connection().id));
    }

    #[tokio::test]
    async fn a_failed_one_rests_unless_the_connection_has_moved_on() {
        let flights = Arc::new(Flights::default());
        let id = connection().id;
        let renew =
            async |generation, result: Ended| match flights.join(&id, generation, |_| async { result }) {
                Joined::Running(ending) => {
                    end_of(ending, LONG).await.expect("an end");
                    Ok(())
                }
                Joined::Resting(failure) => Err(failure.needs),
            };
        assert_eq!(renew(5, failure(LONG, Needs::Administrator)).await, Ok(()));
        assert_eq!(renew(5, failure(LONG, Needs::Time)).await, Err(Needs::Administrator));
        assert!(!flights.is_idle(&id));
        assert_eq!(renew(6, failure(LONG, Needs::Time)).await, Ok(()));
        assert_eq!(renew(6, Ended::default()).await, Err(Needs::Time));
        assert_eq!(renew(7, failure(Duration::ZERO, Needs::Time)).await, Ok(()));
        assert_eq!(renew(7, Ended::default()).await, Ok(()), "the rest is over");
        assert_eq!(renew(7, Ended::default()).await, Ok(()), "after a success there is none");
    }

    #[tokio::test]
    async fn a_panic_ends_the_flight() {
        let flights = Arc::new(Flights::default());
        let Joined::Running(ending) = flights.join(&connection().id, 5, |_| async { panic!("on purpose") })
        else {
            panic!("nothing has failed")
        };
        assert!(end_of(ending, LONG).await.is_none());
        flights.drain().await;
        assert!(flights.is_idle(&connection().id));
    }

    #[tokio::test]
    async fn failures_in_a_row_are_counted_until_they_are_forgotten() {
        let flights = Arc::new(Flights::default());
        let id = connection().id;
        for (expected, memory) in [(0, LONG), (1, LONG), (2, Duration::ZERO), (0, LONG)] {
            let seen = Arc::new(AtomicU32::new(u32::MAX));
            let renew = |failures| {
                seen.store(failures, Ordering::SeqCst);
                async { failure(Duration::ZERO, Needs::Time) }
            };
            let Joined::Running(ending) = flights.join(&id, 5, renew) else { panic!("the rest is over") };
            end_of(ending, LONG).await.expect("ends");
            assert_eq!(seen.load(Ordering::SeqCst), expected);
            flights.sweep(memory);
        }
    }
}
