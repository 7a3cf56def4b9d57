//! The part of the contract about the token-services on one database: who is there, and which filters watch whom.
//!
//! All times are those of the database's clock. Nothing here is a commit.

use std::time::Duration;

use async_trait::async_trait;

use super::Result;
use crate::clock::Timestamp;

/// One token-service, as it was last heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    pub id: String,
    /// 0 for one that has gone.
    pub seen_at: Timestamp,
    /// Until when it wants to know the filters of the others.
    pub asked_until: Timestamp,
    /// When it last told of its own.
    pub published_at: Timestamp,
    /// What it told; its meaning is [`crate::replicas`]'s.
    pub watchers: String,
}

#[async_trait]
pub trait ReplicaStore: Send + Sync {
    /// Whether several token-services may be on this database: PostgreSQL.
    fn is_shared(&self) -> bool;

    /// This one is there; with `watchers`, these are its filters now. Whoever was silent for an hour is forgotten.
    async fn beat(&self, id: &str, watchers: Option<&str>) -> Result<()>;

    /// This one, which is there, wants to know the filters of the others for so long. Answers the present time.
    async fn ask_for_watchers(&self, id: &str, lasting: Duration) -> Result<Timestamp>;

    /// Everybody who is not forgotten, by id, and the present time; 0 where nobody is there.
    async fn replicas(&self) -> Result<(Timestamp, Vec<Replica>)>;

    /// This one goes, and these were its filters.
    async fn leave(&self, id: &str, watchers: &str) -> Result<()>;
}
