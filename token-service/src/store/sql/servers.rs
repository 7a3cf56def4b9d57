//! Servers, and which workspaces have them.

use std::collections::BTreeSet;

use portcullis_wire::names::Slug;
use portcullis_wire::payload::DEFAULT_LIMIT;
use portcullis_wire::watch::{Invalidation, PayloadPolicy};
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{Flag, RowName, changeable, constraint, revision, to_database, to_json};
use super::{connection_changes, server_auth, upstreams, workspaces};
use crate::domain::ids::{ServerId, WorkspaceId};
use crate::domain::payload::PayloadSettings;
use crate::domain::server::{Server, ServerSettings};
use crate::domain::url::{PlainHttp, ServerUrl};
use crate::domain::{Origin, Revision};
use crate::store::{InitialWorkspaces, NewServer, Result, StoreError};

#[derive(sqlx::FromRow)]
struct ServerRow {
    id: String,
    slug: String,
    name: String,
    url: String,
    auth: String,
    auth_settings: Option<String>,
    payload: String,
    payload_limit: Option<i64>,
    redact: Option<String>,
    provision_new_workspaces: Flag,
    concurrency: Option<i64>,
    origin: String,
    revision: i64,
    quarantined: Flag,
}

/// Every column, and whether it is in quarantine.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            columns!(servers),
            ", EXISTS (SELECT 1 FROM quarantines WHERE server_id = servers.id) AS quarantined FROM servers ",
            $rest
        )
    };
}

impl ServerRow {
    fn read(self, kept: server_auth::Kept) -> Result<Server> {
        let row = RowName { table: "servers", row: &self.id };
        let auth = server_auth::read(row, &self.auth, self.auth_settings.as_deref(), kept)?;
        let policy = match self.payload.as_str() {
            "off" => PayloadPolicy::Off,
            "digest" => PayloadPolicy::Digest,
            "redacted" => PayloadPolicy::Redacted,
            "full" => PayloadPolicy::Full,
            _ => return Err(row.corrupt("the payload policy is unknown")),
        };
        let redact = self.redact.as_deref().map(|text| row.json(text)).transpose()?;
        let number = |number: i64| u32::try_from(number).map_err(|error| row.corrupt(error));
        let payload = PayloadSettings {
            limit: self.payload_limit.map_or(Ok(DEFAULT_LIMIT), number)?,
            redact: redact.unwrap_or_default(),
            policy,
        };
        // Whether plain http is allowed was decided when the row was written.
        let url = ServerUrl::parse(&self.url, PlainHttp::Allowed).map_err(|error| row.corrupt(error))?;
        Ok(Server {
            slug: row.slug(&self.slug)?,
            origin: row.origin(&self.origin)?,
            revision: revision(self.revision),
            quarantined: self.quarantined.0,
            settings: ServerSettings {
                name: self.name,
                url,
                auth,
                payload,
                provision_new_workspaces: self.provision_new_workspaces.0,
                concurrency: self.concurrency.map(number).transpose()?,
            },
            id: self.id.into(),
        })
    }
}

fn payload_text(payload: PayloadPolicy) -> &'static str {
    match payload {
        PayloadPolicy::Off => "off",
        PayloadPolicy::Digest => "digest",
        PayloadPolicy::Redacted => "redacted",
        PayloadPolicy::Full => "full",
    }
}

/// `None` for the usual one.
fn limit(payload: &PayloadSettings) -> Option<u32> {
    Some(payload.limit).filter(|limit| *limit != DEFAULT_LIMIT)
}

fn redact(payload: &PayloadSettings) -> Option<String> {
    (!payload.redact.is_empty()).then(|| to_json(&payload.redact))
}

pub(super) async fn all(connection: &mut AnyConnection) -> Result<Vec<Server>> {
    let rows: Vec<ServerRow> = sqlx::query_as(select!("ORDER BY slug")).fetch_all(&mut *connection).await?;
    let mut kept = server_auth::of_all(connection).await?;
    rows.into_iter()
        .map(|row| {
            let kept = kept.remove(&row.id).unwrap_or_default();
            row.read(kept)
        })
        .collect()
}

