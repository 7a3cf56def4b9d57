//! Limits: one row per target and name.

use std::collections::BTreeSet;

use async_trait::async_trait;
use portcullis_wire::watch::Invalidation;
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{RowName, changeable, constraint, revision, to_database, to_json};
use super::policies::{columns, forget, target};
use super::{SqlStore, writing};
use crate::domain::ids::{KeyId, ServerId, WorkspaceId};
use crate::domain::limit::{Limit, LimitName, LimitRule, LimitScope};
use crate::domain::policy::PolicyTarget;
use crate::domain::{Origin, Revision};
use crate::store::{DeclaredLimit, LimitStore, Result, StoreError};

#[async_trait]
impl LimitStore for SqlStore {
    async fn limits(&self, target: &PolicyTarget) -> Result<Vec<Limit>> {
        of_target(&mut *self.read().await?, target).await
    }

    async fn set_limit(
        &self,
        target: &PolicyTarget,
        name: &LimitName,
        scope: &LimitScope,
        rule: &LimitRule,
        expected: Option<Revision>,
    ) -> Result<Limit> {
        let (target, name, scope, rule) = (target.clone(), name.clone(), scope.clone(), rule.clone());
        let declared = DeclaredLimit { target, name, scope, rule };
        writing!(self, set, declared, expected)
    }

    async fn delete_limit(&self, target: &PolicyTarget, name: &LimitName) -> Result<Option<Revision>> {
        writing!(self, delete, target, name)
    }
}

#[derive(sqlx::FromRow)]
struct LimitRow {
    workspace_id: Option<String>,
    member_id: Option<String>,
    key_id: Option<String>,
    name: String,
    server_id: Option<String>,
    only_workspace_id: Option<String>,
    rule: String,
    origin: String,
    revision: i64,
}

impl LimitRow {
    fn read(self) -> Result<Limit> {
        let row = RowName { table: "limits", row: &self.name };
        let target = target(&row, self.workspace_id, self.member_id, self.key_id)?;
        Ok(Limit {
            target,
            name: LimitName::parse(&self.name).map_err(|error| row.corrupt(error))?,
            scope: LimitScope {
                server: self.server_id.map(Into::into),
                workspace: self.only_workspace_id.map(Into::into),
            },
            rule: row.json(&self.rule)?,
            origin: row.origin(&self.origin)?,
            revision: revision(self.revision),
        })
    }
}

/// Names a row by what the unique index is over.
macro_rules! of_target {
    ($select:expr, $more:literal) => {
        concat!(
            $select,
            " limits WHERE coalesce(workspace_id, '') = $1 AND coalesce(member_id, '') = $2 AND coalesce(key_id, '') = $3",
            $more
        )
    };
}

async fn of_target(connection: &mut AnyConnection, target: &PolicyTarget) -> Result<Vec<Limit>> {
    let columns = columns(target);
    let rows: Vec<LimitRow> =
        sqlx::query_as(of_target!(concat!("SELECT ", columns!(limits), " FROM"), " ORDER BY name"))
            .bind(columns.workspace)
            .bind(columns.member)
            .bind(columns.key)
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(LimitRow::read).collect()
}

/// Each part finds its rows by an index, however many limits others have. `coalesce` keeps it from being the one of servers.
pub(super) const CONCERNING: &str = concat!(
    "
    SELECT ",
    columns!(limits),
    " FROM limits
    WHERE coalesce(workspace_id, '') = '' AND coalesce(member_id, '') = '' AND coalesce(key_id, '') = ''
      AND coalesce(server_id, $1) = $1
    UNION ALL SELECT ",
    columns!(limits),
    " FROM limits
    WHERE workspace_id IN (SELECT value FROM json_each($2)) AND coalesce(server_id, $1) = $1
    UNION ALL SELECT ",
    columns!(limits),
    " FROM limits
    WHERE member_id IN (SELECT value FROM json_each($3)) AND coalesce(server_id, $1) = $1
    UNION ALL SELECT ",
    columns!(limits),
    " FROM limits
    WHERE key_id = $4 AND coalesce(server_id, $1) = $1"
);

/// The limits of the organization and of the targets given that concern a server.
pub(super) async fn concerning(
    connection: &mut AnyConnection,
    server: &ServerId,
    workspaces: &[&str],
    members: &[&str],
    key: Option<&str>,
) -> Result<Vec<Limit>> {
    let rows: Vec<LimitRow> = sqlx::query_as(CONCERNING)
        .bind(server.as_str())
        .bind(to_json(&workspaces))
        .bind(to_json(&members))
        .bind(key)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(LimitRow::read).collect()
}

async fn find(
    connection: &mut AnyConnection,
    target: &PolicyTarget,
    name: &LimitName,
) -> Result<Option<Limit>> {
    let columns = columns(target);
    let row: Option<LimitRow> =
        sqlx::query_as(of_target!(concat!("SELECT ", columns!(limits), " FROM"), " AND name = $4"))
            .bind(columns.workspace)
            .bind(columns.member)
            .bind(columns.key)
            .bind(name.as_str())
            .fetch_optional(connection)
            .await?;
    row.map(LimitRow::read).transpose()
}

