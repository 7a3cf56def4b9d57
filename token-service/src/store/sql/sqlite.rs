//! Opening an SQLite file: one writer and several readers, in write-ahead-log mode, each commit on the disk.

use std::path::Path;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::error::DatabaseError;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteError, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AnyPool, ConnectOptions as _, Connection as _, Executor as _};
use tokio::sync::watch;
use url::Url;

use super::copy::unsaved;
use super::{Engine, SqlStore, Tables, migrating};
use crate::domain::Revision;
use crate::store::{Result, StoreError};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The lock is taken at once: a transaction that only turns out to write could find that another one has it.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

const READERS: u32 = 4;
/// How long a transaction waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings of a connection that [`SqliteConnectOptions`] make otherwise.
const OF_WRITER: &str = "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL";
const OF_READERS: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON";
/// In KiB, with a minus: SQLite's own 2 MiB would have it read from the file again and again.
const READER_CACHE: &str = "PRAGMA cache_size = -16384";

/// What differs between the files.
pub(crate) struct FileOpening {
    pub(crate) migrations: &'static Migrator,
    /// A setting of the one that writes.
    pub(crate) writer_cache: &'static str,
    /// Whether it is read whole first, to see that it is not damaged.
    pub(crate) is_checked: bool,
}

/// The file of the store.
const STORE: FileOpening = FileOpening {
    migrations: &MIGRATIONS,
    // SQLite's own.
    writer_cache: "PRAGMA cache_size = -2000",
    is_checked: true,
};

/// The connections to one database.
pub(crate) struct Pools {
    /// Of an SQLite file, one connection: transactions queue here instead of fighting for SQLite's lock.
    pub(crate) writer: AnyPool,
    pub(crate) readers: AnyPool,
}

impl SqlStore {
    pub(super) async fn open_file(path: &Path, tables: Tables) -> Result<Self> {
        let pools = STORE.open(path, tables).await?;
        Self::over(Engine::Sqlite, pools, watch::Sender::new(Revision::default()), None).await
    }
}

pub(super) async fn migrate(path: &Path) -> Result<Vec<String>> {
    STORE.migrate(path).await
}

/// A file that is there already, with tables that are up to date, and nothing that is still to be put into it.
pub(super) async fn open_existing(path: &Path) -> Result<SqlitePool> {
    let refuse =
        |problem: &str| StoreError::Unavailable { problem: format!("{}: {problem}", path.display()) };
    if std::fs::read_dir(unsaved(path)).is_ok_and(|mut tokens| tokens.next().is_some()) {
        return Err(refuse(
            "renewed tokens in its directory .unsaved are not in it yet: start the service on it once more, and stop it",
        ));
    }
    STORE.prepare(path, Tables::Required).await.map(|(pool, _)| pool)
}

impl FileOpening {
    /// Opens the file at `path`, and makes it if there is none (readable by its owner only).
    pub(crate) async fn open(&self, path: &Path, tables: Tables) -> Result<Pools> {
        let (prepared, _) = self.prepare(path, tables).await?;
        let pools = self.pools(path).await?;
        prepared.close().await;
        Ok(pools)
    }

    /// Brings its tables up to date; answers which migrations were missing.
    pub(crate) async fn migrate(&self, path: &Path) -> Result<Vec<String>> {
        let (prepared, missing) = self.prepare(path, Tables::BringUpToDate).await?;
        prepared.close().await;
        Ok(missing)
    }

    /// Answers also which migrations were missing.
    async fn prepare(&self, path: &Path, tables: Tables) -> Result<(SqlitePool, Vec<String>)> {
        if tables == Tables::Required && !path.is_file() {
            let problem = format!("{}: there is no such file, and none is made here", path.display());
            return Err(StoreError::Unavailable { problem });
        }
        let writer = self.connect(path).await?;
        let missing = self.missing(&writer).await?;
        migrating::allow(&missing, tables).map_err(|problem| StoreError::Unavailable {
            problem: format!("{}: {problem}", path.display()),
        })?;
        let migrated = self.migrations.run(&writer).await;
        migrated.map_err(|error| StoreError::Unavailable { problem: error.to_string() })?;
        Ok((writer, missing))
    }

    async fn connect(&self, path: &Path) -> Result<SqlitePool> {
        create_private(path)?;
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options(path)).await?;
        if self.is_checked {
            check_integrity(&writer).await?;
        }
        Ok(writer)
    }

    async fn missing(&self, pool: &SqlitePool) -> Result<Vec<String>> {
        let has_any: i64 =
            sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
                .fetch_one(pool)
                .await?;
        let applied: Vec<i64> = match has_any {
            0 => Vec::new(),
            _ => sqlx::query_scalar("SELECT version FROM _sqlx_migrations").fetch_all(pool).await?,
        };
        Ok(migrating::missing(self.migrations, &applied))
    }

    async fn pools(&self, path: &Path) -> Result<Pools> {
        sqlx::any::install_default_drivers();
        let unavailable = |problem: String| StoreError::Unavailable { problem };
        let absolute = std::path::absolute(path).map_err(|error| unavailable(error.to_string()))?;
        let file = Url::from_file_path(&absolute)
            .map_err(|()| unavailable(format!("{} is no path of a file", absolute.display())))?;
        let file = file.as_str().replacen("file:", "sqlite:", 1);
        Ok(Pools {
            writer: pool(&format!("{file}?mode=rw"), of_writer(), [OF_WRITER, self.writer_cache]).await?,
            readers: pool(&format!("{file}?mode=ro"), of_readers(), [OF_READERS, READER_CACHE]).await?,
        })
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit that was answered survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
}

fn of_readers() -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(READERS)
}

fn of_writer() -> AnyPoolOptions {
    // A full disk ends a transaction by itself, and the driver, which cannot end it once more, would begin no other on
    // this connection.
    AnyPoolOptions::new().max_connections(1).after_release(|connection, _| {
        Box::pin(async move {
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    })
}

async fn pool(url: &str, options: AnyPoolOptions, settings: [&'static str; 2]) -> Result<AnyPool> {
    let url: Url = url.parse().map_err(sqlx::Error::config)?;
    let pool = options
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for setting in settings {
                    connection.execute(setting).await?;
                }
                Ok(())
            })
        })
        .connect_with(AnyConnectOptions::from_url(&url)?)
        .await?;
    Ok(pool)
}

/// Another process writes for longer than a transaction waits.
pub(super) fn is_busy(error: &dyn DatabaseError) -> bool {
    // SQLITE_BUSY, and what SQLite says more exactly.
    let code = error.try_downcast_ref::<SqliteError>().and_then(DatabaseError::code);
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
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

#[cfg(test)]
mod tests;
