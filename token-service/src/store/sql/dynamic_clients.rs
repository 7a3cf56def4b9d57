//! Clients that registered themselves.

use std::time::Duration;

use sqlx::AnyConnection;

use super::client_sessions;
use super::columns;
use super::connection::Write;
use super::convert::{RowName, from_database, timestamp, to_database, to_json};
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::oauth_client::DynamicClient;
use crate::store::Result;
use crate::store::authorization::{REGISTRATIONS_PER_HOUR, UNUSED_CLIENT_AGE, UNUSED_CLIENTS};

const HOUR: Duration = Duration::from_hours(1);

#[derive(sqlx::FromRow)]
struct ClientRow {
    id: String,
    name: String,
    redirect_uris: String,
    created_at: i64,
    used_at: Option<i64>,
}

impl ClientRow {
    fn read(self) -> Result<DynamicClient> {
        let row = RowName { table: "dynamic_clients", row: &self.id };
        Ok(DynamicClient {
            redirect_uris: row.json(&self.redirect_uris)?,
            name: self.name,
            created_at: timestamp(self.created_at),
            used_at: self.used_at.map(timestamp),
            id: self.id,
        })
    }
}

pub(super) async fn register(connection: &mut AnyConnection, client: &DynamicClient) -> Result<bool> {
    let now = client.created_at;
    sweep(connection, now).await?;
    let (lately, unused): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE created_at > $1), count(*) FILTER (WHERE used_at IS NULL) FROM dynamic_clients",
    )
    .bind(to_database(now.minus(HOUR).0))
    .fetch_one(&mut *connection)
    .await?;
    if from_database(lately) >= u64::from(REGISTRATIONS_PER_HOUR)
        || from_database(unused) >= u64::from(UNUSED_CLIENTS)
    {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO dynamic_clients (id, name, redirect_uris, created_at, used_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&client.id)
    .bind(&client.name)
    .bind(to_json(&client.redirect_uris))
    .bind(to_database(client.created_at.0))
    .bind(client.used_at.map(|time| to_database(time.0)))
    .execute(connection)
    .await?;
    Ok(true)
}

pub(super) async fn find(
    connection: &mut AnyConnection,
    id: &str,
    now: Timestamp,
) -> Result<Option<DynamicClient>> {
    let row: Option<ClientRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(dynamic_clients),
        " FROM dynamic_clients WHERE id = $1 AND (used_at IS NOT NULL OR created_at > $2)"
    ))
    .bind(id)
    .bind(to_database(now.minus(UNUSED_CLIENT_AGE).0))
    .fetch_optional(connection)
    .await?;
    row.map(ClientRow::read).transpose()
}

pub(super) async fn page(
    connection: &mut AnyConnection,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<DynamicClient>> {
    let rows: Vec<ClientRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(dynamic_clients),
        " FROM dynamic_clients WHERE id > $1 ORDER BY id LIMIT $2"
    ))
    .bind(after.unwrap_or_default())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(ClientRow::read).collect()
}

/// A member has signed in with it.
pub(super) async fn note_use(connection: &mut AnyConnection, id: &str, now: Timestamp) -> Result<()> {
    sqlx::query("UPDATE dynamic_clients SET used_at = coalesce(used_at, $1) WHERE id = $2")
        .bind(to_database(now.0))
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn delete(write: &mut Write, id: &str) -> Result<Option<Revision>> {
    let deleted =
        sqlx::query("DELETE FROM dynamic_clients WHERE id = $1").bind(id).execute(write.connection()).await?;
    if deleted.rows_affected() == 0 {
        return Ok(None);
    }
    write.record("oauth_client.delete", id);
    client_sessions::end_all_of(write, id).await?;
    Ok(Some(write.outcome()))
}

pub(super) async fn sweep(connection: &mut AnyConnection, now: Timestamp) -> Result<()> {
    sqlx::query("DELETE FROM dynamic_clients WHERE used_at IS NULL AND created_at <= $1")
        .bind(to_database(now.minus(UNUSED_CLIENT_AGE).0))
        .execute(connection)
        .await?;
    Ok(())
}
