//! What may stay.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::record_store::{RecordId, Retention};
use crate::store::StoreError;

use super::Records;

/// How many records are deleted in one transaction, so that new ones never wait for long.
const AT_ONCE: u32 = 500;

/// How long and how many records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    pub age: Duration,
    pub records: u64,
    /// In the database, indexes included.
    pub bytes: u64,
}

impl Keep {
    fn at(&self, now: Timestamp) -> Retention {
        let from = now.minus(self.age).as_millis().saturating_mul(1_000);
        Retention { from: RecordId::first_at(from), most_records: self.records, most_bytes: self.bytes }
    }
}

impl Records {
    /// Deletes what may not stay.
    pub async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        while self.store.prune(&self.keep.at(now), AT_ONCE).await? > 0 {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
