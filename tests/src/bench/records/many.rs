//! Very many records, soon: those that were appended are repeated by the database itself, without its indexes, which are made
//! anew when all records are there. Appending as many one by one would take most of an hour.

use std::path::Path;

use portcullis_token_service::record_store::RecordId;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _};

use super::samples::APART_US;

/// Repeats the `few` records that there are so many times, each time later: what is each record's own differs.
pub(super) async fn multiply(path: &Path, few: u64, times: u64) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        // Nothing here has to survive a power cut.
        .synchronous(SqliteSynchronous::Off)
        .pragma("cache_size", "-262144");
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let indexes = drop_indexes(&mut connection).await?;
    let records = columns(&mut connection, "records").await?;
    let payloads = columns(&mut connection, "record_payloads").await?;
    let later = RecordId::first_at(few * APART_US).0;
    for time in 1..=times {
        let repeat = [
            format!(
                "INSERT INTO records ({}) SELECT {} FROM records WHERE arrival <= {few}",
                records.join(", "),
                records.iter().map(|name| its_own(name, time, later, few)).collect::<Vec<_>>().join(", "),
            ),
            format!(
                "INSERT INTO record_payloads ({}) SELECT {} FROM record_payloads WHERE id < {later} + (SELECT min(id) FROM records)",
                payloads.join(", "),
                payloads.iter().map(|name| its_own(name, time, later, few)).collect::<Vec<_>>().join(", "),
            ),
        ];
        for statement in repeat {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
        }
        if time % 10 == 0 {
            eprintln!("  {} records", (time + 1) * few);
        }
    }
    let all = i64::try_from((times + 1) * few)?;
    sqlx::query("UPDATE record_progress SET arrival = ?1, kept = ?1")
        .bind(all)
        .execute(&mut connection)
        .await?;
    for (name, sql) in indexes {
        eprintln!("  index {name}");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}

/// The names of the indexes and how they are made.
async fn drop_indexes(connection: &mut SqliteConnection) -> anyhow::Result<Vec<(String, String)>> {
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'records' AND sql IS NOT NULL",
    )
    .fetch_all(&mut *connection)
    .await?;
    for (name, _) in &indexes {
        sqlx::query(AssertSqlSafe(format!("DROP INDEX {name}"))).execute(&mut *connection).await?;
    }
    Ok(indexes)
}

async fn columns(connection: &mut SqliteConnection, table: &str) -> anyhow::Result<Vec<String>> {
    let names = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)").bind(table);
    Ok(names.fetch_all(connection).await?)
}

/// What the column of a repeated record says.
fn its_own(column: &str, time: u64, later: u64, few: u64) -> String {
    match column {
        "id" => format!("id + {}", time * later),
        "arrival" => format!("arrival + {}", time * few),
        "uid" => "randomblob(16)".into(),
        "trace_id" => "lower(hex(randomblob(16)))".into(),
        "request_id" => format!("request_id || '-{time}'"),
        same => same.into(),
    }
}
