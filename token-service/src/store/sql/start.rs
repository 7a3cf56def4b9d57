//! What the service itself needs to start: whether anything was ever written, and the admin token.

use portcullis_wire::digest::Digest;
use sqlx::AnyConnection;

use super::convert::{Flag, RowName};
use crate::store::Result;

pub(super) async fn is_fresh(connection: &mut AnyConnection) -> Result<bool> {
    let Flag(fresh) = sqlx::query_scalar(
        "SELECT (SELECT current FROM revisions) = 0
            AND NOT EXISTS (SELECT 1 FROM data_keys) AND NOT EXISTS (SELECT 1 FROM admin_token)",
    )
    .fetch_one(connection)
    .await?;
    Ok(fresh)
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
