//! What is under way in this process. It holds no truth: all of it may be lost at any time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use portcullis_wire::digest::Digest;
use tokio::sync::{Notify, Semaphore};

use super::schedule::Schedule;
use crate::clock::Timestamp;
use crate::domain::ids::{MemberId, ServerId};

/// How many calls may wait for their members to connect at a time. Further ones are answered at once with the link.
const MOST_WAITING: usize = 1_000;

/// How soon after a look at a server's catalogue there is another one without a new connection.
const LOOK_AGAIN: Duration = Duration::from_mins(10);

/// Shared by the handlers and the workers of this module.
#[derive(Debug)]
pub struct Work {
    pub(super) waiting: Semaphore,
    catalogues: Mutex<Catalogues>,
    news: Notify,
    pub(super) schedule: Schedule,
    sessions: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

#[derive(Debug, Default)]
struct Catalogues {
    wanted: BTreeMap<ServerId, Wanted>,
    looked_at: HashMap<ServerId, Timestamp>,
}

/// A catalogue to be learnt, with the credential of a member if it takes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// `None` for a server whose credential is everybody's.
    pub(super) member: Option<MemberId>,
    /// Even if there is a fresh one.
    pub(super) anyway: bool,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            waiting: Semaphore::new(MOST_WAITING),
            catalogues: Mutex::default(),
            news: Notify::new(),
            schedule: Schedule::default(),
            sessions: Mutex::default(),
        }
    }
}

impl Work {
    /// Has the server's catalogue learnt, if it was not looked at a moment ago or `wanted.anyway`.
    pub(super) fn want(&self, server: &ServerId, wanted: Wanted, now: Timestamp) {
        let mut catalogues = self.catalogues.lock().unwrap_or_else(PoisonError::into_inner);
        let recently = catalogues.looked_at.get(server).is_some_and(|at| at.until(now) < LOOK_AGAIN);
        if recently && !wanted.anyway {
            return;
        }
        catalogues.looked_at.retain(|_, at| at.until(now) < LOOK_AGAIN);
        catalogues.looked_at.insert(server.clone(), now);
        catalogues.wanted.insert(server.clone(), wanted);
        drop(catalogues);
        self.news.notify_one();
    }

    /// The next catalogue to learn; waits for one.
    pub(super) async fn next_wanted(&self) -> (ServerId, Wanted) {
        loop {
            if let Some(next) = self.pop_wanted() {
                return next;
            }
            self.news.notified().await;
        }
    }

    fn pop_wanted(&self) -> Option<(ServerId, Wanted)> {
        let mut catalogues = self.catalogues.lock().unwrap_or_else(PoisonError::into_inner);
        let next = catalogues.wanted.pop_first();
        // One notice may stand for several servers.
        if !catalogues.wanted.is_empty() {
            self.news.notify_one();
        }
        next
    }

    /// The lock that makes one handshake of all requests that bring the same session.
    pub(super) fn session(&self, session: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = sessions.get(&session).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(tokio::sync::Mutex::default());
        sessions.insert(session, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(anyway: bool) -> Wanted {
        Wanted { member: Some("mem_1".into()), anyway }
    }

    #[tokio::test]
    async fn a_server_is_looked_at_once_in_a_while() {
        let work = Work::default();
        let now = Timestamp(1);
        let server = ServerId::from("srv_1");
        work.want(&server, wanted(false), now);
        work.want(&"srv_2".into(), wanted(false), now);
        assert_eq!(work.next_wanted().await.0, server);
        assert_eq!(work.next_wanted().await.0.as_str(), "srv_2");
        work.want(&server, wanted(false), now);
        work.want(&"srv_3".into(), wanted(false), now);
        assert_eq!(work.next_wanted().await.0.as_str(), "srv_3", "the first was looked at just now");
        work.want(&server, wanted(true), now);
        assert_eq!(work.next_wanted().await, (server.clone(), wanted(true)));
        work.want(&server, wanted(false), now.plus(LOOK_AGAIN));
        assert_eq!(work.next_wanted().await.0, server);
    }

    #[test]
    fn locks_are_shared_while_they_are_used() {
        let work = Work::default();
        let digest = Digest::of("test", &[]);
        let lock = work.session(digest);
        assert!(Arc::ptr_eq(&lock, &work.session(digest)));
        assert!(!Arc::ptr_eq(&lock, &work.session(Digest::of("other", &[]))));
        drop(lock);
        work.session(Digest::of("third", &[]));
        assert_eq!(work.sessions.lock().expect("no panic").len(), 1, "nothing is kept of those that ended");
    }
}