pub(super) async fn by_id(connection: &mut AnyConnection, id: &ServerId) -> Result<Option<Server>> {
    let row =
        sqlx::query_as(select!("WHERE id = $1")).bind(id.as_str()).fetch_optional(&mut *connection).await?;
    with_auth(connection, row).await
}

pub(super) async fn by_slug(connection: &mut AnyConnection, slug: &Slug) -> Result<Option<Server>> {
    let row = sqlx::query_as(select!("WHERE slug = $1"))
        .bind(slug.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    with_auth(connection, row).await
}

async fn with_auth(connection: &mut AnyConnection, row: Option<ServerRow>) -> Result<Option<Server>> {
    let Some(row) = row else { return Ok(None) };
    let kept = server_auth::of_server(connection, &row.id).await?;
    row.read(kept).map(Some)
}

pub(super) async fn create(write: &mut Write, new: &NewServer) -> Result<Server> {
    let server = Server {
        id: new.id.clone(),
        slug: new.slug.clone(),
        settings: new.settings.clone(),
        origin: Origin::Api,
        revision: write.revision,
        quarantined: false,
    };
    insert(write, &server).await?;
    let workspaces = match &new.workspaces {
        InitialWorkspaces::All => workspaces::ids(write.connection()).await?,
        InitialWorkspaces::Only(only) => only.clone(),
    };
    for workspace in &workspaces {
        add_provision(write, &server.id, workspace).await?;
    }
    Ok(server)
}

pub(super) async fn insert(write: &mut Write, server: &Server) -> Result<()> {
    sqlx::query(
        "INSERT INTO servers
             (id, slug, name, url, auth, auth_settings, payload, payload_limit, redact, provision_new_workspaces,
              concurrency, origin, revision)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(server.id.as_str())
    .bind(server.slug.as_str())
    .bind(&server.settings.name)
    .bind(server.settings.url.to_string())
    .bind(server.settings.auth.as_str())
    .bind(server_auth::settings(&server.settings.auth))
    .bind(payload_text(server.settings.payload.policy))
    .bind(limit(&server.settings.payload).map(i64::from))
    .bind(redact(&server.settings.payload))
    .bind(Flag(server.settings.provision_new_workspaces))
    .bind(server.settings.concurrency.map(i64::from))
    .bind(server.origin.as_str())
    .bind(to_database(server.revision.0))
    .execute(write.connection())
    .await
    .map_err(|error| constraint(error, "server", server.slug.as_str(), "server"))?;
    server_auth::write_secrets(write, &server.id, &server.settings.auth).await?;
    write.record("server.create", &server.id);
    write.touch_registry();
    Ok(())
}

pub(super) async fn change(
    write: &mut Write,
    id: &ServerId,
    settings: &ServerSettings,
    expected: Option<Revision>,
) -> Result<Option<Server>> {
    let Some(server) = by_id(write.connection(), id).await? else { return Ok(None) };
    changeable("server", server.origin, server.revision, expected)?;
    replace(write, server, settings, Origin::Api).await.map(Some)
}

/// Writes new settings, if they are new.
pub(super) async fn replace(
    write: &mut Write,
    server: Server,
    settings: &ServerSettings,
    origin: Origin,
) -> Result<Server> {
    if server.settings == *settings && server.origin == origin {
        return Ok(server);
    }
    let moved = server.settings.url.origin() != settings.url.origin();
    let server = Server { settings: settings.clone(), origin, revision: write.revision, ..server };
    sqlx::query(
        "UPDATE servers SET name = $1, url = $2, auth = $3, auth_settings = $4, payload = $5, payload_limit = $6, redact = $7,
             provision_new_workspaces = $8, concurrency = $9, origin = $10, revision = $11
         WHERE id = $12",
    )
    .bind(&server.settings.name)
    .bind(server.settings.url.to_string())
    .bind(server.settings.auth.as_str())
    .bind(server_auth::settings(&server.settings.auth))
    .bind(payload_text(server.settings.payload.policy))
    .bind(limit(&server.settings.payload).map(i64::from))
    .bind(redact(&server.settings.payload))
    .bind(Flag(server.settings.provision_new_workspaces))
    .bind(server.settings.concurrency.map(i64::from))
    .bind(server.origin.as_str())
    .bind(to_database(server.revision.0))
    .bind(server.id.as_str())
    .execute(write.connection())
    .await?;
    server_auth::write_secrets(write, &server.id, &server.settings.auth).await?;
    write.record("server.change", &server.id);
    write.touch_registry();
    write.invalidate(Invalidation::Server(server.id.to_string()));
    if moved {
        connection_changes::quarantine(write, &server.id).await?;
        upstreams::forget(write, &server.id).await?;
    }
    Ok(server)
}

pub(super) async fn delete(write: &mut Write, id: &ServerId) -> Result<Option<Revision>> {
    let Some(server) = by_id(write.connection(), id).await? else { return Ok(None) };
    changeable("server", server.origin, server.revision, None)?;
    remove(write, id).await?;
    Ok(Some(write.outcome()))
}

pub(super) async fn remove(write: &mut Write, id: &ServerId) -> Result<()> {
    sqlx::query("DELETE FROM servers WHERE id = $1").bind(id.as_str()).execute(write.connection()).await?;
    write.record("server.delete", id);
    write.touch_registry();
    write.invalidate(Invalidation::Server(id.to_string()));
    Ok(())
}

pub(super) async fn provisions(
    connection: &mut AnyConnection,
    id: &ServerId,
) -> Result<BTreeSet<WorkspaceId>> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT workspace_id FROM provisions WHERE server_id = $1")
        .bind(id.as_str())
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(WorkspaceId::from).collect())
}

