//! Records in SQL, written once for SQLite (a file beside the store's) and PostgreSQL (in the store's database). What differs
//! is in `sqlite`, `postgres` and the migrations, and where an [`Engine`] is asked for.

mod counting;
mod inserting;
mod postgres;
mod pruning;
mod rows;
mod searching;
mod sqlite;
mod statement;

use async_trait::async_trait;
use sqlx::any::Any;
use sqlx::{AnyPool, Row as _, Transaction};
use tokio::sync::watch;

use super::{
    Appended, Arrival, Arrived, Bounds, Intervals, NewRecord, Query, Range, Record, RecordId, RecordStore,
    Result, Retention, Slice, Tally, Usage,
};
use crate::store::{Engine, Location, Pools, Tables, from_database};

/// Records in one database.
#[derive(Clone, Debug)]
pub struct SqlRecordStore {
    engine: Engine,
    writer: AnyPool,
    readers: AnyPool,
    arrivals: watch::Sender<Arrival>,
}

/// Brings the tables for records up to date; answers which migrations were missing.
pub async fn migrate(location: &Location) -> Result<Vec<String>> {
    match location {
        Location::Sqlite(path) => sqlite::OPENING.migrate(path).await,
        Location::Postgres(url) => postgres::OPENING.migrate(url).await,
    }
}

impl SqlRecordStore {
    /// Opens the database. A file is made if there is none (readable by its owner only), and not checked whole: that would
    /// take minutes.
    pub async fn open(location: &Location, tables: Tables) -> Result<Self> {
        let (engine, Pools { writer, readers }) = match location {
            Location::Sqlite(path) => (Engine::Sqlite, sqlite::OPENING.open(path, tables).await?),
            Location::Postgres(url) => (Engine::Postgres, postgres::OPENING.open(url, tables).await?),
        };
        let store = Self { engine, writer, readers, arrivals: watch::Sender::new(Arrival::default()) };
        store.announce(store.newest().await?);
        Ok(store)
    }

    async fn snapshot(&self) -> Result<Transaction<'static, Any>> {
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
impl RecordStore for SqlRecordStore {
    async fn append(&self, records: &[NewRecord]) -> Result<Appended> {
        let mut transaction = self.engine.begin(&self.writer).await?;
        let (appended, newest) = inserting::append(&mut transaction, self.engine, records).await?;
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
        Ok(Arrival(from_database(newest)))
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
            records: from_database(kept),
            bytes: pruning::used_bytes(&mut snapshot, self.engine).await?,
            oldest: oldest.map(rows::record_id),
        })
    }

    async fn prune(&self, retention: &Retention, most: u32) -> Result<u32> {
        let mut transaction = self.engine.begin(&self.writer).await?;
        let deleted = pruning::prune(&mut transaction, self.engine, retention, most).await?;
        transaction.commit().await?;
        Ok(deleted)
    }
}
