//! Connections: rows, and every change but renewal.

use portcullis_wire::watch::Invalidation;
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteConnection;

use super::connection::Write;
use super::convert::{RowName, from_database, revision, timestamp, to_database, to_json};
use super::{database_now, members, servers, upstreams};
use crate::clock::Timestamp;
use crate::domain::connection::{
    Attempt, Binding, Connection, ConnectionId, ConnectionOwner, ConnectionState, ReauthReason, SealedTokens,
    StepUp,
};
use crate::domain::ids::{MemberId, ServerId};
use crate::domain::server::Sealed;
use crate::store::connections::{ConnectionFilter, NewConnection};
use crate::store::{Result, StoreError};

#[derive(sqlx::FromRow)]
pub(super) struct ConnectionRow {
    id: String,
    server_id: String,
    member_id: Option<String>,
    pub(super) state: String,
    reason: Option<String>,
    origin: String,
    issuer: String,
    client_id: String,
    pub(super) generation: i64,
    access_token: Option<Vec<u8>>,
    refresh_token: Option<Vec<u8>>,
    expires_at: Option<i64>,
    refresh_at: Option<i64>,
    scopes: String,
    account: Option<String>,
    attempt: Option<String>,
    attempt_sent: bool,
    pub(super) busy_until: Option<i64>,
    unanswered: Option<String>,
    unanswered_until: Option<i64>,
    step_up_wanted: String,
    step_up_count: i64,
    step_up_since: i64,
    connected_at: i64,
    refreshed_at: i64,
    revision: i64,
}

impl ConnectionRow {
    pub(super) fn read(self) -> Result<Connection> {
        let row = RowName { table: "connections", row: &self.id };
        Ok(Connection {
            state: state(row, &self.state, self.reason.as_deref())?,
            scopes: row.json(&self.scopes)?,
            step_up: StepUp {
                wanted: row.json(&self.step_up_wanted)?,
                count: u32::try_from(self.step_up_count).map_err(|error| row.corrupt(error))?,
                window_start: timestamp(self.step_up_since),
            },
            attempt: self.attempt().or_else(|| self.unanswered()),
            owner: self.member_id.map_or(ConnectionOwner::Shared, |id| ConnectionOwner::Member(id.into())),
            binding: Binding { origin: self.origin, issuer: self.issuer, client_id: self.client_id },
            tokens: self.access_token.map(|access| SealedTokens {
                access: Sealed::new(access),
                refresh: self.refresh_token.map(Sealed::new),
                expires_at: self.expires_at.map(timestamp),
                refresh_at: self.refresh_at.map(timestamp),
            }),
            generation: from_database(self.generation),
            account: self.account,
            connected_at: timestamp(self.connected_at),
            refreshed_at: timestamp(self.refreshed_at),
            revision: revision(self.revision),
            server: self.server_id.into(),
            id: self.id.into(),
        })
    }

    fn attempt(&self) -> Option<Attempt> {
        let (id, until) = (self.attempt.clone()?, self.busy_until?);
        Some(Attempt { id, lease_until: timestamp(until), ambiguous: self.attempt_sent })
    }

    /// The last attempt before the present one that brought no answer.
    pub(super) fn unanswered(&self) -> Option<Attempt> {
        let (id, until) = (self.unanswered.clone()?, self.unanswered_until?);
        Some(Attempt { id, lease_until: timestamp(until), ambiguous: true })
    }
}

fn state(row: RowName<'_>, state: &str, reason: Option<&str>) -> Result<ConnectionState> {
    Ok(match state {
        "active" => ConnectionState::Active,
        "quarantined" => ConnectionState::Quarantined,
        "disconnected" => ConnectionState::Disconnected,
        "needs_reauth" => {
            let reason = ReauthReason::ALL.into_iter().find(|known| Some(known.as_str()) == reason);
            ConnectionState::NeedsReauth(reason.ok_or_else(|| row.corrupt("the reason is unknown"))?)
        }
        _ => return Err(row.corrupt("the state is unknown")),
    })
}

