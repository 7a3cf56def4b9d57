//! Several token-services on one database, as one: `?wait=applied` has to mean every filter, whichever of them it watches.
//!
//! A filter's next watch may come to any replica, so each knows only some of what was acknowledged. While somebody waits,
//! it asks the others through the database, they write down whom they have heard of, and it takes that up as if it had
//! heard of them itself. Nobody writes anything but a beat a second while nobody waits.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::http::error::error_chain;
use crate::jobs::pause;
use crate::state::Service;
use crate::store::StoreError;
use crate::store::replicas::Replica;
use crate::watch_hub::LAPSE;

/// How often a replica says that it is there.
const BEAT: Duration = Duration::from_secs(1);

/// How often is looked while somebody waits, with few filters.
const LOOK: Duration = Duration::from_millis(20);

/// So many filters more, and [`LOOK`] is once as long again: each look writes and reads about a hundred bytes for each.
const FILTERS_A_LOOK: usize = 500;

/// With however many filters: what waits for them gives up after some seconds.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

/// How long after a commit somebody may ask who has heard of it.
const ALERT: Duration = Duration::from_millis(300);

/// A filter as one replica tells another of it. Ages, because their clocks may differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Watcher {
    filter: String,
    cursor: u64,
    /// Milliseconds since it was heard of.
    age: u64,
    /// Milliseconds from then until it counts as gone.
    connected_for: u64,
}

impl Service {
    /// Waits until every connected filter has acknowledged `revision`, whichever replica it watches; answers how many
    /// those are.
    ///
    /// # Errors
    ///
    /// As [`WatchHub::applied`](crate::watch_hub::WatchHub::applied); a replica that does not say whom it has heard of is
    /// named in place of its filters.
    pub async fn applied(&self, revision: Revision, timeout: Duration) -> Result<usize, Vec<String>> {
        if !self.store.is_shared() {
            return self.watch_hub.applied(revision, &*self.clock, timeout).await;
        }
        let deadline = Instant::now() + timeout;
        self.hear_of_all(deadline, timeout).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        tokio::select! {
            applied = self.watch_hub.applied(revision, &*self.clock, left) => applied,
            never = self.keep_hearing() => match never {},
        }
    }

    /// Until every other replica has said whom it has heard of since now.
    async fn hear_of_all(&self, deadline: Instant, lasting: Duration) -> Result<(), Vec<String>> {
        let unknown = |error: StoreError| {
            tracing::warn!(error = error_chain(&error), "the filters of other replicas are not known");
            vec!["the filters of other replicas".to_owned()]
        };
        self.store.beat(&self.replica, None).await.map_err(unknown)?;
        let asked_at = self.store.ask_for_watchers(&self.replica, lasting).await.map_err(unknown)?;
        let mut silent = Vec::new();
        let hearing = async {
            loop {
                let (now, others) = self.others().await?;
                let silent_ones =
                    others.iter().filter(|other| other.published_at < asked_at && !self.is_gone(other, now));
                silent = silent_ones.map(|other| other.id.clone()).collect();
                self.take_up(now, &others);
                if silent.is_empty() {
                    return Ok(());
                }
                sleep(self.look()).await;
            }
        };
        match timeout_at(deadline, hearing).await {
            Ok(heard) => heard.map_err(unknown),
            Err(_) => Err(silent),
        }
    }

    async fn keep_hearing(&self) -> std::convert::Infallible {
        loop {
            sleep(self.look()).await;
            // What cannot be read now is read the next time; without it the wait ends with who is missing.
            if let Ok((now, others)) = self.others().await {
                self.take_up(now, &others);
            }
        }
    }

    async fn others(&self) -> Result<(Timestamp, Vec<Replica>), StoreError> {
        let (now, mut replicas) = self.store.replicas().await?;
        replicas.retain(|replica| replica.id != self.replica);
        Ok((now, replicas))
    }

    fn take_up(&self, database_now: Timestamp, others: &[Replica]) {
        let now = self.clock.now();
        for other in others {
            let since = other.published_at.until(database_now);
            // A version that tells it in another way tells this one nothing.
            let watchers: Vec<Watcher> = serde_json::from_str(&other.watchers).unwrap_or_default();
            for watcher in watchers {
                let at = now.minus(since + Duration::from_millis(watcher.age));
                let until = at.plus(Duration::from_millis(watcher.connected_for));
                self.watch_hub.hear_of(&watcher.filter, Revision(watcher.cursor), at, until);
            }
        }
    }

    /// Before the first filter can come.
    pub(crate) async fn arrive(&self) -> Result<(), StoreError> {
        if self.store.is_shared() { self.store.beat(&self.replica, None).await } else { Ok(()) }
    }

    /// Says that this replica is there; and while another one asks, whom it has heard of.
    pub(crate) async fn keep_in_touch(&self) {
        if !self.store.is_shared() {
            return;
        }
        let mut commits = self.store.commits();
        let (mut beat_at, mut alert_until) = (Instant::now(), Instant::now());
        loop {
            let rest = if Instant::now() < alert_until { self.look() } else { BEAT };
            tokio::select! {
                goes_on = pause(self, rest) => if !goes_on { break },
                Ok(()) = commits.changed() => alert_until = Instant::now() + ALERT,
            }
            if let Err(error) = self.look_around(&mut beat_at, &mut alert_until).await {
                tracing::warn!(error = error_chain(&error), "other replicas could not be told of this one");
            }
        }
        if let Err(error) = self.store.leave(&self.replica, &self.watchers()).await {
            tracing::warn!(
                error = error_chain(&error),
                "other replicas could not be told that this one goes"
            );
        }
    }

    async fn look_around(&self, beat_at: &mut Instant, alert_until: &mut Instant) -> Result<(), StoreError> {
        if Instant::now() >= *beat_at {
            *beat_at = Instant::now() + BEAT;
            self.store.beat(&self.replica, None).await?;
        }
        let (now, others) = self.others().await?;
        if others.iter().any(|other| other.asked_until > now) {
            *alert_until = Instant::now() + ALERT;
            self.store.beat(&self.replica, Some(&self.watchers())).await?;
        }
        Ok(())
    }

    fn look(&self) -> Duration {
        let many = u32::try_from(self.watch_hub.len() / FILTERS_A_LOOK).unwrap_or(u32::MAX);
        LOOK.saturating_mul(many.saturating_add(1)).min(LONGEST_LOOK)
    }

    /// Without a beat for so long that no filter which watched it is connected any more, unless it came to another.
    fn is_gone(&self, other: &Replica, now: Timestamp) -> bool {
        other.seen_at.plus(BEAT + self.settings.watch_hold + LAPSE) <= now
    }

    /// Whom this replica has heard of itself, as JSON.
    fn watchers(&self) -> String {
        let now = self.clock.now();
        let own = self.watch_hub.own(now).into_iter().map(|(filter, cursor, at, until)| Watcher {
            filter,
            cursor: cursor.0,
            age: millis(at.until(now)),
            connected_for: millis(at.until(until)),
        });
        serde_json::to_string(&own.collect::<Vec<_>>()).unwrap_or_else(|_| "[]".to_owned())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
