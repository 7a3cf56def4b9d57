//! Copying a database of SQLite into one of PostgreSQL: every row of every table, in one transaction on each side.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sqlx::postgres::{PgArguments, PgConnection, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio_stream::StreamExt as _;

use super::postgres::{self, PostgresUrl};
use super::sqlite;
use crate::store::{Result, StoreError};

/// Every table but `revisions` and `replicas`, those that others refer to first.
pub(super) const TABLES: [&str; 31] = [
    "changes",
    "workspaces",
    "members",
    "api_keys",
    "servers",
    "server_headers",
    "server_secrets",
    "provisions",
    "chosen_members",
    "member_access",
    "policies",
    "limits",
    "quarantines",
    "issuers",
    "administrators",
    "data_keys",
    "admin_token",
    "audit",
    "connections",
    "oauth_clients",
    "catalogues",
    "catalogue_entries",
    "upstream_sessions",
    "connect_tickets",
    "browser_sessions",
    "oauth_flows",
    "signing_keys",
    "dynamic_clients",
    "authorizations",
    "client_sessions",
    "refresh_tokens",
];

/// Rows of one statement.
const BATCH: usize = 500;

/// How many rows of a table were copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copied {
    pub table: &'static str,
    pub rows: u64,
}

/// Copies the database at `from`, whose tables have to be up to date, to an empty one. Meanwhile nobody writes to either.
pub async fn copy(from: &Path, to: &PostgresUrl) -> Result<Vec<Copied>> {
    let source = sqlite::open_existing(from).await?;
    postgres::migrate(to).await?;
    let options = to.options().map_err(|error| postgres::at(to, error))?;
    let mut target = PgConnection::connect_with(&options).await.map_err(|error| postgres::at(to, error))?;
    let mut source = source.begin_with(sqlite::BEGIN).await?;
    let mut target = target.begin().await?;
    refuse_unless_empty(to, &mut target).await?;
    let mut copied = Vec::new();
    for table in TABLES {
        copied.push(Copied { table, rows: copy_table(&mut source, &mut target, table).await? });
    }
    copy_counters(&mut source, &mut target).await?;
    target.commit().await?;
    source.rollback().await?;
    Ok(copied)
}

/// Also lets nobody else begin to write.
async fn refuse_unless_empty(url: &PostgresUrl, target: &mut PgConnection) -> Result<()> {
    let current: i64 =
        sqlx::query_scalar("SELECT current FROM revisions FOR UPDATE").fetch_one(&mut *target).await?;
    let mut used = Vec::new();
    for table in TABLES {
        let statement = format!("SELECT EXISTS (SELECT 1 FROM {table})");
        if sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut *target).await? {
            used.push(table);
        }
    }
    if current == 0 && used.is_empty() {
        return Ok(());
    }
    let problem = format!("it is not empty ({}); name a database that was never used", used.join(", "));
    Err(postgres::at(url, problem))
}

/// A column and the values that a batch has of it.
struct Column {
    name: String,
    values: Values,
}

enum Values {
    Numbers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Blobs(Vec<Option<Vec<u8>>>),
}

impl Values {
    fn of(declared: &str) -> Self {
        match declared {
            "INTEGER" => Self::Numbers(Vec::new()),
            "BLOB" => Self::Blobs(Vec::new()),
            _ => Self::Texts(Vec::new()),
        }
    }

    fn array(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "bigint[]",
            Self::Texts(_) => "text[]",
            Self::Blobs(_) => "bytea[]",
        }
    }

    fn push(&mut self, row: &SqliteRow, column: usize) -> sqlx::Result<()> {
        match self {
            Self::Numbers(values) => values.push(row.try_get(column)?),
            Self::Texts(values) => values.push(row.try_get(column)?),
            Self::Blobs(values) => values.push(row.try_get(column)?),
        }
        Ok(())
    }

    fn bind(self, query: Query<'_, Postgres, PgArguments>) -> Query<'_, Postgres, PgArguments> {
        match self {
            Self::Numbers(values) => query.bind(values),
            Self::Texts(values) => query.bind(values),
            Self::Blobs(values) => query.bind(values),
        }
    }
}

async fn copy_table(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    table: &'static str,
) -> Result<u64> {
    let columns: Vec<(String, String)> =
        sqlx::query_as("SELECT name, type FROM pragma_table_info($1) ORDER BY name")
            .bind(table)
            .fetch_all(&mut *source)
            .await?;
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let statement = format!("SELECT {} FROM {table}", names.join(", "));
    let mut rows = sqlx::query(AssertSqlSafe(statement)).fetch(source);
    let (mut copied, mut batch) = (0, Vec::with_capacity(BATCH));
    loop {
        let row = rows.try_next().await?;
        let is_last = row.is_none();
        batch.extend(row);
        if !batch.is_empty() && (is_last || batch.len() == BATCH) {
            insert(target, table, columns_of(&columns, &batch)?).await?;
            copied += batch.len() as u64;
            batch.clear();
        }
        if is_last {
            return Ok(copied);
        }
    }
}

fn columns_of(columns: &[(String, String)], batch: &[SqliteRow]) -> Result<Vec<Column>> {
    columns
        .iter()
        .enumerate()
        .map(|(index, (name, declared))| {
            let mut values = Values::of(declared);
            batch.iter().try_for_each(|row| values.push(row, index))?;
            Ok(Column { name: name.clone(), values })
        })
        .collect()
}

async fn insert(target: &mut PgConnection, table: &'static str, columns: Vec<Column>) -> Result<()> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let arrays: Vec<String> =
        (1..).zip(&columns).map(|(number, column)| format!("${number}::{}", column.values.array())).collect();
    let statement =
        format!("INSERT INTO {table} ({}) SELECT * FROM unnest({})", names.join(", "), arrays.join(", "));
    let query = columns
        .into_iter()
        .fold(sqlx::query(AssertSqlSafe(statement)), |query, column| column.values.bind(query));
    let inserted = query.execute(target).await;
    inserted.map_err(|error| StoreError::Unavailable { problem: format!("{table}: {error}") })?;
    Ok(())
}

/// The newest revision, and the numbers that are given out one after the other: none of them comes twice.
async fn copy_counters(source: &mut SqliteConnection, target: &mut PgConnection) -> Result<()> {
    let (current, pruned): (i64, i64) =
        sqlx::query_as("SELECT current, pruned FROM revisions").fetch_one(&mut *source).await?;
    sqlx::query("UPDATE revisions SET current = $1, pruned = $2")
        .bind(current)
        .bind(pruned)
        .execute(&mut *target)
        .await?;
    let counters: Vec<(String, i64)> =
        sqlx::query_as("SELECT name, seq FROM sqlite_sequence WHERE seq > 0").fetch_all(source).await?;
    for (table, last) in counters {
        sqlx::query("SELECT setval(pg_get_serial_sequence($1, 'sequence'), $2)")
            .bind(table)
            .bind(last)
            .execute(&mut *target)
            .await?;
    }
    Ok(())
}

/// Where a service leaves renewed tokens that the database at `path` could not take.
pub fn unsaved(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unsaved");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
