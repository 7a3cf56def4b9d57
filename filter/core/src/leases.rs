//! The leases that this worker holds, and the requests for leases that are under way.
//!
//! A lease is used until its time is over or an [`Invalidation`] that names any part of it arrives. So is the answer
//! that an account has to be connected first, which is kept in the lease's place ([`Access`]). An invalidation can
//! overtake the reply to a lease request that was decided before it, so the cache remembers the latest
//! invalidations and refuses leases that are older than one that names them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use portcullis_wire::digest::Digest;
use portcullis_wire::names::Slug;
use portcullis_wire::watch::Invalidation;

use crate::cache::Bounded;
use crate::memory::{Budget, Share};

mod access;
mod denial;
mod ended;
mod flights;
mod policies;
mod sessions;

pub use access::{Access, Ruled};
pub use denial::Denial;
use ended::Ended;
pub use flights::{Flight, Flights, Joined};
pub use policies::Policies;
use sessions::Sessions;
pub use sessions::UpstreamSession;

/// How long a denial is remembered: it spares the token-service a client's hasty retries, and is over before a person
/// who was just given access tries again.
pub const DENIAL_TTL_MS: u64 = 2_000;

/// No lease is used for longer, whatever the token-service says: it must come to an end even if no invalidation does.
pub const MAX_LEASE_TTL_MS: u64 = 300_000;

/// How far a clock may go back unnoticed.
const CLOCK_TOLERANCE_MS: u64 = 2_000;

/// What all leases may take of the VM's memory, however many the configuration allows: a VM that runs out of it ends every
/// stream of its worker. Room for some 13,000 leases with short credentials.
pub const MAX_LEASE_BYTES: usize = 20 * 1024 * 1024;

/// What a lease takes besides its credential: ids, names, and its places in the tables.
const LEAST_LEASE_BYTES: usize = 1536;

/// Denials kept at most. Apart from the leases, so that a stranger with many wrong keys cannot push leases out.
const MAX_DENIALS: usize = 1_000;

/// How long an invalidation is remembered: longer than any request for a lease takes.
const INVALIDATION_MEMORY_MS: u64 = 10_000;

/// Invalidations remembered at most; beyond that they count as one that names everything.
const MAX_REMEMBERED_INVALIDATIONS: usize = 10_000;

/// What a lease is asked for and found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseKey {
    /// Of the whole gateway credential.
    pub credential: Digest,
    /// From the path, if it names one.
    pub workspace: Option<Slug>,
    pub server: ServerKey,
}

/// Which server a lease is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerKey {
    /// The registry's id of the server that the path names now: a slug may name another one tomorrow.
    Listed(String),
    /// The registry has no server of this name. The token-service is asked all the same, for what it says of the
    /// credential: a stranger must not see which names exist. Nothing is ever granted.
    Unlisted(Slug),
}

/// What is known about a [`LeaseKey`].
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    Held(Access),
    Denied(Denial),
    Nothing,
}

/// Why an answer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It reflects a time before an invalidation that names it: ask again, once.
    Outdated,
    /// It is for another server or workspace than the one asked for. The token-service is at fault; deny.
    Mismatched,
}

struct Held {
    access: Access,
    /// Milliseconds since the epoch, as all times here.
    received_ms: u64,
    expires_ms: u64,
    /// Made for the first.
    sessions: Option<Box<Sessions>>,
    /// Given back when it is forgotten.
    _share: Share,
}

impl Held {
    /// A lease from the future shows that the clock was put back: how old it is, nobody knows.
    fn is_valid(&self, now_ms: u64) -> bool {
        now_ms < self.expires_ms && self.received_ms <= now_ms.saturating_add(CLOCK_TOLERANCE_MS)
    }
}

struct Denied {
    denial: Denial,
    expires_ms: u64,
}

struct Remembered {
    revision: u64,
    at_ms: u64,
}

pub struct LeaseCache {
    held: Bounded<Rc<LeaseKey>, Held>,
    room: Budget,
    /// The keys of all held leases that an invalidation names.
    named: HashMap<Invalidation, HashSet<Rc<LeaseKey>>>,
    denied: Bounded<LeaseKey, Denied>,
    /// Recent invalidations and the revision by which each is committed.
    remembered: HashMap<Invalidation, Remembered>,
    /// Leases that reflect less than this revision are outdated.
    floor: u64,
    /// How often something had to be forgotten.
    invalidated: u64,
    ended: Ended,
}

