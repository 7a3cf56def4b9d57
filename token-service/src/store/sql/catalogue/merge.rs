//! What was learnt, into what is known.

use std::collections::BTreeMap;

use sqlx::AnyConnection;

use crate::clock::Timestamp;
use crate::domain::catalogue::{Definition, EntryKind, Listed};
use crate::domain::ids::ServerId;
use crate::store::Result;
use crate::store::catalogue::{FORGOTTEN_AFTER, MOST_ENTRIES};
use crate::store::sql::convert::{Flag, to_database, to_json};

/// Merges one list that was learnt at `now`.
pub(super) async fn merge(
    connection: &mut AnyConnection,
    server: &ServerId,
    list: &Listed,
    now: Timestamp,
) -> Result<()> {
    let known: Vec<(String, String)> =
        sqlx::query_as("SELECT name, digest FROM catalogue_entries WHERE server_id = $1 AND kind = $2")
            .bind(server.as_str())
            .bind(list.kind.as_str())
            .fetch_all(&mut *connection)
            .await?;
    let known: BTreeMap<String, String> = known.into_iter().collect();
    let is_known = |one: &&Definition| known.get(&one.name) == Some(&one.digest.to_string());
    let (same, other): (Vec<_>, Vec<_>) = list.definitions.iter().partition(is_known);
    see_again(connection, server, list.kind, &same, now).await?;
    for definition in other {
        put(connection, server, list.kind, definition, now).await?;
    }
    if list.is_whole {
        miss(connection, server, list).await?;
    }
    bound(connection, server, list.kind).await
}

fn names<'a>(definitions: impl IntoIterator<Item = &'a Definition>) -> String {
    to_json(&definitions.into_iter().map(|definition| definition.name.as_str()).collect::<Vec<_>>())
}

async fn see_again(
    connection: &mut AnyConnection,
    server: &ServerId,
    kind: EntryKind,
    same: &[&Definition],
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "UPDATE catalogue_entries SET last_seen_at = $1, gone = 0
         WHERE server_id = $2 AND kind = $3 AND name IN (SELECT value FROM json_each($4))",
    )
    .bind(to_database(now.0))
    .bind(server.as_str())
    .bind(kind.as_str())
    .bind(names(same.iter().copied()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn put(
    connection: &mut AnyConnection,
    server: &ServerId,
    kind: EntryKind,
    definition: &Definition,
    now: Timestamp,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO catalogue_entries
             (server_id, kind, name, definition, digest, reads_only, first_seen_at, last_seen_at, changed_at, gone)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7, 0)
         ON CONFLICT (server_id, kind, name) DO UPDATE
         SET definition = excluded.definition, digest = excluded.digest, reads_only = excluded.reads_only,
             last_seen_at = excluded.last_seen_at, changed_at = excluded.changed_at, gone = 0",
    )
    .bind(server.as_str())
    .bind(kind.as_str())
    .bind(&definition.name)
    .bind(&definition.text)
    .bind(definition.digest.to_string())
    .bind(Flag(definition.reads_only))
    .bind(to_database(now.0))
    .execute(connection)
    .await?;
    Ok(())
}

async fn miss(connection: &mut AnyConnection, server: &ServerId, list: &Listed) -> Result<()> {
    sqlx::query(
        "UPDATE catalogue_entries SET gone = 1
         WHERE server_id = $1 AND kind = $2 AND gone = 0 AND name NOT IN (SELECT value FROM json_each($3))",
    )
    .bind(server.as_str())
    .bind(list.kind.as_str())
    .bind(names(&list.definitions))
    .execute(connection)
    .await?;
    Ok(())
}

/// However often a server renames its tools.
async fn bound(connection: &mut AnyConnection, server: &ServerId, kind: EntryKind) -> Result<()> {
    sqlx::query(
        "DELETE FROM catalogue_entries WHERE server_id = $1 AND kind = $2 AND name IN (
             SELECT name FROM catalogue_entries WHERE server_id = $1 AND kind = $2
             ORDER BY gone, approved_digest IS NULL, last_seen_at DESC, name LIMIT 9223372036854775807 OFFSET $3)",
    )
    .bind(server.as_str())
    .bind(kind.as_str())
    .bind(i64::try_from(MOST_ENTRIES).unwrap_or(i64::MAX))
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets what was not seen for long.
pub(super) async fn forget(connection: &mut AnyConnection, server: &ServerId, now: Timestamp) -> Result<()> {
    sqlx::query("DELETE FROM catalogue_entries WHERE server_id = $1 AND last_seen_at < $2")
        .bind(server.as_str())
        .bind(to_database(now.minus(FORGOTTEN_AFTER).0))
        .execute(connection)
        .await?;
    Ok(())
}
