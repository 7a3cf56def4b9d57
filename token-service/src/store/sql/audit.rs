//! The audit log.

use sqlx::AnyConnection;

use super::columns;
use super::convert::{RowName, from_database, revision, to_database, to_json};
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::people::Identity;
use crate::store::{Actor, AuditEntry, Result};

/// On whose behalf a handle of the store makes its changes, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Attribution {
    pub(super) actor: Actor,
    pub(super) at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct AuditRow {
    sequence: i64,
    at: i64,
    actor: String,
    actor_issuer: Option<String>,
    actor_subject: Option<String>,
    action: String,
    object: String,
    revision: i64,
}

impl AuditRow {
    fn read(self) -> Result<AuditEntry> {
        let name = self.sequence.to_string();
        let row = RowName { table: "audit", row: &name };
        let person = self.actor_issuer.zip(self.actor_subject);
        let person = person.map(|(issuer, subject)| Identity { issuer, subject });
        Ok(AuditEntry {
            sequence: from_database(self.sequence),
            at: Timestamp(from_database(self.at)),
            actor: Actor::read(&self.actor, person).ok_or_else(|| row.corrupt("the actor is unknown"))?,
            action: self.action,
            object: self.object,
            revision: revision(self.revision),
        })
    }
}

pub(super) async fn page(
    connection: &mut AnyConnection,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<AuditEntry>> {
    let rows: Vec<AuditRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(audit),
        " FROM audit WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2"
    ))
    .bind(before.map_or(i64::MAX, to_database))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(AuditRow::read).collect()
}

/// Entries after `since` about nothing but `ids`.
pub(super) async fn of(
    connection: &mut AnyConnection,
    ids: &[&str],
    since: Revision,
    limit: usize,
) -> Result<Vec<AuditEntry>> {
    let rows: Vec<AuditRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(audit),
        " FROM audit
         WHERE revision > $1 AND EXISTS (SELECT 1 FROM json_each($2) WHERE instr(object, value) > 0)
         ORDER BY sequence DESC"
    ))
    .bind(to_database(since.0))
    .bind(to_json(&ids))
    .fetch_all(connection)
    .await?;
    let is_about = |row: &AuditRow| {
        // `server workspace`, `level:object server`: the ids have neither of the two characters.
        let (_, object) = row.object.split_once(':').unwrap_or(("", &row.object));
        object.split_whitespace().all(|part| ids.contains(&part))
    };
    rows.into_iter().filter(is_about).take(limit).map(AuditRow::read).collect()
}

pub(super) async fn append(
    connection: &mut AnyConnection,
    attribution: &Attribution,
    revision: Revision,
    (action, object): &(&'static str, String),
) -> Result<()> {
    let person = attribution.actor.person();
    sqlx::query(
        "INSERT INTO audit (at, actor, actor_issuer, actor_subject, action, object, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(to_database(attribution.at.0))
    .bind(attribution.actor.as_str())
    .bind(person.map(|person| person.issuer.as_str()))
    .bind(person.map(|person| person.subject.as_str()))
    .bind(*action)
    .bind(object)
    .bind(to_database(revision.0))
    .execute(connection)
    .await?;
    Ok(())
}
