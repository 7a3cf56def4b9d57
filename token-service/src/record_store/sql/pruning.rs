//! Deleting what may not stay, the oldest first.

use sqlx::AnyConnection;

use super::Engine;
use crate::record_store::{Result, Retention};
use crate::store::{from_database, to_database};

pub(super) async fn prune(
    connection: &mut AnyConnection,
    engine: Engine,
    retention: &Retention,
    most: u32,
) -> Result<u32> {
    let due = due(connection, engine, retention, most).await?;
    if due == 0 {
        return Ok(0);
    }
    let last: Option<i64> = sqlx::query_scalar("SELECT id FROM records ORDER BY id LIMIT 1 OFFSET $1")
        .bind(to_database(due - 1))
        .fetch_optional(&mut *connection)
        .await?;
    let last = last.unwrap_or(i64::MAX);
    let deleted =
        sqlx::query("DELETE FROM records WHERE id <= $1").bind(last).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM record_payloads WHERE id <= $1").bind(last).execute(&mut *connection).await?;
    sqlx::query("UPDATE record_progress SET kept = kept - $1")
        .bind(to_database(deleted.rows_affected()))
        .execute(connection)
        .await?;
    Ok(u32::try_from(deleted.rows_affected()).unwrap_or(u32::MAX))
}

/// How many have to go, at most `most`.
async fn due(
    connection: &mut AnyConnection,
    engine: Engine,
    retention: &Retention,
    most: u32,
) -> Result<u64> {
    let kept: i64 =
        sqlx::query_scalar("SELECT kept FROM record_progress").fetch_one(&mut *connection).await?;
    let too_many = from_database(kept).saturating_sub(retention.most_records);
    let too_old: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM (SELECT 1 FROM records WHERE id < $1 LIMIT $2) AS old")
            .bind(to_database(retention.from.0))
            .bind(i64::from(most))
            .fetch_one(&mut *connection)
            .await?;
    let most = u64::from(most);
    // A tenth of the records for what is too much, since nobody knows what each of them takes.
    let too_big = match used_bytes(connection, engine).await? {
        used if used > retention.most_bytes => from_database(kept).div_ceil(10).min(most),
        _ => 0,
    };
    Ok(too_many.max(from_database(too_old)).max(too_big).min(most))
}

pub(super) async fn used_bytes(connection: &mut AnyConnection, engine: Engine) -> Result<u64> {
    match engine {
        Engine::Sqlite => pages(connection).await,
        Engine::Postgres => estimated(connection).await,
    }
}

/// Pages that hold something.
async fn pages(connection: &mut AnyConnection) -> Result<u64> {
    let mut pragma = [0_i64; 3];
    let names = ["PRAGMA page_count", "PRAGMA freelist_count", "PRAGMA page_size"];
    for (value, name) in pragma.iter_mut().zip(names) {
        *value = sqlx::query_scalar(name).fetch_one(&mut *connection).await?;
    }
    let [pages, free, size] = pragma.map(from_database);
    Ok(pages.saturating_sub(free).saturating_mul(size))
}

/// By what the newest records take, and about what an entry in each index does. The files of PostgreSQL do not say: what was
/// deleted leaves room in them, for others to take.
async fn estimated(connection: &mut AnyConnection) -> Result<u64> {
    let (kept, each): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT kept FROM record_progress), CAST(coalesce(avg(size), 0) AS BIGINT)
         FROM (SELECT pg_column_size(r.*) + coalesce(pg_column_size(p.*), 0) + 700 AS size
             FROM records AS r LEFT JOIN record_payloads AS p ON p.id = r.id ORDER BY r.id DESC LIMIT 1000) AS newest",
    )
    .fetch_one(connection)
    .await?;
    Ok(from_database(kept).saturating_mul(from_database(each)))
}