async fn set(write: &mut Write, new: DeclaredLimit, expected: Option<Revision>) -> Result<Limit> {
    let old = find(write.connection(), &new.target, &new.name).await?;
    match &old {
        Some(old) => changeable("limit", old.origin, old.revision, expected)?,
        // Whoever expected one has missed that it was deleted.
        None if expected.is_some() => return Err(StoreError::Stale),
        None => {}
    }
    replace(write, old, new, Origin::Api).await
}

/// Writes the limits that were declared, whoever owned those before.
pub(super) async fn declare(write: &mut Write, limits: &[DeclaredLimit]) -> Result<()> {
    for limit in limits {
        let old = find(write.connection(), &limit.target, &limit.name).await?;
        replace(write, old, limit.clone(), Origin::Config).await?;
    }
    Ok(())
}

/// Deletes those that were declared once and are not any more.
pub(super) async fn remove_undeclared(write: &mut Write, limits: &[DeclaredLimit]) -> Result<()> {
    let kept: BTreeSet<(&PolicyTarget, &LimitName)> =
        limits.iter().map(|limit| (&limit.target, &limit.name)).collect();
    let rows: Vec<LimitRow> =
        sqlx::query_as(concat!("SELECT ", columns!(limits), " FROM limits WHERE origin = 'config'"))
            .fetch_all(write.connection())
            .await?;
    for row in rows {
        let limit = row.read()?;
        if !kept.contains(&(&limit.target, &limit.name)) {
            remove(write, &limit).await?;
        }
    }
    Ok(())
}

async fn replace(write: &mut Write, old: Option<Limit>, new: DeclaredLimit, origin: Origin) -> Result<Limit> {
    let DeclaredLimit { target, name, scope, rule } = new;
    let new = Limit { target, name, scope, rule, origin, revision: write.revision };
    if let Some(old) = old {
        if old.scope == new.scope && old.rule == new.rule && old.origin == new.origin {
            return Ok(old);
        }
        erase(write, &old).await?;
        if old.scope != new.scope {
            invalidate(write, &old).await?;
        }
    }
    let columns = columns(&new.target);
    sqlx::query(
        "INSERT INTO limits
             (workspace_id, member_id, key_id, name, server_id, only_workspace_id, rule, origin, revision)
         VALUES (nullif($1, ''), nullif($2, ''), nullif($3, ''), $4, $5, $6, $7, $8, $9)",
    )
    .bind(columns.workspace)
    .bind(columns.member)
    .bind(columns.key)
    .bind(new.name.as_str())
    .bind(new.scope.server.as_ref().map(ServerId::as_str))
    .bind(new.scope.workspace.as_ref().map(WorkspaceId::as_str))
    .bind(to_json(&new.rule))
    .bind(new.origin.as_str())
    .bind(to_database(new.revision.0))
    .execute(write.connection())
    .await
    .map_err(|error| constraint(error, "limit", new.name.as_str(), "target, server or workspace"))?;
    write.record("limit.set", spell(&new));
    invalidate(write, &new).await?;
    Ok(new)
}

async fn delete(write: &mut Write, target: &PolicyTarget, name: &LimitName) -> Result<Option<Revision>> {
    let Some(limit) = find(write.connection(), target, name).await? else { return Ok(None) };
    changeable("limit", limit.origin, limit.revision, None)?;
    remove(write, &limit).await?;
    Ok(Some(write.outcome()))
}

async fn remove(write: &mut Write, limit: &Limit) -> Result<()> {
    erase(write, limit).await?;
    write.record("limit.delete", spell(limit));
    invalidate(write, limit).await
}

/// Gives a key that takes another's place the limits of that one.
pub(super) async fn copy(write: &mut Write, from: &KeyId, to: &KeyId) -> Result<()> {
    sqlx::query(
        "INSERT INTO limits (key_id, name, server_id, only_workspace_id, rule, origin, revision)
         SELECT $1, name, server_id, only_workspace_id, rule, origin, $2 FROM limits WHERE key_id = $3",
    )
    .bind(to.as_str())
    .bind(to_database(write.revision.0))
    .bind(from.as_str())
    .execute(write.connection())
    .await?;
    Ok(())
}

/// As the audit log names a limit.
fn spell(limit: &Limit) -> String {
    format!("{}:{} {}", limit.target.level().as_str(), limit.target.id(), limit.name)
}

async fn erase(write: &mut Write, limit: &Limit) -> Result<()> {
    let columns = columns(&limit.target);
    sqlx::query(of_target!("DELETE FROM", " AND name = $4"))
        .bind(columns.workspace)
        .bind(columns.member)
        .bind(columns.key)
        .bind(limit.name.as_str())
        .execute(write.connection())
        .await?;
    Ok(())
}

async fn invalidate(write: &mut Write, limit: &Limit) -> Result<()> {
    let LimitScope { server, workspace } = &limit.scope;
    let everybody = match (server, workspace) {
        (_, Some(workspace)) => Invalidation::Workspace(workspace.to_string()),
        (Some(server), None) => Invalidation::Server(server.to_string()),
        (None, None) => Invalidation::All,
    };
    forget(write, &limit.target, everybody).await
}
