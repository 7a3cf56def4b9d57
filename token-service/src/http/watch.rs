//! `GET /v1/watch`, the long-poll by which filters learn of changes.

use axum::Json;
use axum::extract::State;
use portcullis_wire::watch::{IssuerEntry, Registry, WatchQuery, WatchReply};
use tokio::time::{Instant, sleep_until};

use super::error::ApiError;
use super::read::StrictQuery;
use crate::authorization_server::keys;
use crate::domain::Revision;
use crate::domain::issuer::Issuer;
use crate::domain::server::Server;
use crate::measure::OpenWatch;
use crate::state::{Service, Shared};
use crate::store::{RegistrySnapshot, Since, StoreError};

/// Commits told in one reply; a filter that is further behind asks again at once.
const MOST_COMMITS: u32 = 1_000;

const LONGEST_FILTER_ID: usize = 64;

/// Answers at once if there is news after the cursor, otherwise with the first commit or when the hold is over.
pub async fn watch(
    State(app): State<Shared>,
    StrictQuery(query): StrictQuery<WatchQuery>,
) -> Result<Json<WatchReply>, ApiError> {
    check_filter_id(&query.filter)?;
    let _open = OpenWatch::begin();
    let begun = Instant::now();
    // Before the store is read: a commit from here on wakes this watch.
    let mut commits = app.store.commits();
    let mut cursor = Revision(query.cursor);
    if cursor > app.store.current_revision().await? {
        // From another database, such as the one before a restore; it acknowledges nothing here.
        cursor = Revision(0);
    }
    let hold = app.settings.watch_hold;
    app.watch_hub.acknowledge(&query.filter, cursor, app.clock.now(), hold);
    loop {
        commits.mark_unchanged();
        let is_over = begun.elapsed() >= hold || app.shutdown.is_requested();
        let reply = app.news(cursor).await?;
        // An empty database has nothing to tell; answering at once would have filters ask in a tight loop.
        if is_over || reply.cursor > query.cursor || (reply.reset && reply.cursor != 0) {
            return Ok(Json(reply));
        }
        tokio::select! {
            _ = commits.changed() => {}
            () = sleep_until(begun + hold) => {}
            () = app.shutdown.requested() => {}
        }
    }
}

fn check_filter_id(filter: &str) -> Result<(), ApiError> {
    let well_formed =
        (1..=LONGEST_FILTER_ID).contains(&filter.len()) && filter.bytes().all(|byte| byte.is_ascii_graphic());
    if well_formed {
        return Ok(());
    }
    Err(ApiError::invalid("filter", "is not 1 to 64 visible ASCII characters", "choose an id of that form"))
}

impl Service {
    /// What a filter that has applied all up to `cursor` has to learn; possibly nothing.
    async fn news(&self, cursor: Revision) -> Result<WatchReply, StoreError> {
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
        Ok(reply)
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
