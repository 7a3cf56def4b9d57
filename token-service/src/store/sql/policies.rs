//! Policies: one row per target and server.

use portcullis_wire::watch::Invalidation;
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{RowName, changeable, constraint, revision, to_database, to_json};
use super::{keys, members};
use crate::domain::ids::{KeyId, MemberId, ServerId, WorkspaceId};
use crate::domain::policy::{PolicyEntry, PolicyTarget, ServerRules};
use crate::domain::{Origin, Revision};
use crate::store::{Result, StoreError};

#[derive(sqlx::FromRow)]
struct PolicyRow {
    server_id: String,
    workspace_id: Option<String>,
    member_id: Option<String>,
    key_id: Option<String>,
    rules: String,
    origin: String,
    revision: i64,
}

impl PolicyRow {
    fn read(self) -> Result<PolicyEntry> {
        let row = RowName { table: "policies", row: &self.server_id };
        let target = target(&row, self.workspace_id, self.member_id, self.key_id)?;
        Ok(PolicyEntry {
            rules: row.json(&self.rules)?,
            origin: row.origin(&self.origin)?,
            revision: revision(self.revision),
            target,
            server: self.server_id.into(),
        })
    }
}

/// The target behind its three columns.
pub(super) fn target(
    row: &RowName<'_>,
    workspace: Option<String>,
    member: Option<String>,
    key: Option<String>,
) -> Result<PolicyTarget> {
    match (workspace, member, key) {
        (None, None, None) => Ok(PolicyTarget::Organization),
        (Some(id), None, None) => Ok(PolicyTarget::Workspace(id.into())),
        (None, Some(id), None) => Ok(PolicyTarget::Member(id.into())),
        (None, None, Some(id)) => Ok(PolicyTarget::Key(id.into())),
        _ => Err(row.corrupt("it has several targets")),
    }
}

/// The three columns of a target; empty texts where the table has nulls.
pub(super) struct Columns<'a> {
    pub(super) workspace: &'a str,
    pub(super) member: &'a str,
    pub(super) key: &'a str,
}

pub(super) fn columns(target: &PolicyTarget) -> Columns<'_> {
    let none = Columns { workspace: "", member: "", key: "" };
    match target {
        PolicyTarget::Organization => none,
        PolicyTarget::Workspace(id) => Columns { workspace: WorkspaceId::as_str(id), ..none },
        PolicyTarget::Member(id) => Columns { member: MemberId::as_str(id), ..none },
        PolicyTarget::Key(id) => Columns { key: KeyId::as_str(id), ..none },
    }
}

pub(super) async fn of_target(
    connection: &mut AnyConnection,
    target: &PolicyTarget,
) -> Result<Vec<PolicyEntry>> {
    let columns = columns(target);
    let rows: Vec<PolicyRow> = sqlx::query_as(
        concat!("SELECT ", columns!(policies), " FROM policies
         WHERE workspace_id IS NOT DISTINCT FROM nullif($1, '') AND member_id IS NOT DISTINCT FROM nullif($2, '') AND key_id IS NOT DISTINCT FROM nullif($3, '')
         ORDER BY server_id"),
    )
    .bind(columns.workspace)
    .bind(columns.member)
    .bind(columns.key)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(PolicyRow::read).collect()
}

/// The organization's entry on a server, and those of the targets given, as JSON lists of ids.
pub(super) async fn on_server(
    connection: &mut AnyConnection,
    server: &ServerId,
    workspaces: &[&str],
    members: &[&str],
    key: Option<&str>,
) -> Result<Vec<PolicyEntry>> {
    // One look-up for each target: a server may have entries of very many members.
    let rows: Vec<PolicyRow> = sqlx::query_as(concat!(
        "WITH targets (workspace, member, key) AS (
             SELECT '', '', ''
             UNION ALL SELECT value, '', '' FROM json_each($1)
             UNION ALL SELECT '', value, '' FROM json_each($2)
             UNION ALL SELECT '', '', value FROM json_each($3)
         )
         SELECT ",
        columns!(policies),
        " FROM targets CROSS JOIN policies
         WHERE server_id = $4 AND coalesce(workspace_id, '') = workspace AND coalesce(member_id, '') = member
           AND coalesce(key_id, '') = key"
    ))
    .bind(to_json(&workspaces))
    .bind(to_json(&members))
    .bind(to_json(&key.as_slice()))
    .bind(server.as_str())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(PolicyRow::read).collect()
}

/// All that `portcullis.yaml` has declared.
pub(super) async fn declared(connection: &mut AnyConnection) -> Result<Vec<PolicyEntry>> {
    let rows: Vec<PolicyRow> =
        sqlx::query_as(concat!("SELECT ", columns!(policies), " FROM policies WHERE origin = 'config'"))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(PolicyRow::read).collect()
}

