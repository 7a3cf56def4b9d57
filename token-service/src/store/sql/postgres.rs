//! PostgreSQL, for several replicas on one database.
//!
//! **Order.** Writing transactions come one after the other, as in SQLite: each of them has the row of `revisions` for
//! itself before it reads anything ([`await_turn`], or taking a revision). A transaction's locks end after it has become
//! visible, so revisions become visible in order; and `READ COMMITTED` lets it see all that came before.
//!
//! **Announcing.** A commit tells its revision on a channel, in its own transaction. See [`listener`].

mod listener;
#[cfg(test)]
mod testing;
mod url;

use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::error::DatabaseError;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgPoolOptions};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection as _, Executor as _};
use tokio::sync::watch;

pub(super) use self::listener::{Listener, notify};
#[cfg(test)]
pub(crate) use self::testing::TestDatabase;
pub use self::url::{PostgresUrl, PostgresUrlProblem};
use super::sqlite::Pools;
use super::{Engine, SqlStore, Tables, migrating};
use crate::domain::Revision;
use crate::store::{Result, StoreError};

/// How long somebody waits for one of the connections.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// A replica that stops in the middle of a transaction may not stop the others for longer than this, nor wait for longer
/// itself. A database whose administrator has switched off durable commits does not lose those of this service.
const OF_WRITERS: &str = "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
/// Each transaction is a snapshot.
const OF_READERS: &str =
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The oldest version that is tried, as PostgreSQL counts.
const OLDEST_VERSION: i64 = 140_000;

/// What differs between the sets of tables in one database.
pub(crate) struct ServerOpening {
    pub(crate) migrations: fn() -> Migrator,
    /// Where it is kept which of them were applied.
    pub(crate) migrations_table: &'static str,
    /// How many connections there may be.
    pub(crate) writers: u32,
    pub(crate) readers: u32,
}

/// The tables of the store.
const STORE: ServerOpening = ServerOpening {
    migrations: || sqlx::migrate!("migrations/postgres"),
    migrations_table: "_sqlx_migrations",
    writers: 4,
    readers: 8,
};

impl SqlStore {
    pub(super) async fn open_server(url: &PostgresUrl, tables: Tables) -> Result<Self> {
        let native = url.options().map_err(|error| at(url, error))?;
        let pools = STORE.open(url, tables).await?;
        let commits = watch::Sender::new(Revision::default());
        let listener = Listener::start(native, commits.clone());
        Self::over(Engine::Postgres, pools, commits, Some(listener)).await
    }
}

/// Says which database it is: there may be several, and a driver's errors do not tell.
pub(super) fn at(url: &PostgresUrl, error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable { problem: format!("{url}: {error}") }
}

pub(super) async fn migrate(url: &PostgresUrl) -> Result<Vec<String>> {
    STORE.migrate(url).await
}

impl ServerOpening {
    pub(crate) async fn open(&self, url: &PostgresUrl, tables: Tables) -> Result<Pools> {
        sqlx::any::install_default_drivers();
        let native = url.options().map_err(|error| at(url, error))?;
        self.prepare(url, &native, tables).await?;
        let options = url.any_options().map_err(|error| at(url, error))?;
        Ok(Pools {
            writer: pool(&options, self.writers, OF_WRITERS).await?,
            readers: pool(&options, self.readers, OF_READERS).await?,
        })
    }

    /// Brings the tables up to date; answers which migrations were missing.
    pub(crate) async fn migrate(&self, url: &PostgresUrl) -> Result<Vec<String>> {
        let options = url.options().map_err(|error| at(url, error))?;
        self.prepare(url, &options, Tables::BringUpToDate).await
    }

    /// Sees that the database can be used, and brings its tables up to date. On a connection of its own: unlike a pool, it
    /// says at once why it cannot be made, and it waits for another process that migrates as long as that takes.
    async fn prepare(
        &self,
        url: &PostgresUrl,
        options: &PgConnectOptions,
        tables: Tables,
    ) -> Result<Vec<String>> {
        let mut connection = PgConnection::connect_with(options).await.map_err(|error| at(url, error))?;
        check(url, &mut connection).await?;
        let missing = self.missing(&mut connection).await.map_err(|error| at(url, error))?;
        connection.close().await.map_err(|error| at(url, error))?;
        migrating::allow(&missing, tables).map_err(|error| at(url, error))?;
        if missing.is_empty() {
            // Whoever serves needs no right to change tables.
            return Ok(missing);
        }
        let one = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
        let migrated = self.migrations().run(&one).await.map_err(|error| at(url, error));
        one.close().await;
        migrated.map(|()| missing)
    }

    /// Those that this version does not know were made by a later one, which runs beside it: they only add.
    fn migrations(&self) -> Migrator {
        let mut migrations = (self.migrations)();
        migrations.set_ignore_missing(true);
        migrations.dangerous_set_table_name(self.migrations_table);
        migrations
    }

    async fn missing(&self, connection: &mut PgConnection) -> sqlx::Result<Vec<String>> {
        let has_any: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(self.migrations_table)
            .fetch_one(&mut *connection)
            .await?;
        let applied: Vec<i64> = if has_any {
            let applied = format!("SELECT version FROM {} WHERE success", self.migrations_table);
            sqlx::query_scalar(AssertSqlSafe(applied)).fetch_all(connection).await?
        } else {
            Vec::new()
        };
        Ok(migrating::missing(&self.migrations(), &applied))
    }
}

async fn check(url: &PostgresUrl, connection: &mut PgConnection) -> Result<()> {
    let (version, encoding): (i64, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding')",
    )
    .fetch_one(connection)
    .await
    .map_err(|error| at(url, error))?;
    if version < OLDEST_VERSION {
        return Err(at(url, "it is older than PostgreSQL 14; use a later one"));
    }
    if encoding != "UTF8" {
        let problem =
            format!("its encoding is {encoding}; make a database with ENCODING 'UTF8' TEMPLATE template0");
        return Err(at(url, problem));
    }
    Ok(())
}

async fn pool(options: &AnyConnectOptions, connections: u32, settings: &'static str) -> Result<AnyPool> {
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(settings).await.map(drop) })
        })
        .connect_with(options.clone())
        .await?;
    Ok(pool)
}

/// Lets no other transaction of its kind write until this one ends.
pub(super) async fn await_turn(connection: &mut AnyConnection) -> Result<()> {
    sqlx::query("SELECT current FROM revisions FOR UPDATE").execute(connection).await?;
    Ok(())
}

/// Somebody else held a lock for too long, or there are no connections left.
pub(super) fn is_busy(error: &dyn DatabaseError) -> bool {
    const BUSY: [&str; 4] = ["40001", "40P01", "53300", "55P03"];
    error.try_downcast_ref::<PgDatabaseError>().is_some_and(|error| BUSY.contains(&error.code()))
}

#[cfg(test)]
mod tests;
