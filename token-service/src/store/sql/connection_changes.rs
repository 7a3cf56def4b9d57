//! Connections made, put to question, ended, quarantined and released.

use portcullis_wire::watch::Invalidation;

use super::columns;
use super::connection::Write;
use super::connections::{ConnectionRow, by_id, with_tokens};
use super::convert::{to_database, to_json};
use super::{database_now, members, servers, upstreams};
use crate::domain::connection::{
    Binding, Connection, ConnectionId, ConnectionOwner, ConnectionState, ReauthReason, SealedTokens,
};
use crate::domain::ids::{MemberId, ServerId};
use crate::store::connections::NewConnection;
use crate::store::{Result, StoreError};

/// The whole row anew, whatever it was.
const UPSERT: &str = concat!(
    "INSERT INTO connections
         (id, server_id, member_id, state, origin, issuer, client_id, generation,
          access_token, refresh_token, expires_at, refresh_at, scopes, account,
          attempt_sent, step_up_wanted, step_up_count, step_up_since, connected_at, refreshed_at, revision)
     VALUES ($1, $2, $3, 'active', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, '[]', 0, 0, $14, $15, $16)
     ON CONFLICT (id) DO UPDATE SET
         state = excluded.state, reason = NULL,
         origin = excluded.origin, issuer = excluded.issuer, client_id = excluded.client_id,
         generation = excluded.generation,
         access_token = excluded.access_token, refresh_token = excluded.refresh_token,
         expires_at = excluded.expires_at, refresh_at = excluded.refresh_at,
         scopes = excluded.scopes, account = excluded.account,
         attempt = NULL, attempt_sent = 0, busy_until = NULL, unanswered = NULL, unanswered_until = NULL,
         step_up_wanted = excluded.step_up_wanted,
         connected_at = excluded.connected_at, refreshed_at = excluded.refreshed_at,
         revision = excluded.revision
     RETURNING ",
    columns!(connections)
);

pub(super) async fn connect(write: &mut Write, new: &NewConnection) -> Result<Connection> {
    let id = ConnectionId::of(&new.server, &new.owner);
    check_origin(write, &new.server, &new.binding).await?;
    if let ConnectionOwner::Member(member) = &new.owner
        && members::by_id(write.connection(), member).await?.is_none()
    {
        return Err(StoreError::Missing { what: "member" });
    }
    // Whatever changes a generation has taken a revision before, so nothing comes in between.
    let present: Option<i64> = sqlx::query_scalar("SELECT generation FROM connections WHERE id = $1")
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
    let query = sqlx::query_as(UPSERT)
        .bind(id.as_str())
        .bind(new.server.as_str())
        .bind(member)
        .bind(&new.binding.origin)
        .bind(&new.binding.issuer)
        .bind(&new.binding.client_id)
        .bind(to_database(new.generation));
    let row = with_tokens(query, &new.tokens)
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
    let row: Option<ConnectionRow> = sqlx::query_as(concat!(
        "UPDATE connections SET state = 'needs_reauth', reason = $1, revision = $2
         WHERE id = $3 AND generation = $4
             AND (state = 'active' OR (state = 'needs_reauth' AND reason <> $1))
         RETURNING ",
        columns!(connections)
    ))
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
             revision = $1
         WHERE id = $2",
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
        "UPDATE connections SET state = 'quarantined', reason = NULL, revision = $1
         WHERE server_id = $2 AND state IN ('active', 'needs_reauth') RETURNING id",
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
    let query = sqlx::query_as(concat!(
        "UPDATE connections SET state = 'active', origin = $1, issuer = $2, client_id = $3, generation = $4,
             access_token = $5, refresh_token = $6, expires_at = $7, refresh_at = $8,
             unanswered = CASE WHEN attempt_sent = 1 THEN attempt ELSE unanswered END,
             unanswered_until = CASE WHEN attempt_sent = 1 THEN busy_until ELSE unanswered_until END,
             attempt = NULL, attempt_sent = 0, busy_until = NULL, revision = $9
         WHERE id = $10 AND (attempt IS NULL OR busy_until <= ",
        database_now!(),
        ") RETURNING ",
        columns!(connections)
    ))
    .bind(&binding.origin)
    .bind(&binding.issuer)
    .bind(&binding.client_id)
    .bind(to_database(generation));
    let row = with_tokens(query, tokens)
        .bind(to_database(write.revision.0))
        .bind(id.as_str())
        .fetch_optional(write.connection())
        .await?;
    // A renewal that began before is about to bring other tokens.
    let row = row.ok_or(StoreError::Stale)?;
    changed(write, id, Some("connection.release"));
    row.read().map(Some)
}