async fn find(
    connection: &mut AnyConnection,
    target: &PolicyTarget,
    server: &ServerId,
) -> Result<Option<PolicyEntry>> {
    let columns = columns(target);
    let row: Option<PolicyRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(policies),
        " FROM policies
         WHERE server_id = $1 AND coalesce(workspace_id, '') = $2 AND coalesce(member_id, '') = $3
           AND coalesce(key_id, '') = $4"
    ))
    .bind(server.as_str())
    .bind(columns.workspace)
    .bind(columns.member)
    .bind(columns.key)
    .fetch_optional(connection)
    .await?;
    row.map(PolicyRow::read).transpose()
}

pub(super) async fn set(
    write: &mut Write,
    target: &PolicyTarget,
    server: &ServerId,
    rules: &ServerRules,
    expected: Option<Revision>,
) -> Result<PolicyEntry> {
    let old = find(write.connection(), target, server).await?;
    match &old {
        Some(old) => changeable("policy", old.origin, old.revision, expected)?,
        // Whoever expected an entry has missed that it was deleted.
        None if expected.is_some() => return Err(StoreError::Stale),
        None => {}
    }
    replace(
        write,
        old,
        PolicyEntry {
            target: target.clone(),
            server: server.clone(),
            rules: rules.clone(),
            origin: Origin::Api,
            revision: write.revision,
        },
    )
    .await
}

/// Writes an entry that was declared, whoever owned the one before.
pub(super) async fn declare(write: &mut Write, entry: PolicyEntry) -> Result<PolicyEntry> {
    let old = find(write.connection(), &entry.target, &entry.server).await?;
    replace(write, old, entry).await
}

async fn replace(write: &mut Write, old: Option<PolicyEntry>, new: PolicyEntry) -> Result<PolicyEntry> {
    if let Some(old) = old {
        if old.rules == new.rules && old.origin == new.origin {
            return Ok(old);
        }
        erase(write, &old.target, &old.server).await?;
    }
    let columns = columns(&new.target);
    sqlx::query(
        "INSERT INTO policies (server_id, workspace_id, member_id, key_id, rules, origin, revision)
         VALUES ($1, nullif($2, ''), nullif($3, ''), nullif($4, ''), $5, $6, $7)",
    )
    .bind(new.server.as_str())
    .bind(columns.workspace)
    .bind(columns.member)
    .bind(columns.key)
    .bind(to_json(&new.rules))
    .bind(new.origin.as_str())
    .bind(to_database(new.revision.0))
    .execute(write.connection())
    .await
    .map_err(|error| constraint(error, "policy", new.server.as_str(), "server or target"))?;
    write.record("policy.set", spell(&new.target, &new.server));
    invalidate(write, &new.target, &new.server).await?;
    Ok(new)
}

pub(super) async fn delete(
    write: &mut Write,
    target: &PolicyTarget,
    server: &ServerId,
) -> Result<Option<Revision>> {
    let Some(entry) = find(write.connection(), target, server).await? else { return Ok(None) };
    changeable("policy", entry.origin, entry.revision, None)?;
    remove(write, target, server).await?;
    Ok(Some(write.outcome()))
}

pub(super) async fn remove(write: &mut Write, target: &PolicyTarget, server: &ServerId) -> Result<()> {
    erase(write, target, server).await?;
    write.record("policy.delete", spell(target, server));
    invalidate(write, target, server).await
}

/// As the audit log names an entry.
fn spell(target: &PolicyTarget, server: &ServerId) -> String {
    format!("{}:{} {server}", target.level().as_str(), target.id())
}

async fn erase(write: &mut Write, target: &PolicyTarget, server: &ServerId) -> Result<()> {
    let columns = columns(target);
    sqlx::query(
        "DELETE FROM policies
         WHERE server_id = $1 AND coalesce(workspace_id, '') = $2 AND coalesce(member_id, '') = $3
           AND coalesce(key_id, '') = $4",
    )
    .bind(server.as_str())
    .bind(columns.workspace)
    .bind(columns.member)
    .bind(columns.key)
    .execute(write.connection())
    .await?;
    Ok(())
}

async fn invalidate(write: &mut Write, target: &PolicyTarget, server: &ServerId) -> Result<()> {
    forget(write, target, Invalidation::Server(server.to_string())).await
}

/// What was decided for a level's object counts no longer; for the organization that is `everybody`'s.
pub(super) async fn forget(write: &mut Write, target: &PolicyTarget, everybody: Invalidation) -> Result<()> {
    write.invalidate(match target {
        PolicyTarget::Organization => everybody,
        PolicyTarget::Workspace(id) => Invalidation::Workspace(id.to_string()),
        PolicyTarget::Member(id) => Invalidation::Member(id.to_string()),
        PolicyTarget::Key(id) => Invalidation::Key(id.to_string()),
    });
    // The service keys that this person has made get no more than the person.
    if let PolicyTarget::Member(id) = target
        && let Some(member) = members::by_id(write.connection(), id).await?
    {
        keys::forget_made_by(write, &member.identity).await?;
    }
    Ok(())
}
