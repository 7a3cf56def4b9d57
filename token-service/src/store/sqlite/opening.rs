//! Opening an SQLite file: one writer and several readers, in write-ahead-log mode, each commit on the disk.

use std::path::Path;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::store::{Result, StoreError};

const READERS: u32 = 4;
/// In KiB, with a minus. SQLite's own 2 MiB would have it read from the file again and again.
const READER_CACHE: &str = "-16384";
/// How long a transaction waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What differs between the files.
pub(crate) struct Opening {
    pub(crate) migrations: &'static Migrator,
    /// The writer's, as SQLite's pragma `cache_size` has it: in KiB, with a minus.
    pub(crate) writer_cache: &'static str,
    /// Whether it is read whole first, to see that it is not damaged.
    pub(crate) is_checked: bool,
}

/// The connections to one file.
pub(crate) struct Pools {
    /// One connection: transactions queue here instead of fighting for SQLite's lock.
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

impl Opening {
    /// Opens the file at `path`, makes it if there is none (readable by its owner only), and brings its tables up to date.
    pub(crate) async fn open(&self, path: &Path) -> Result<Pools> {
        create_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was answered survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone().pragma("cache_size", self.writer_cache))
            .await?;
        if self.is_checked {
            check_integrity(&writer).await?;
        }
        self.migrations
            .run(&writer)
            .await
            .map_err(|error| StoreError::Unavailable { problem: error.to_string() })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(
                options.read_only(true).pragma("query_only", "ON").pragma("cache_size", READER_CACHE),
            )
            .await?;
        Ok(Pools { writer, readers })
    }
}

/// SQLite gives its other files the mode of this one.
fn create_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let opened = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let unavailable = |error| StoreError::Unavailable { problem: format!("{}: {error}", path.display()) };
    opened.map(drop).map_err(unavailable)
}

async fn check_integrity(pool: &SqlitePool) -> Result<()> {
    let mut connection = pool.acquire().await?;
    connection.ping().await?;
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StoreError::Unavailable { problem: format!("the database file is damaged: {verdict}") })
    }
}
