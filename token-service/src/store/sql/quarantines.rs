//! What is in quarantine.

use portcullis_wire::watch::Invalidation;
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{Flag, RowName, constraint, revision, timestamp, to_database};
use super::members;
use crate::domain::Revision;
use crate::domain::quarantine::{Quarantine, QuarantineTarget};
use crate::store::Result;

#[derive(sqlx::FromRow)]
struct QuarantineRow {
    member_id: Option<String>,
    key_id: Option<String>,
    server_id: Option<String>,
    reason: String,
    by_administrator: Flag,
    at: i64,
    revision: i64,
}

impl QuarantineRow {
    fn read(self) -> Result<Quarantine> {
        let target = match (self.member_id, self.key_id, self.server_id) {
            (Some(id), None, None) => QuarantineTarget::Member(id.into()),
            (None, Some(id), None) => QuarantineTarget::Key(id.into()),
            (None, None, Some(id)) => QuarantineTarget::Server(id.into()),
            _ => return Err(RowName { table: "quarantines", row: "" }.corrupt("it has not one target")),
        };
        Ok(Quarantine {
            target,
            reason: self.reason,
            by_administrator: self.by_administrator.0,
            at: timestamp(self.at),
            revision: revision(self.revision),
        })
    }
}

pub(super) async fn all(connection: &mut AnyConnection) -> Result<Vec<Quarantine>> {
    let rows: Vec<QuarantineRow> =
        sqlx::query_as(concat!("SELECT ", columns!(quarantines), " FROM quarantines ORDER BY revision DESC"))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(QuarantineRow::read).collect()
}

pub(super) async fn find(
    connection: &mut AnyConnection,
    target: &QuarantineTarget,
) -> Result<Option<Quarantine>> {
    let (member, key, server) = columns(target);
    let row: Option<QuarantineRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(quarantines),
        " FROM quarantines WHERE member_id = $1 OR key_id = $2 OR server_id = $3"
    ))
    .bind(member)
    .bind(key)
    .bind(server)
    .fetch_optional(connection)
    .await?;
    row.map(QuarantineRow::read).transpose()
}

fn columns(target: &QuarantineTarget) -> (Option<&str>, Option<&str>, Option<&str>) {
    match target {
        QuarantineTarget::Member(id) => (Some(id.as_str()), None, None),
        QuarantineTarget::Key(id) => (None, Some(id.as_str()), None),
        QuarantineTarget::Server(id) => (None, None, Some(id.as_str())),
    }
}

pub(super) async fn set(
    write: &mut Write,
    target: &QuarantineTarget,
    reason: &str,
    by_administrator: bool,
) -> Result<Quarantine> {
    if let Some(old) = find(write.connection(), target).await? {
        if old.reason == reason && old.by_administrator == by_administrator {
            return Ok(old);
        }
        erase(write, target).await?;
    }
    let quarantine = Quarantine {
        target: target.clone(),
        reason: reason.to_owned(),
        by_administrator,
        at: write.now(),
        revision: write.revision,
    };
    let (member, key, server) = columns(target);
    sqlx::query(
        "INSERT INTO quarantines (member_id, key_id, server_id, reason, by_administrator, at, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(member)
    .bind(key)
    .bind(server)
    .bind(reason)
    .bind(Flag(by_administrator))
    .bind(to_database(quarantine.at.0))
    .bind(to_database(quarantine.revision.0))
    .execute(write.connection())
    .await
    .map_err(|error| constraint(error, "quarantine", target.id(), target.kind()))?;
    write.record("quarantine.set", target.id());
    forget(write, target).await?;
    Ok(quarantine)
}

pub(super) async fn lift(write: &mut Write, target: &QuarantineTarget) -> Result<Option<Revision>> {
    if find(write.connection(), target).await?.is_none() {
        return Ok(None);
    }
    erase(write, target).await?;
    write.record("quarantine.lift", target.id());
    forget(write, target).await?;
    Ok(Some(write.outcome()))
}

async fn erase(write: &mut Write, target: &QuarantineTarget) -> Result<()> {
    let (member, key, server) = columns(target);
    sqlx::query("DELETE FROM quarantines WHERE member_id = $1 OR key_id = $2 OR server_id = $3")
        .bind(member)
        .bind(key)
        .bind(server)
        .execute(write.connection())
        .await?;
    Ok(())
}

async fn forget(write: &mut Write, target: &QuarantineTarget) -> Result<()> {
    match target {
        QuarantineTarget::Member(id) => {
            if let Some(member) = members::by_id(write.connection(), id).await? {
                members::forget(write, &member).await?;
            }
        }
        QuarantineTarget::Key(id) => write.invalidate(Invalidation::Key(id.to_string())),
        QuarantineTarget::Server(id) => write.invalidate(Invalidation::Server(id.to_string())),
    }
    Ok(())
}
