//! The record of what commits changed.

use std::collections::BTreeSet;

use portcullis_wire::watch::Invalidation;
use sqlx::AnyConnection;

use super::convert::{RowName, from_database, to_database};
use crate::domain::Revision;
use crate::store::{ChangeSet, Result, Since};

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
struct ChangeRow {
    kind: String,
    subject: String,
}

pub(super) async fn since(connection: &mut AnyConnection, cursor: Revision, limit: u32) -> Result<Since> {
    let (current, pruned): (i64, i64) =
        sqlx::query_as("SELECT current, pruned FROM revisions").fetch_one(&mut *connection).await?;
    let (current, pruned) = (Revision(from_database(current)), Revision(from_database(pruned)));
    if cursor < pruned || cursor > current {
        return Ok(Since::Gap { current });
    }
    let last = current.min(Revision(cursor.0.saturating_add(u64::from(limit.max(1)))));
    let rows: Vec<ChangeRow> = sqlx::query_as(
        "SELECT kind, subject FROM changes WHERE revision > $1 AND revision <= $2 ORDER BY revision, position",
    )
    .bind(to_database(cursor.0))
    .bind(to_database(last.0))
    .fetch_all(connection)
    .await?;
    let mut changes = ChangeSet { cursor: last, registry: false, invalidations: Vec::new() };
    let mut seen = BTreeSet::new();
    for row in rows {
        if seen.insert(row.clone()) {
            match read(row)? {
                None => changes.registry = true,
                Some(invalidation) => changes.invalidations.push(invalidation),
            }
        }
    }
    Ok(Since::Changes(changes))
}

/// `None` for a change of the registry.
fn read(row: ChangeRow) -> Result<Option<Invalidation>> {
    let ChangeRow { kind, subject } = row;
    Ok(Some(match kind.as_str() {
        "registry" => return Ok(None),
        "member" => Invalidation::Member(subject),
        "key" => Invalidation::Key(subject),
        "session" => Invalidation::Session(subject),
        "workspace" => Invalidation::Workspace(subject),
        "server" => Invalidation::Server(subject),
        "connection" => Invalidation::Connection(subject),
        "all" => Invalidation::All,
        _ => return Err(RowName { table: "changes", row: &kind }.corrupt("the kind is unknown")),
    }))
}

/// Deletes the changes up to and including `through`. Not a commit: it takes no revision.
pub(super) async fn prune(connection: &mut AnyConnection, through: Revision) -> Result<()> {
    let pruned: i64 =
        sqlx::query_scalar("UPDATE revisions SET pruned = max(pruned, min(current, $1)) RETURNING pruned")
            .bind(to_database(through.0))
            .fetch_one(&mut *connection)
            .await?;
    sqlx::query("DELETE FROM changes WHERE revision <= $1").bind(pruned).execute(connection).await?;
    Ok(())
}
