//! Records in an SQLite file: write-ahead log, full synchronisation, one writer, several readers.

mod counting;
mod inserting;
mod pruning;
mod rows;
mod searching;

use std::path::Path;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{Sqlite, SqlitePool};
use sqlx::{Row as _, Transaction};
use tokio::sync::watch;

use super::{
    Appended, Arrival, Arrived, Bounds, Intervals, NewRecord, Query, Range, Record, RecordId, RecordStore,
    Result, Retention, Slice, Tally, Usage,
};
use crate::store::sqlite::{Opening, Pools};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite_records");

/// In KiB, with a minus: the ends of the indexes, into which records are inserted.
const WRITER_CACHE: &str = "-65536";

/// Records in one SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteRecordStore {
    writer: SqlitePool,
    readers: SqlitePool,
    arrivals: watch::Sender<Arrival>,
}

impl SqliteRecordStore {
    /// Opens the database at `path`, makes it if there is none (readable by its owner only), and brings its tables up to
    /// date. It is not checked whole: that would take minutes.
    pub async fn open(path: &Path) -> Result<Self> {
        let opening = Opening { migrations: &MIGRATIONS, writer_cache: WRITER_CACHE, is_checked: false };
        let Pools { writer, readers } = opening.open(path).await?;
        let store = Self { writer, readers, arrivals: watch::Sender::new(Arrival::default()) };
        store.announce(store.newest().await?);
        Ok(store)
    }

    async fn snapshot(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.readers.begin().await?)
    }

    fn announce(&self, arrival: Arrival) {
        self.arrivals.send_if_modified(|known| {
            let newer = arrival > *known;
            *known = arrival.max(*known);
            newer
        });
    }
}

#[async_trait]
impl RecordStore for SqliteRecordStore {
    async fn append(&self, records: &[NewRecord]) -> Result<Appended> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let (appended, newest) = inserting::append(&mut transaction, records).await?;
        transaction.commit().await?;
        self.announce(newest);
        Ok(appended)
    }

    async fn slice(&self, query: &Query, range: Range, bounds: Bounds) -> Result<Slice> {
        searching::slice(&mut *self.snapshot().await?, query, range, bounds).await
    }

    async fn record(&self, id: RecordId) -> Result<Option<Record>> {
        searching::record(&mut *self.snapshot().await?, id).await
    }

    async fn since(&self, query: &Query, after: Arrival, bounds: Bounds) -> Result<Arrived> {
        searching::since(&mut *self.snapshot().await?, query, after, bounds).await
    }

    async fn newest(&self) -> Result<Arrival> {
        let newest: i64 =
            sqlx::query_scalar("SELECT arrival FROM record_progress").fetch_one(&self.readers).await?;
        Ok(Arrival(rows::from_database(newest)))
    }

    fn arrivals(&self) -> watch::Receiver<Arrival> {
        self.arrivals.subscribe()
    }

    async fn tally(&self, query: &Query, range: Range, intervals: Intervals, rows: u32) -> Result<Tally> {
        counting::tally(&mut *self.snapshot().await?, query, range, intervals, rows).await
    }

    async fn usage(&self) -> Result<Usage> {
        let mut snapshot = self.snapshot().await?;
        let kept: i64 =
            sqlx::query_scalar("SELECT kept FROM record_progress").fetch_one(&mut *snapshot).await?;
        let oldest: Option<i64> =
            sqlx::query("SELECT MIN(id) FROM records").fetch_one(&mut *snapshot).await?.try_get(0)?;
        Ok(Usage {
            records: rows::from_database(kept),
            bytes: pruning::used_bytes(&mut snapshot).await?,
            oldest: oldest.map(rows::record_id),
        })
    }

    async fn prune(&self, retention: &Retention, most: u32) -> Result<u32> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let deleted = pruning::prune(&mut transaction, retention, most).await?;
        transaction.commit().await?;
        Ok(deleted)
    }
}

#[cfg(test)]
mod tests;
