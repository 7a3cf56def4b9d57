//! What watches are told, looked up once for all that ask the same at the same time.
//!
//! A commit wakes every watch at once, and every quiet watch comes back when its hold is over. Were each to ask the
//! database, thousands of filters would ask it thousands of times for one and the same answer. So the first that asks
//! looks, the others wait for it, and all of them send the same bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use portcullis_wire::watch::{IssuerEntry, Registry, WatchReply};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::authorization_server::keys;
use crate::domain::Revision;
use crate::domain::issuer::Issuer;
use crate::domain::server::Server;
use crate::state::Service;
use crate::store::{RegistrySnapshot, Since, StoreError};

/// For how long after a look at the database nobody looks again. While the database is away, a watch must not be told for
/// longer than that that all is well, or its filter would go on with what may have been taken away.
const LOOK_COUNTS_FOR: Duration = Duration::from_millis(50);

/// Commits told in one reply; a filter that is further behind asks again at once.
const MOST_COMMITS: u32 = 1_000;

/// Filters of a fleet are at a few cursors. Peers that make up others are answered without a place in memory.
const MOST_CURSORS: usize = 1_000;

/// The reply to every watch at one cursor.
#[derive(Clone, Debug)]
pub struct News {
    pub cursor: Revision,
    pub reset: bool,
    /// A [`WatchReply`] in JSON.
    pub body: Bytes,
}

/// The latest looks, by the cursor that they were for.
#[derive(Debug, Default)]
pub struct NewsDesk {
    looks: Mutex<HashMap<Revision, Arc<Look>>>,
}

/// One look at the database.
#[derive(Debug)]
struct Look {
    /// The newest commit that was known before it; a look from before a commit says nothing of it.
    known: Revision,
    begun: Instant,
    found: OnceCell<Result<News, StoreError>>,
}

impl NewsDesk {
    /// The look that counts for a watch at `cursor` that knows of a commit `known`: one under way, one that was just made,
    /// or a new one.
    fn look(&self, cursor: Revision, known: Revision, now: Instant) -> Arc<Look> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = looks.get(&cursor).filter(|look| look.counts(known, now)) {
            return Arc::clone(look);
        }
        looks.retain(|_, look| look.counts(known, now));
        let look = Arc::new(Look { known, begun: now, found: OnceCell::new() });
        if looks.len() < MOST_CURSORS {
            looks.insert(cursor, Arc::clone(&look));
        }
        look
    }
}

impl Look {
    fn counts(&self, known: Revision, now: Instant) -> bool {
        self.known >= known && now.duration_since(self.begun) < LOOK_COUNTS_FOR
    }
}

impl Service {
    /// What a filter that has applied all up to `cursor` has to learn; possibly nothing.
    pub async fn news(&self, cursor: Revision) -> Result<News, StoreError> {
        let known = *self.store.commits().borrow();
        let look = self.news_desk.look(cursor, known, Instant::now());
        look.found.get_or_init(|| self.look_for_news(cursor)).await.clone()
    }

    async fn look_for_news(&self, cursor: Revision) -> Result<News, StoreError> {
        let since = match cursor {
            Revision(0) => Since::Gap { current: cursor },
            cursor => self.store.changes_since(cursor, MOST_COMMITS).await?,
        };
        let mut reply = WatchReply {
            cursor: cursor.0,
            reset: false,
            now_ms: self.clock.now().as_millis(),
            hold_ms: u64::try_from(self.settings.watch_hold.as_millis()).unwrap_or(u64::MAX),
            registry: None,
            invalidations: Vec::new(),
        };
        match since {
            Since::Gap { .. } => {
                let snapshot = self.store.registry().await?;
                reply.cursor = snapshot.revision.0;
                reply.reset = true;
                reply.registry = Some(self.registry_of(&snapshot));
            }
            Since::Changes(changes) => {
                reply.cursor = changes.cursor.0;
                reply.invalidations = changes.invalidations;
                if changes.registry {
                    // It may be newer than the cursor; the commits in between come with the next watch.
                    reply.registry = Some(self.registry_of(&self.store.registry().await?));
                }
            }
        }
        let unwritten = |error: serde_json::Error| StoreError::Unavailable { problem: error.to_string() };
        let body = serde_json::to_vec(&reply).map_err(unwritten)?.into();
        Ok(News { cursor: Revision(reply.cursor), reset: reply.reset, body })
    }

    /// The servers, and whose tokens are accepted: those of the gateway itself too.
    fn registry_of(&self, snapshot: &RegistrySnapshot) -> Registry {
        let keys = keys::open_all(&self.vault, &snapshot.signing_keys);
        let mut issuers: Vec<IssuerEntry> = snapshot.issuers.iter().map(Issuer::entry).collect();
        // Nobody else's tokens may pass for ours.
        issuers.retain(|issuer| issuer.issuer != self.settings.public_url);
        issuers.push(keys::issuer_entry(&self.settings.public_url, &keys));
        let tools = |server: &Server| snapshot.tools.get(&server.id).cloned().unwrap_or_default();
        let servers = snapshot.servers.iter().map(|server| server.entry(tools(server)));
        Registry {
            servers: servers.collect(),
            issuers,
            accepts_opaque_tokens: snapshot.issuers.iter().any(Issuer::is_introspected),
            unread: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_ask_the_same_share_a_look_until_there_is_a_commit_or_it_is_old() {
        let desk = NewsDesk::default();
        let (now, one, two) = (Instant::now(), Revision(1), Revision(2));
        let first = desk.look(one, one, now);
        assert!(Arc::ptr_eq(&first, &desk.look(one, one, now)));
        assert!(!Arc::ptr_eq(&first, &desk.look(two, one, now)), "another cursor");
        let after_commit = desk.look(one, two, now);
        assert!(!Arc::ptr_eq(&first, &after_commit), "what was found before a commit does not count");
        let almost_old = now + LOOK_COUNTS_FOR - Duration::from_millis(1);
        assert!(Arc::ptr_eq(&after_commit, &desk.look(one, two, almost_old)));
        assert!(!Arc::ptr_eq(&after_commit, &desk.look(one, two, now + LOOK_COUNTS_FOR)));
    }

    #[tokio::test]
    async fn made_up_cursors_do_not_fill_the_memory() {
        let desk = NewsDesk::default();
        let now = Instant::now();
        for cursor in 0..5_000 {
            desk.look(Revision(cursor), Revision(1), now);
        }
        let kept = |desk: &NewsDesk| desk.looks.lock().expect("no panic").len();
        assert_eq!(kept(&desk), MOST_CURSORS);
        desk.look(Revision(1), Revision(2), now);
        assert_eq!(kept(&desk), 1, "old looks are not kept");
    }
}
