//! Workspaces.

use std::collections::BTreeSet;

use portcullis_wire::names::Slug;
use portcullis_wire::watch::Invalidation;
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{RowName, changeable, constraint, revision, to_database};
use super::servers;
use crate::domain::ids::WorkspaceId;
use crate::domain::people::Workspace;
use crate::domain::staleness::{NoStaleness, Staleness};
use crate::domain::{Origin, Revision};
use crate::store::{NewWorkspace, Result, WorkspaceChange};

#[derive(sqlx::FromRow)]
struct WorkspaceRow {
    id: String,
    slug: String,
    name: String,
    origin: String,
    revision: i64,
    staleness: Option<i64>,
}

impl WorkspaceRow {
    fn read(self) -> Result<Workspace> {
        let row = RowName { table: "workspaces", row: &self.id };
        let staleness = self.staleness.map(|seconds| {
            let staleness = u16::try_from(seconds).map_err(|_| NoStaleness).and_then(Staleness::from_seconds);
            staleness.map_err(|error| row.corrupt(error))
        });
        Ok(Workspace {
            staleness: staleness.transpose()?,
            slug: row.slug(&self.slug)?,
            origin: row.origin(&self.origin)?,
            revision: revision(self.revision),
            name: self.name,
            id: self.id.into(),
        })
    }
}

pub(super) async fn all(connection: &mut AnyConnection) -> Result<Vec<Workspace>> {
    let rows: Vec<WorkspaceRow> =
        sqlx::query_as(concat!("SELECT ", columns!(workspaces), " FROM workspaces ORDER BY slug"))
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(WorkspaceRow::read).collect()
}

pub(super) async fn ids(connection: &mut AnyConnection) -> Result<BTreeSet<WorkspaceId>> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM workspaces").fetch_all(connection).await?;
    Ok(ids.into_iter().map(WorkspaceId::from).collect())
}

pub(super) async fn by_id(connection: &mut AnyConnection, id: &WorkspaceId) -> Result<Option<Workspace>> {
    let row: Option<WorkspaceRow> =
        sqlx::query_as(concat!("SELECT ", columns!(workspaces), " FROM workspaces WHERE id = $1"))
            .bind(id.as_str())
            .fetch_optional(connection)
            .await?;
    row.map(WorkspaceRow::read).transpose()
}

pub(super) async fn by_slug(connection: &mut AnyConnection, slug: &Slug) -> Result<Option<Workspace>> {
    let row: Option<WorkspaceRow> =
        sqlx::query_as(concat!("SELECT ", columns!(workspaces), " FROM workspaces WHERE slug = $1"))
            .bind(slug.as_str())
            .fetch_optional(connection)
            .await?;
    row.map(WorkspaceRow::read).transpose()
}

pub(super) async fn create(write: &mut Write, new: &NewWorkspace, origin: Origin) -> Result<Workspace> {
    let workspace = Workspace {
        id: new.id.clone(),
        slug: new.slug.clone(),
        name: new.name.clone(),
        origin,
        revision: write.revision,
        staleness: new.staleness,
    };
    sqlx::query(
        "INSERT INTO workspaces (id, slug, name, origin, revision, staleness) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(workspace.id.as_str())
    .bind(workspace.slug.as_str())
    .bind(&workspace.name)
    .bind(origin.as_str())
    .bind(to_database(workspace.revision.0))
    .bind(workspace.staleness.map(|staleness| i64::from(staleness.seconds())))
    .execute(write.connection())
    .await
    .map_err(|error| constraint(error, "workspace", new.slug.as_str(), "workspace"))?;
    servers::provision_new_workspace(write, &workspace.id).await?;
    write.record("workspace.create", &workspace.id);
    Ok(workspace)
}

pub(super) async fn change(
    write: &mut Write,
    id: &WorkspaceId,
    change: &WorkspaceChange,
    expected: Option<Revision>,
) -> Result<Option<Workspace>> {
    let Some(workspace) = by_id(write.connection(), id).await? else { return Ok(None) };
    changeable("workspace", workspace.origin, workspace.revision, expected)?;
    replace(write, workspace, change, Origin::Api).await.map(Some)
}

/// Writes what is new.
pub(super) async fn replace(
    write: &mut Write,
    workspace: Workspace,
    change: &WorkspaceChange,
    origin: Origin,
) -> Result<Workspace> {
    let WorkspaceChange { name, staleness } = change.clone();
    let is_as_stale = workspace.staleness == staleness;
    if workspace.name == name && workspace.origin == origin && is_as_stale {
        return Ok(workspace);
    }
    let workspace = Workspace { name, staleness, origin, revision: write.revision, ..workspace };
    sqlx::query("UPDATE workspaces SET name = $1, origin = $2, revision = $3, staleness = $4 WHERE id = $5")
        .bind(&workspace.name)
        .bind(origin.as_str())
        .bind(to_database(workspace.revision.0))
        .bind(workspace.staleness.map(|staleness| i64::from(staleness.seconds())))
        .bind(workspace.id.as_str())
        .execute(write.connection())
        .await?;
    write.record("workspace.change", &workspace.id);
    // No lease holds the name.
    if !is_as_stale {
        write.invalidate(Invalidation::Workspace(workspace.id.to_string()));
    }
    Ok(workspace)
}

pub(super) async fn delete(write: &mut Write, id: &WorkspaceId) -> Result<Option<Revision>> {
    let Some(workspace) = by_id(write.connection(), id).await? else { return Ok(None) };
    changeable("workspace", workspace.origin, workspace.revision, None)?;
    remove(write, id).await?;
    Ok(Some(write.outcome()))
}

pub(super) async fn remove(write: &mut Write, id: &WorkspaceId) -> Result<()> {
    sqlx::query("DELETE FROM workspaces WHERE id = $1").bind(id.as_str()).execute(write.connection()).await?;
    write.record("workspace.delete", id);
    write.invalidate(Invalidation::Workspace(id.to_string()));
    Ok(())
}