pub(super) async fn set_provision(
    write: &mut Write,
    id: &ServerId,
    workspace: &WorkspaceId,
    provisioned: bool,
) -> Result<Option<Revision>> {
    let Some(server) = by_id(write.connection(), id).await? else { return Ok(None) };
    if workspaces::by_id(write.connection(), workspace).await?.is_none() {
        return Ok(None);
    }
    changeable("server", server.origin, server.revision, None)?;
    if provisioned {
        add_provision(write, id, workspace).await?;
    } else {
        remove_provision(write, id, workspace).await?;
    }
    Ok(Some(write.outcome()))
}

pub(super) async fn add_provision(write: &mut Write, id: &ServerId, workspace: &WorkspaceId) -> Result<()> {
    let added = sqlx::query(
        "INSERT INTO provisions (server_id, workspace_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(id.as_str())
    .bind(workspace.as_str())
    .execute(write.connection())
    .await
    .map_err(|error| constraint(error, "provision", id.as_str(), "workspace"))?;
    if added.rows_affected() > 0 {
        write.record("server.provision", format_args!("{id} {workspace}"));
        write.invalidate(Invalidation::Workspace(workspace.to_string()));
    }
    Ok(())
}

pub(super) async fn remove_provision(
    write: &mut Write,
    id: &ServerId,
    workspace: &WorkspaceId,
) -> Result<()> {
    let removed = sqlx::query("DELETE FROM provisions WHERE server_id = $1 AND workspace_id = $2")
        .bind(id.as_str())
        .bind(workspace.as_str())
        .execute(write.connection())
        .await?;
    if removed.rows_affected() > 0 {
        write.record("server.withdraw", format_args!("{id} {workspace}"));
        write.invalidate(Invalidation::Workspace(workspace.to_string()));
    }
    Ok(())
}

/// Gives a new workspace every server that asks for it.
pub(super) async fn provision_new_workspace(write: &mut Write, workspace: &WorkspaceId) -> Result<()> {
    sqlx::query(
        "INSERT INTO provisions (server_id, workspace_id) SELECT id, $1 FROM servers WHERE provision_new_workspaces = 1",
    )
    .bind(workspace.as_str())
    .execute(write.connection())
    .await
    .map_err(StoreError::from)?;
    Ok(())
}
