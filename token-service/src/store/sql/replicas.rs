//! Token-services as rows.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::convert::timestamp;
use super::{Engine, SqlStore, columns, conditional, database_now};
use crate::clock::Timestamp;
use crate::store::Result;
use crate::store::replicas::{Replica, ReplicaStore};

#[derive(sqlx::FromRow)]
struct ReplicaRow {
    id: String,
    seen_at: i64,
    asked_until: i64,
    published_at: i64,
    watchers: String,
    now: i64,
}

impl ReplicaRow {
    fn read(self) -> Replica {
        Replica {
            id: self.id,
            seen_at: timestamp(self.seen_at),
            asked_until: timestamp(self.asked_until),
            published_at: timestamp(self.published_at),
            watchers: self.watchers,
        }
    }
}

#[async_trait]
impl ReplicaStore for SqlStore {
    fn is_shared(&self) -> bool {
        self.engine == Engine::Postgres
    }

    async fn beat(&self, id: &str, watchers: Option<&str>) -> Result<()> {
        conditional!(self, beat, id, watchers)
    }

    async fn ask_for_watchers(&self, id: &str, lasting: Duration) -> Result<Timestamp> {
        conditional!(self, ask, id, lasting)
    }

    async fn replicas(&self) -> Result<(Timestamp, Vec<Replica>)> {
        // One statement, because it is asked often while somebody waits.
        let rows: Vec<ReplicaRow> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(replicas),
            ", ",
            database_now!(),
            " AS now FROM replicas ORDER BY id"
        ))
        .fetch_all(&mut *self.read().await?)
        .await?;
        // Where nobody is there, the time is of no interest.
        let now = rows.first().map_or(Timestamp(0), |row| timestamp(row.now));
        Ok((now, rows.into_iter().map(ReplicaRow::read).collect()))
    }

    async fn leave(&self, id: &str, watchers: &str) -> Result<()> {
        conditional!(self, leave, id, watchers)
    }
}

async fn beat(connection: &mut AnyConnection, id: &str, watchers: Option<&str>) -> Result<()> {
    sqlx::query(concat!(
        "INSERT INTO replicas (id, seen_at, asked_until, published_at, watchers)
         VALUES ($1, ",
        database_now!(),
        ", 0, CASE WHEN $2 IS NULL THEN 0 ELSE ",
        database_now!(),
        " END, COALESCE($2, '[]'))
         ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at,
             published_at = CASE WHEN $2 IS NULL THEN replicas.published_at ELSE excluded.seen_at END,
             watchers = COALESCE($2, replicas.watchers)"
    ))
    .bind(id)
    .bind(watchers)
    .execute(&mut *connection)
    .await?;
    if watchers.is_none() {
        sqlx::query(concat!(
            "DELETE FROM replicas WHERE seen_at < ",
            database_now!(),
            " - 3600000 AND published_at < ",
            database_now!(),
            " - 3600000"
        ))
        .execute(connection)
        .await?;
    }
    Ok(())
}

async fn ask(connection: &mut AnyConnection, id: &str, lasting: Duration) -> Result<Timestamp> {
    let lasting = i64::try_from(lasting.as_millis()).unwrap_or(i64::MAX);
    let now: i64 = sqlx::query_scalar(concat!(
        "UPDATE replicas SET asked_until = ",
        database_now!(),
        " + $2 WHERE id = $1 RETURNING asked_until - $2"
    ))
    .bind(id)
    .bind(lasting)
    .fetch_one(connection)
    .await?;
    Ok(timestamp(now))
}

async fn leave(connection: &mut AnyConnection, id: &str, watchers: &str) -> Result<()> {
    sqlx::query(concat!(
        "UPDATE replicas SET seen_at = 0, asked_until = 0, watchers = $2, published_at = ",
        database_now!(),
        " WHERE id = $1"
    ))
    .bind(id)
    .bind(watchers)
    .execute(connection)
    .await?;
    Ok(())
}
