//! The audit log.

use sqlx::sqlite::SqliteConnection;

use super::convert::{RowName, from_database, revision, to_database};
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::store::{Actor, AuditEntry, Result};

/// On whose behalf a handle of the store makes its changes, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attribution {
    pub(super) actor: Actor,
    pub(super) at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct AuditRow {
    sequence: i64,
    at: i64,
    actor: String,
    action: String,
    object: String,
    revision: i64,
}

impl AuditRow {
    fn read(self) -> Result<AuditEntry> {
        let name = self.sequence.to_string();
        let row = RowName { table: "audit", row: &name };
        Ok(AuditEntry {
            sequence: from_database(self.sequence),
            at: Timestamp(from_database(self.at)),
            actor: Actor::parse(&self.actor).ok_or_else(|| row.corrupt("the actor is unknown"))?,
            action: self.action,
            object: self.object,
            revision: revision(self.revision),
        })
    }
}

pub(super) async fn page(
    connection: &mut SqliteConnection,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<AuditEntry>> {
    let rows: Vec<AuditRow> =
        sqlx::query_as("SELECT * FROM audit WHERE sequence < ? ORDER BY sequence DESC LIMIT ?")
            .bind(before.map_or(i64::MAX, to_database))
            .bind(limit)
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(AuditRow::read).collect()
}

pub(super) async fn append(
    connection: &mut SqliteConnection,
    attribution: Attribution,
    revision: Revision,
    (action, object): &(&'static str, String),
) -> Result<()> {
    sqlx::query("INSERT INTO audit (at, actor, action, object, revision) VALUES (?, ?, ?, ?, ?)")
        .bind(to_database(attribution.at.0))
        .bind(attribution.actor.as_str())
        .bind(*action)
        .bind(object)
        .bind(to_database(revision.0))
        .execute(connection)
        .await?;
    Ok(())
}