impl LeaseCache {
    pub fn new(capacity: usize) -> Self {
        Self {
            held: Bounded::new(capacity),
            room: Budget::new(MAX_LEASE_BYTES),
            named: HashMap::new(),
            denied: Bounded::new(MAX_DENIALS),
            remembered: HashMap::new(),
            floor: 0,
            invalidated: 0,
            ended: Ended::default(),
        }
    }

    pub fn set_capacity(&mut self, capacity: usize) {
        self.held.set_capacity(capacity);
        while let Some((key, held)) = self.held.pop_excess() {
            self.forget_names(&key, &held.access);
        }
    }

    /// What is known now. Times are milliseconds since the epoch.
    pub fn look_up(&mut self, key: &LeaseKey, now_ms: u64) -> Known {
        match self.held.get(key) {
            Some(held) if held.is_valid(now_ms) => return Known::Held(held.access.clone()),
            Some(_) => self.drop_lease(key),
            None => {}
        }
        match self.denied.get(key) {
            Some(denied) if now_ms < denied.expires_ms => Known::Denied(denied.denial.clone()),
            _ => Known::Nothing,
        }
    }

    /// Takes an answer that was received at `received_ms` to a request for `key`. Returns what counts from now on: an
    /// answer that was overtaken by a later one does not.
    pub fn grant(
        &mut self,
        key: LeaseKey,
        access: impl Into<Access>,
        received_ms: u64,
    ) -> Result<Access, Refused> {
        let access = access.into();
        let right_server = matches!(&key.server, ServerKey::Listed(id) if id == access.server_id());
        let right_workspace = key.workspace.as_ref().is_none_or(|slug| *slug == access.workspace().slug);
        if !right_server || !right_workspace {
            return Err(Refused::Mismatched);
        }
        if self.is_outdated(&access) {
            return Err(Refused::Outdated);
        }
        if access.ttl_ms() == 0 {
            // Good for the request that asked, and says nothing about what is held.
            return Ok(access);
        }
        if let Known::Held(held) = self.look_up(&key, received_ms)
            && access.is_older_than(&held)
        {
            return Ok(held);
        }
        self.denied.remove(&key);
        self.drop_lease(&key);
        let Some(share) = self.make_room(LEAST_LEASE_BYTES.saturating_add(access.credential_bytes())) else {
            return Ok(access);
        };
        let key = Rc::new(key);
        for name in access.names() {
            self.named.entry(name).or_default().insert(Rc::clone(&key));
        }
        let expires_ms = received_ms.saturating_add(access.ttl_ms().min(MAX_LEASE_TTL_MS));
        let held = Held { access: access.clone(), received_ms, expires_ms, sessions: None, _share: share };
        if let Some((gone, held)) = self.held.insert(key, held) {
            self.forget_names(&gone, &held.access);
        }
        Ok(access)
    }

    /// The upstream's session behind one of the token-service's, if it was found under the lease that `key` has now.
    pub fn session(&mut self, key: &LeaseKey, session: &Digest, now_ms: u64) -> Option<Rc<UpstreamSession>> {
        let held = self.held.get_mut(key).filter(|held| held.is_valid(now_ms))?;
        held.sessions.as_mut()?.get(session, now_ms)
    }

    /// Keeps a session for `ttl_ms`, as long as the lease of `key` is there.
    pub fn keep_session(
        &mut self,
        key: &LeaseKey,
        session: Digest,
        upstream: UpstreamSession,
        ttl_ms: u64,
        now_ms: u64,
    ) {
        if let Some(held) = self.held.get_mut(key) {
            let expires_ms = now_ms.saturating_add(ttl_ms.min(MAX_LEASE_TTL_MS));
            held.sessions.get_or_insert_default().insert(session, upstream, expires_ms);
        }
    }