pub(super) async fn by_id(
    connection: &mut SqliteConnection,
    id: &ConnectionId,
) -> Result<Option<Connection>> {
    let row: Option<ConnectionRow> = sqlx::query_as("SELECT * FROM connections WHERE id = ?")
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(ConnectionRow::read).transpose()
}

pub(super) async fn page(
    connection: &mut SqliteConnection,
    filter: &ConnectionFilter,
    after: Option<&ConnectionId>,
    limit: u32,
) -> Result<Vec<Connection>> {
    let mut query = QueryBuilder::new("SELECT * FROM connections WHERE id > ");
    query.push_bind(after.map_or("", ConnectionId::as_str));
    if let Some(server) = &filter.server {
        query.push(" AND server_id = ").push_bind(server.as_str());
    }
    if let Some(member) = &filter.member {
        query.push(" AND member_id = ").push_bind(member.as_str());
    }
    if let Some(workspace) = &filter.workspace {
        query.push(" AND member_id IN (SELECT id FROM members WHERE workspace_id = ");
        query.push_bind(workspace.as_str()).push(")");
    }
    query.push(" ORDER BY id LIMIT ").push_bind(limit);
    let rows: Vec<ConnectionRow> = query.build_query_as().fetch_all(connection).await?;
    rows.into_iter().map(ConnectionRow::read).collect()
}

