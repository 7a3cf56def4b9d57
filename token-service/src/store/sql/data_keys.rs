//! Data keys as rows.

use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{RowName, timestamp, to_database};
use crate::clock::Timestamp;
use crate::store::{DataKeyRow, DataKeyState, Result};

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: i64,
    wrapped: Vec<u8>,
    check_value: Vec<u8>,
    state: String,
    published_at: Option<i64>,
    active_from: Option<i64>,
    resealed_at: Option<i64>,
}

impl KeyRow {
    fn read(self) -> Result<DataKeyRow> {
        let name = self.id.to_string();
        let row = RowName { table: "data_keys", row: &name };
        let state = DataKeyState::ALL.into_iter().find(|known| known.as_str() == self.state);
        Ok(DataKeyRow {
            id: u32::try_from(self.id).map_err(|error| row.corrupt(error))?,
            wrapped: self.wrapped,
            check: self.check_value,
            state: state.ok_or_else(|| row.corrupt("the state is unknown"))?,
            published_at: self.published_at.map(timestamp),
            active_from: self.active_from.map(timestamp),
            resealed_at: self.resealed_at.map(timestamp),
        })
    }
}

pub(super) async fn all(connection: &mut AnyConnection) -> Result<Vec<DataKeyRow>> {
    let rows: Vec<KeyRow> =
        sqlx::query_as(concat!("SELECT ", columns!(data_keys), " FROM data_keys ORDER BY id"))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(KeyRow::read).collect()
}

/// `condition`: under which it is added.
macro_rules! insert {
    ($condition:literal) => {
        concat!(
            "INSERT INTO data_keys (id, wrapped, check_value, state, published_at, active_from)
             SELECT $1, $2, $3, $4, $5, $6 WHERE ",
            $condition
        )
    };
}

async fn insert(connection: &mut AnyConnection, key: &DataKeyRow, statement: &'static str) -> Result<bool> {
    let time = |time: Option<Timestamp>| time.map(|time| to_database(time.0));
    let added = sqlx::query(statement)
        .bind(i64::from(key.id))
        .bind(&key.wrapped)
        .bind(&key.check)
        .bind(key.state.as_str())
        .bind(time(key.published_at))
        .bind(time(key.active_from))
        .execute(connection)
        .await?;
    Ok(added.rows_affected() == 1)
}

pub(super) async fn add_first(connection: &mut AnyConnection, key: &DataKeyRow) -> Result<bool> {
    insert(connection, key, insert!("NOT EXISTS (SELECT 1 FROM data_keys)")).await
}

/// In a transaction that has its turn, so that nobody adds another meanwhile.
pub(super) async fn publish(write: &mut Write, key: &DataKeyRow) -> Result<bool> {
    let after_the_newest = insert!(
        "EXISTS (SELECT 1 FROM data_keys WHERE id = $1 - 1 AND state = 'active')
                 AND NOT EXISTS (SELECT 1 FROM data_keys WHERE id >= $1)"
    );
    if !insert(write.connection(), key, after_the_newest).await? {
        return Ok(false);
    }
    write.record("data_key.publish", key.id);
    Ok(true)
}

/// Answers whether it was published until now. In a transaction that has its turn.
pub(super) async fn activate(write: &mut Write, id: u32, now: Timestamp) -> Result<bool> {
    let activated = sqlx::query(
        "UPDATE data_keys SET state = 'active', active_from = $2 WHERE id = $1 AND state = 'published'",
    )
    .bind(i64::from(id))
    .bind(to_database(now.0))
    .execute(write.connection())
    .await?;
    if activated.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("UPDATE data_keys SET state = 'retired' WHERE id <> $1 AND state = 'active'")
        .bind(i64::from(id))
        .execute(write.connection())
        .await?;
    write.leave_unrecorded();
    Ok(true)
}

pub(super) async fn rewrap(
    connection: &mut AnyConnection,
    id: u32,
    present: &[u8],
    wrapped: &[u8],
) -> Result<bool> {
    let changed = sqlx::query("UPDATE data_keys SET wrapped = $3 WHERE id = $1 AND wrapped = $2")
        .bind(i64::from(id))
        .bind(present)
        .bind(wrapped)
        .execute(connection)
        .await?;
    Ok(changed.rows_affected() == 1)
}

pub(super) async fn note_resealed(connection: &mut AnyConnection, id: u32, now: Timestamp) -> Result<()> {
    sqlx::query(
        "UPDATE data_keys SET resealed_at = $2 WHERE id = $1 AND state = 'retired' AND resealed_at IS NULL",
    )
    .bind(i64::from(id))
    .bind(to_database(now.0))
    .execute(connection)
    .await?;
    Ok(())
}
