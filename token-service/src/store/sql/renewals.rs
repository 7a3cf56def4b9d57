//! Renewing connections: one owner at a time, by the database's clock.
//!
//! Each step is one statement that says under which condition it holds, so that it needs no lock besides the row's own.

use std::time::Duration;

use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::connection_changes::changed;
use super::connections::{self, ConnectionRow, with_tokens};
use super::convert::{timestamp, to_database, to_json};
use super::database_now;
use crate::domain::connection::{Connection, ConnectionId, ConnectionState, ReauthReason};
use crate::store::Result;
use crate::store::connections::{RefreshStart, Renewed};

/// Not a commit: it takes no revision.
pub(super) async fn begin(
    connection: &mut AnyConnection,
    id: &ConnectionId,
    generation: u64,
    attempt: &str,
    lease: Duration,
) -> Result<RefreshStart> {
    let begun: Option<ConnectionRow> = sqlx::query_as(concat!(
        "UPDATE connections SET
             unanswered = CASE WHEN attempt_sent = 1 THEN attempt ELSE unanswered END,
             unanswered_until = CASE WHEN attempt_sent = 1 THEN busy_until ELSE unanswered_until END,
             attempt = $1, attempt_sent = 0, busy_until = ",
        database_now!(),
        " + $2
         WHERE id = $3 AND generation = $4 AND state = 'active' AND (busy_until IS NULL OR busy_until <= ",
        database_now!(),
        ") RETURNING ",
        columns!(connections)
    ))
    .bind(attempt)
    .bind(milliseconds(lease))
    .bind(id.as_str())
    .bind(to_database(generation))
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = begun {
        let previous = row.unanswered();
        return Ok(RefreshStart::Begun { connection: row.read()?, previous });
    }
    let present: Option<ConnectionRow> =
        sqlx::query_as(concat!("SELECT ", columns!(connections), " FROM connections WHERE id = $1"))
            .bind(id.as_str())
            .fetch_optional(connection)
            .await?;
    Ok(match present {
        None => RefreshStart::Missing,
        Some(row) if row.state == "active" && row.generation == to_database(generation) => {
            RefreshStart::Busy { until: timestamp(row.busy_until.unwrap_or_default()) }
        }
        Some(row) => RefreshStart::Moved(row.read()?),
    })
}

/// Not a commit: it takes no revision.
pub(super) async fn mark_sent(
    connection: &mut AnyConnection,
    id: &ConnectionId,
    attempt: &str,
) -> Result<bool> {
    let marked = sqlx::query(concat!(
        "UPDATE connections SET attempt_sent = 1
         WHERE id = $1 AND attempt = $2 AND state = 'active' AND busy_until > ",
        database_now!()
    ))
    .bind(id.as_str())
    .bind(attempt)
    .execute(connection)
    .await?;
    Ok(marked.rows_affected() == 1)
}

pub(super) async fn finish(
    write: &mut Write,
    id: &ConnectionId,
    attempt: &str,
    renewed: &Renewed,
) -> Result<Option<Connection>> {
    let query = sqlx::query_as(concat!(
        "UPDATE connections SET generation = generation + 1,
             access_token = $1, refresh_token = $2, expires_at = $3, refresh_at = $4,
             scopes = coalesce($5, scopes), refreshed_at = $6, revision = $7,
             attempt = NULL, attempt_sent = 0, busy_until = NULL, unanswered = NULL, unanswered_until = NULL
         WHERE id = $8 AND attempt = $9 AND generation + 1 = $10 RETURNING ",
        columns!(connections)
    ));
    let row = with_tokens(query, &renewed.tokens)
        .bind(renewed.scopes.as_ref().map(to_json))
        .bind(to_database(renewed.now.0))
        .bind(to_database(write.revision.0))
        .bind(id.as_str())
        .bind(attempt)
        .bind(to_database(renewed.generation))
        .fetch_optional(write.connection())
        .await?;
    let Some(row) = row else { return Ok(None) };
    changed(write, id, None);
    row.read().map(Some)
}

/// Whether the provider acted cannot be told. Not a commit: it takes no revision.
pub(super) async fn leave_ambiguous(
    connection: &mut AnyConnection,
    id: &ConnectionId,
    attempt: &str,
    retry_in: Duration,
) -> Result<Option<Connection>> {
    let row: Option<ConnectionRow> = sqlx::query_as(concat!(
        "UPDATE connections SET attempt_sent = 1, busy_until = ",
        database_now!(),
        " + $1 WHERE id = $2 AND attempt = $3 RETURNING ",
        columns!(connections)
    ))
    .bind(milliseconds(retry_in))
    .bind(id.as_str())
    .bind(attempt)
    .fetch_optional(connection)
    .await?;
    row.map(ConnectionRow::read).transpose()
}

/// The provider did nothing. Not a commit: it takes no revision.
pub(super) async fn give_back(
    connection: &mut AnyConnection,
    id: &ConnectionId,
    attempt: &str,
    retry_in: Duration,
) -> Result<Option<Connection>> {
    let row: Option<ConnectionRow> = sqlx::query_as(concat!(
        "UPDATE connections SET attempt = NULL, attempt_sent = 0, busy_until = ",
        database_now!(),
        " + $1 WHERE id = $2 AND attempt = $3 RETURNING ",
        columns!(connections)
    ))
    .bind(milliseconds(retry_in))
    .bind(id.as_str())
    .bind(attempt)
    .fetch_optional(connection)
    .await?;
    row.map(ConnectionRow::read).transpose()
}

/// The provider refused for good. A connection that is no longer in use stays in the state that it is in.
pub(super) async fn refuse(
    write: &mut Write,
    id: &ConnectionId,
    attempt: &str,
    reason: ReauthReason,
) -> Result<Option<Connection>> {
    let Some(before) = connections::by_id(write.connection(), id).await? else { return Ok(None) };
    let row: Option<ConnectionRow> = sqlx::query_as(concat!(
        "UPDATE connections SET
             reason = CASE state WHEN 'active' THEN $1 ELSE reason END,
             state = CASE state WHEN 'active' THEN 'needs_reauth' ELSE state END,
             attempt = NULL, attempt_sent = 0, busy_until = NULL, unanswered = NULL, unanswered_until = NULL,
             revision = $2
         WHERE id = $3 AND attempt = $4 RETURNING ",
        columns!(connections)
    ))
    .bind(reason.as_str())
    .bind(to_database(write.revision.0))
    .bind(id.as_str())
    .bind(attempt)
    .fetch_optional(write.connection())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let action = (before.state == ConnectionState::Active).then_some("connection.reauth");
    changed(write, id, action);
    row.read().map(Some)
}

fn milliseconds(duration: Duration) -> i64 {
    // Half of what fits, so that a time added to it fits too.
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 2)
}