pub(super) async fn due(
    connection: &mut SqliteConnection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ConnectionId>> {
    let ids: Vec<String> = sqlx::query_scalar(concat!(
        "SELECT id FROM connections
         WHERE state = 'active' AND refresh_at <= ? AND (refresh_token IS NOT NULL OR member_id IS NULL)
             AND (busy_until IS NULL OR busy_until <= ",
        database_now!(),
        ")
         ORDER BY refresh_at, id LIMIT ?"
    ))
    .bind(to_database(now.0))
    .bind(limit)
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(ConnectionId::from).collect())
}

pub(super) async fn connect(write: &mut Write, new: &NewConnection) -> Result<Connection> {
    let id = ConnectionId::of(&new.server, &new.owner);
    check_origin(write, &new.server, &new.binding).await?;
    if let ConnectionOwner::Member(member) = &new.owner
        && members::by_id(write.connection(), member).await?.is_none()
    {
        return Err(StoreError::Missing { what: "member" });
    }
    // Whatever changes a generation has taken a revision before, so nothing comes in between.
    let present: Option<i64> = sqlx::query_scalar("SELECT generation FROM connections WHERE id = ?")
        .bind(id.as_str())
        .fetch_optional(write.connection())
        .await?;
    if !is_next(present.unwrap_or(0), new.generation) {
        return Err(StoreError::Stale);
    }
    let row = upsert(write, &id, new).await?;
    changed(write, &id, Some("connection.connect"));
    row.read()
}

async fn upsert(write: &mut Write, id: &ConnectionId, new: &NewConnection) -> Result<ConnectionRow> {
    let member = match &new.owner {
        ConnectionOwner::Member(member) => Some(MemberId::as_str(member)),
        ConnectionOwner::Shared => None,
    };
    let row = sqlx::query_as(
        "INSERT INTO connections
             (id, server_id, member_id, state, origin, issuer, client_id, generation,
              access_token, refresh_token, expires_at, refresh_at, scopes, account,
              attempt_sent, step_up_wanted, step_up_count, step_up_since, connected_at, refreshed_at, revision)
         VALUES (?, ?, ?, 'active', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '[]', 0, 0, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET
             state = excluded.state, reason = NULL,
             origin = excluded.origin, issuer = excluded.issuer, client_id = excluded.client_id,
             generation = excluded.generation,
             access_token = excluded.access_token, refresh_token = excluded.refresh_token,
             expires_at = excluded.expires_at, refresh_at = excluded.refresh_at,
             scopes = excluded.scopes, account = excluded.account,
             attempt = NULL, attempt_sent = 0, busy_until = NULL, unanswered = NULL, unanswered_until = NULL,
             step_up_wanted = excluded.step_up_wanted, step_up_count = excluded.step_up_count,
             step_up_since = excluded.step_up_since,
             connected_at = excluded.connected_at, refreshed_at = excluded.refreshed_at,
             revision = excluded.revision
         RETURNING *",
    )
    .bind(id.as_str())
    .bind(new.server.as_str())
    .bind(member)
    .bind(&new.binding.origin)
    .bind(&new.binding.issuer)
    .bind(&new.binding.client_id)
    .bind(to_database(new.generation))
    .bind(new.tokens.access.as_bytes())
    .bind(new.tokens.refresh.as_ref().map(|token| token.as_bytes()))
    .bind(new.tokens.expires_at.map(|time| to_database(time.0)))
    .bind(new.tokens.refresh_at.map(|time| to_database(time.0)))
    .bind(to_json(&new.scopes))
    .bind(&new.account)
    .bind(to_database(new.now.0))
    .bind(to_database(new.now.0))
    .bind(to_database(write.revision.0))
    .fetch_one(write.connection())
    .await?;
    Ok(row)
}

/// Tokens for another origin than the server's present one are not kept: it has moved since they were asked for.
async fn check_origin(write: &mut Write, server: &ServerId, binding: &Binding) -> Result<()> {
    let server = servers::by_id(write.connection(), server).await?;
    let server = server.ok_or(StoreError::Missing { what: "server" })?;
    if server.settings.url.origin() == binding.origin { Ok(()) } else { Err(StoreError::Stale) }
}

fn is_next(present: i64, generation: u64) -> bool {
    present.checked_add(1) == i64::try_from(generation).ok()
}

/// What each change of state or tokens entails; renewals have no action for the audit log.
pub(super) fn changed(write: &mut Write, id: &ConnectionId, action: Option<&'static str>) {
    match action {
        Some(action) => write.record(action, id),
        None => write.leave_unrecorded(),
    }
    write.invalidate(Invalidation::Connection(id.to_string()));
}

pub(super) async fn need_reauth(
    write: &mut Write,
    id: &ConnectionId,
    generation: u64,
    reason: ReauthReason,
) -> Result<Option<Connection>> {
    let row: Option<ConnectionRow> = sqlx::query_as(
        "UPDATE connections SET state = 'needs_reauth', reason = ?1, revision = ?2
         WHERE id = ?3 AND generation = ?4
             AND (state = 'active' OR (state = 'needs_reauth' AND reason <> ?1))
         RETURNING *",
    )
    .bind(reason.as_str())
    .bind(to_database(write.revision.0))
    .bind(id.as_str())
    .bind(to_database(generation))
    .fetch_optional(write.connection())
    .await?;
    if let Some(row) = row {
        changed(write, id, Some("connection.reauth"));
        return row.read().map(Some);
    }
    // Perhaps it says so already.
    let present = by_id(write.connection(), id).await?;
    Ok(present.filter(|connection| {
        connection.generation == generation && connection.state == ConnectionState::NeedsReauth(reason)
    }))
}

/// Not a commit: it takes no revision.
pub(super) async fn set_step_up(
    connection: &mut SqliteConnection,
    id: &ConnectionId,
    generation: u64,
    step_up: &StepUp,
) -> Result<Option<Connection>> {
    let row: Option<ConnectionRow> = sqlx::query_as(
        "UPDATE connections SET step_up_wanted = ?, step_up_count = ?, step_up_since = ?
         WHERE id = ? AND generation = ? RETURNING *",
    )
    .bind(to_json(&step_up.wanted))
    .bind(step_up.count)
    .bind(to_database(step_up.window_start.0))
    .bind(id.as_str())
    .bind(to_database(generation))
    .fetch_optional(connection)
    .await?;
    row.map(ConnectionRow::read).transpose()
}

pub(super) async fn disconnect(write: &mut Write, id: &ConnectionId) -> Result<Option<Connection>> {
    let Some(before) = by_id(write.connection(), id).await? else { return Ok(None) };
    if before.state == ConnectionState::Disconnected {
        return Ok(None);
    }
    sqlx::query(
        "UPDATE connections SET state = 'disconnected', reason = NULL, generation = generation + 1,
             access_token = NULL, refresh_token = NULL, expires_at = NULL, refresh_at = NULL,
             attempt = NULL, attempt_sent = 0, busy_until = NULL, unanswered = NULL, unanswered_until = NULL,
             scopes = '[]', account = NULL, step_up_wanted = '[]', step_up_count = 0, step_up_since = 0,
             revision = ?
         WHERE id = ?",
    )
    .bind(to_database(write.revision.0))
    .bind(id.as_str())
    .execute(write.connection())
    .await?;
    if let ConnectionOwner::Member(member) = &before.owner {
        upstreams::end_sessions(write, &before.server, member).await?;
    }
    changed(write, id, Some("connection.disconnect"));
    Ok(Some(before))
}

/// The server has moved to another origin.
pub(super) async fn quarantine(write: &mut Write, server: &ServerId) -> Result<()> {
    let mut ids: Vec<String> = sqlx::query_scalar(
        "UPDATE connections SET state = 'quarantined', reason = NULL, revision = ?
         WHERE server_id = ? AND state IN ('active', 'needs_reauth') RETURNING id",
    )
    .bind(to_database(write.revision.0))
    .bind(server.as_str())
    .fetch_all(write.connection())
    .await?;
    ids.sort_unstable();
    for id in ids {
        changed(write, &id.into(), Some("connection.quarantine"));
    }
    Ok(())
}

pub(super) async fn release(
    write: &mut Write,
    id: &ConnectionId,
    generation: u64,
    binding: &Binding,
    tokens: &SealedTokens,
) -> Result<Option<Connection>> {
    let Some(before) = by_id(write.connection(), id).await? else { return Ok(None) };
    let next = is_next(to_database(before.generation), generation);
    if before.state != ConnectionState::Quarantined || !next {
        return Ok(None);
    }
    check_origin(write, &before.server, binding).await?;
    let row: Option<ConnectionRow> = sqlx::query_as(concat!(
        "UPDATE connections SET state = 'active', origin = ?, issuer = ?, client_id = ?, generation = ?,
             access_token = ?, refresh_token = ?, expires_at = ?, refresh_at = ?,
             unanswered = CASE WHEN attempt_sent THEN attempt ELSE unanswered END,
             unanswered_until = CASE WHEN attempt_sent THEN busy_until ELSE unanswered_until END,
             attempt = NULL, attempt_sent = 0, busy_until = NULL, revision = ?
         WHERE id = ? AND (attempt IS NULL OR busy_until <= ",
        database_now!(),
        ") RETURNING *"
    ))
    .bind(&binding.origin)
    .bind(&binding.issuer)
    .bind(&binding.client_id)
    .bind(to_database(generation))
    .bind(tokens.access.as_bytes())
    .bind(tokens.refresh.as_ref().map(|token| token.as_bytes()))
    .bind(tokens.expires_at.map(|time| to_database(time.0)))
    .bind(tokens.refresh_at.map(|time| to_database(time.0)))
    .bind(to_database(write.revision.0))
    .bind(id.as_str())
    .fetch_optional(write.connection())
    .await?;
    // A renewal that began before is about to bring other tokens.
    let row = row.ok_or(StoreError::Stale)?;
    changed(write, id, Some("connection.release"));
    row.read().map(Some)
}
