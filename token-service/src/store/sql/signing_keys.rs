//! The keys that sign access tokens.

use portcullis_wire::watch::Algorithm;
use sqlx::AnyConnection;

use super::connection::Write;
use super::convert::{RowName, timestamp, to_database};
use crate::domain::server::Sealed;
use crate::domain::signing::SigningKeyRow;
use crate::store::Result;

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: String,
    algorithm: String,
    private_key: Vec<u8>,
    published_at: i64,
    active_from: i64,
}

impl KeyRow {
    fn read(self) -> Result<SigningKeyRow> {
        let row = RowName { table: "signing_keys", row: &self.id };
        let algorithm = match self.algorithm.as_str() {
            "ES256" => Algorithm::Es256,
            "EdDSA" => Algorithm::EdDsa,
            _ => return Err(row.corrupt("the algorithm is unknown")),
        };
        Ok(SigningKeyRow {
            algorithm,
            private_key: Sealed::new(self.private_key),
            published_at: timestamp(self.published_at),
            active_from: timestamp(self.active_from),
            id: self.id,
        })
    }
}

pub(super) async fn all(connection: &mut AnyConnection) -> Result<Vec<SigningKeyRow>> {
    let rows: Vec<KeyRow> = sqlx::query_as(
        "SELECT id, algorithm, private_key, published_at, active_from FROM signing_keys ORDER BY sequence",
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(KeyRow::read).collect()
}

/// Adds a key after `newest`; `false` if that is not the newest.
pub(super) async fn add(
    connection: &mut AnyConnection,
    key: &SigningKeyRow,
    newest: Option<&str>,
) -> Result<bool> {
    let added = sqlx::query(
        "INSERT INTO signing_keys (id, algorithm, private_key, published_at, active_from)
         SELECT $1, $2, $3, $4, $5
         WHERE (SELECT id FROM signing_keys ORDER BY sequence DESC LIMIT 1) IS NOT DISTINCT FROM $6",
    )
    .bind(&key.id)
    .bind(key.algorithm.as_str())
    .bind(key.private_key.as_bytes())
    .bind(to_database(key.published_at.0))
    .bind(to_database(key.active_from.0))
    .bind(newest)
    .execute(connection)
    .await?;
    Ok(added.rows_affected() == 1)
}

pub(super) fn note_added(write: &mut Write, key: &SigningKeyRow) {
    write.record("signing_key.publish", &key.id);
    write.touch_registry();
}

pub(super) async fn forget(write: &mut Write, id: &str) -> Result<bool> {
    let deleted =
        sqlx::query("DELETE FROM signing_keys WHERE id = $1").bind(id).execute(write.connection()).await?;
    if deleted.rows_affected() == 0 {
        return Ok(false);
    }
    write.record("signing_key.forget", id);
    write.touch_registry();
    Ok(true)
}