    /// Remembers for [`DENIAL_TTL_MS`] that the token-service denied `key`, and drops the lease it had.
    pub fn deny(&mut self, key: LeaseKey, denial: impl Into<Denial>, received_ms: u64) {
        self.drop_lease(&key);
        let expires_ms = received_ms.saturating_add(DENIAL_TTL_MS);
        self.denied.insert(key, Denied { denial: denial.into(), expires_ms });
    }

    /// Changes with every invalidation. A denial says nothing of the revision that it reflects, so one that was asked for
    /// before the last of them may be outdated.
    pub fn invalidated(&self) -> u64 {
        self.invalidated
    }

    /// Whether anything that `access` rests on was invalidated since [`Self::invalidated`] was `seen`.
    pub fn has_ended(&self, access: &Access, seen: u64) -> bool {
        self.ended.since(seen, access.names())
    }

    /// Forgets all leases that `invalidations` name, and all denials, because an invalidation may be good news.
    /// `revision` is the cursor of the watch reply that brought them.
    pub fn invalidate(&mut self, invalidations: Vec<Invalidation>, revision: u64, now_ms: u64) {
        if invalidations.is_empty() {
            return;
        }
        self.denied.clear();
        self.invalidated = self.invalidated.wrapping_add(1);
        self.remembered.retain(|_, known| now_ms.saturating_sub(known.at_ms) < INVALIDATION_MEMORY_MS);
        for invalidation in invalidations {
            if invalidation == Invalidation::All {
                self.forget_all(revision);
                continue;
            }
            for key in self.named.remove(&invalidation).unwrap_or_default() {
                self.drop_lease(&key);
            }
            self.ended.note(invalidation.clone(), self.invalidated);
            self.remembered.insert(invalidation, Remembered { revision, at_ms: now_ms });
        }
        if self.remembered.len() > MAX_REMEMBERED_INVALIDATIONS {
            self.remembered.clear();
            self.floor = self.floor.max(revision);
        }
    }

    /// Forgets everything, and refuses leases that reflect less than `revision`: the cursor of the watch reply that
    /// said so. It may be lower than before, when the token-service's store was put back to an earlier time.
    pub fn forget_all(&mut self, revision: u64) {
        self.held.clear();
        self.named.clear();
        self.denied.clear();
        self.invalidated = self.invalidated.wrapping_add(1);
        self.ended.note_everything(self.invalidated);
        self.remembered.clear();
        self.floor = revision;
    }

    /// Drops the leases whose time is over, so that their secrets do not stay in memory until they are pushed out.
    /// Walks all leases: to be called every few seconds.
    pub fn drop_expired(&mut self, now_ms: u64) {
        let expired = self.held.iter().filter(|(_, held)| !held.is_valid(now_ms));
        let expired: Vec<Rc<LeaseKey>> = expired.map(|(key, _)| Rc::clone(key)).collect();
        for key in expired {
            self.drop_lease(&key);
        }
    }

    /// How many leases are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    fn is_outdated(&self, access: &Access) -> bool {
        let revision = access.revision();
        revision < self.floor
            || access
                .names()
                .any(|name| self.remembered.get(&name).is_some_and(|known| revision < known.revision))
    }

    /// Forgets what was used longest ago until there is room for so many bytes; `None` if there never is.
    fn make_room(&mut self, bytes: usize) -> Option<Share> {
        if bytes > MAX_LEASE_BYTES {
            return None;
        }
        let mut share = self.room.share();
        while !share.hold(bytes) {
            let (key, held) = self.held.pop_oldest()?;
            self.forget_names(&key, &held.access);
        }
        Some(share)
    }

    fn drop_lease(&mut self, key: &LeaseKey) {
        if let Some((key, held)) = self.held.remove(key) {
            self.forget_names(&key, &held.access);
        }
    }

    fn forget_names(&mut self, key: &Rc<LeaseKey>, access: &Access) {
        for name in access.names() {
            if let Some(keys) = self.named.get_mut(&name) {
                keys.remove(key);
                if keys.is_empty() {
                    self.named.remove(&name);
                }
            }
        }
    }
}

/// Prints sizes only.
impl std::fmt::Debug for LeaseCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LeaseCache").field("held", &self.held).finish_non_exhaustive()
    }
}
