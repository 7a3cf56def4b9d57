//! What the service itself needs to start: data keys and the admin token.

use portcullis_wire::digest::Digest;
use sqlx::AnyConnection;

use super::columns;
use super::convert::{Flag, RowName};
use crate::store::{DataKeyRow, DataKeyState, Result};

pub(super) async fn is_fresh(connection: &mut AnyConnection) -> Result<bool> {
    let Flag(fresh) = sqlx::query_scalar(
        "SELECT (SELECT current FROM revisions) = 0
            AND NOT EXISTS (SELECT 1 FROM data_keys) AND NOT EXISTS (SELECT 1 FROM admin_token)",
    )
    .fetch_one(connection)
    .await?;
    Ok(fresh)
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: i64,
    wrapped: Vec<u8>,
    check_value: Vec<u8>,
    state: String,
}

impl KeyRow {
    fn read(self) -> Result<DataKeyRow> {
        let name = self.id.to_string();
        let row = RowName { table: "data_keys", row: &name };
        let state = match self.state.as_str() {
            "published" => DataKeyState::Published,
            "active" => DataKeyState::Active,
            "retired" => DataKeyState::Retired,
            _ => return Err(row.corrupt("the state is unknown")),
        };
        let id = u32::try_from(self.id).map_err(|error| row.corrupt(error))?;
        Ok(DataKeyRow { id, wrapped: self.wrapped, check: self.check_value, state })
    }
}

pub(super) async fn data_keys(connection: &mut AnyConnection) -> Result<Vec<DataKeyRow>> {
    let rows: Vec<KeyRow> =
        sqlx::query_as(concat!("SELECT ", columns!(data_keys), " FROM data_keys ORDER BY id"))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(KeyRow::read).collect()
}

pub(super) async fn add_first_data_key(connection: &mut AnyConnection, key: &DataKeyRow) -> Result<bool> {
    let state = match key.state {
        DataKeyState::Published => "published",
        DataKeyState::Active => "active",
        DataKeyState::Retired => "retired",
    };
    let added = sqlx::query(
        "INSERT INTO data_keys (id, wrapped, check_value, state)
         SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM data_keys)",
    )
    .bind(i64::from(key.id))
    .bind(&key.wrapped)
    .bind(&key.check)
    .bind(state)
    .execute(connection)
    .await?;
    Ok(added.rows_affected() == 1)
}

pub(super) async fn admin_token_digest(connection: &mut AnyConnection) -> Result<Option<Digest>> {
    let text: Option<String> =
        sqlx::query_scalar("SELECT digest FROM admin_token").fetch_optional(connection).await?;
    text.map(|text| RowName { table: "admin_token", row: "1" }.digest(&text)).transpose()
}

pub(super) async fn set_admin_token_digest(
    connection: &mut AnyConnection,
    expected: Option<Digest>,
    digest: Digest,
) -> Result<bool> {
    let written = match expected {
        None => {
            sqlx::query("INSERT INTO admin_token (only_row, digest) VALUES (1, $1) ON CONFLICT DO NOTHING")
                .bind(digest.to_string())
                .execute(connection)
                .await?
        }
        Some(expected) => {
            sqlx::query("UPDATE admin_token SET digest = $1 WHERE digest = $2")
                .bind(digest.to_string())
                .bind(expected.to_string())
                .execute(connection)
                .await?
        }
    };
    Ok(written.rows_affected() == 1)
}
