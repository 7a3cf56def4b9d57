//! Clients that are signed in as a member.

use portcullis_wire::watch::Invalidation;
use sqlx::AnyConnection;

use super::authorizations::extent;
use super::columns;
use super::connection::Write;
use super::convert::{Flag, RowName, constraint, timestamp, to_database};
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::client_session::{ClientName, ClientSession, Extent};
use crate::domain::ids::ClientSessionId;
use crate::store::Result;
use crate::store::authorization::SessionsOf;

#[derive(sqlx::FromRow)]
struct SessionRow {
    id: String,
    member_id: String,
    server_id: String,
    resource: String,
    client_id: String,
    client_name: String,
    writes: Flag,
    created_at: i64,
    last_used_at: i64,
    expires_at: i64,
}

impl SessionRow {
    fn read(self) -> Result<ClientSession> {
        let row = RowName { table: "client_sessions", row: &self.id };
        Ok(ClientSession {
            resource: row.resource(&self.resource)?,
            member: self.member_id.into(),
            server: self.server_id.into(),
            client: ClientName { id: self.client_id, name: self.client_name },
            extent: extent(self.writes.0),
            created_at: timestamp(self.created_at),
            last_used_at: timestamp(self.last_used_at),
            expires_at: timestamp(self.expires_at),
            id: self.id.into(),
        })
    }
}

pub(super) async fn create(write: &mut Write, session: &ClientSession) -> Result<()> {
    sqlx::query(
        "INSERT INTO client_sessions (id, member_id, server_id, resource, client_id, client_name, writes, created_at,
             last_used_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(session.id.as_str())
    .bind(session.member.as_str())
    .bind(session.server.as_str())
    .bind(session.resource.to_string())
    .bind(&session.client.id)
    .bind(&session.client.name)
    .bind(Flag(session.extent == Extent::Everything))
    .bind(to_database(session.created_at.0))
    .bind(to_database(session.last_used_at.0))
    .bind(to_database(session.expires_at.0))
    .execute(write.connection())
    .await
    .map_err(|error| constraint(error, "session", session.id.as_str(), "member or server"))?;
    write.record("session.create", &session.id);
    Ok(())
}

pub(super) async fn by_id(
    connection: &mut AnyConnection,
    id: &ClientSessionId,
) -> Result<Option<ClientSession>> {
    let row: Option<SessionRow> =
        sqlx::query_as(concat!("SELECT ", columns!(client_sessions), " FROM client_sessions WHERE id = $1"))
            .bind(id.as_str())
            .fetch_optional(connection)
            .await?;
    row.map(SessionRow::read).transpose()
}

pub(super) async fn of_refresh_token(
    connection: &mut AnyConnection,
    token: &str,
) -> Result<Option<ClientSession>> {
    let row: Option<SessionRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(client_sessions),
        " FROM client_sessions WHERE id = (SELECT session_id FROM refresh_tokens WHERE digest = $1)"
    ))
    .bind(token)
    .fetch_optional(connection)
    .await?;
    row.map(SessionRow::read).transpose()
}

pub(super) async fn page(
    connection: &mut AnyConnection,
    of: &SessionsOf,
    after: Option<&ClientSessionId>,
    limit: u32,
) -> Result<Vec<ClientSession>> {
    let (member, issuer, subject) = match of {
        SessionsOf::Member(member) => (Some(member.as_str()), None, None),
        SessionsOf::Person(person) => (None, Some(person.issuer.as_str()), Some(person.subject.as_str())),
    };
    let rows: Vec<SessionRow> = sqlx::query_as(
        concat!("SELECT ", columns!(client_sessions), " FROM client_sessions
         WHERE id > $1 AND member_id IN (SELECT id FROM members WHERE id = $2 OR (issuer = $3 AND subject = $4))
         ORDER BY id LIMIT $5"),
    )
    .bind(after.map_or("", ClientSessionId::as_str))
    .bind(member)
    .bind(issuer)
    .bind(subject)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(SessionRow::read).collect()
}

/// Moves the end of a session that is in use.
pub(super) async fn prolong(
    connection: &mut AnyConnection,
    id: &ClientSessionId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Option<ClientSession>> {
    let row: Option<SessionRow> = sqlx::query_as(concat!(
        "UPDATE client_sessions SET last_used_at = max(last_used_at, $1), expires_at = max(expires_at, $2)
         WHERE id = $3 RETURNING ",
        columns!(client_sessions)
    ))
    .bind(to_database(now.0))
    .bind(to_database(expires_at.0))
    .bind(id.as_str())
    .fetch_optional(connection)
    .await?;
    row.map(SessionRow::read).transpose()
}

/// Ends a session if there is one; `action` says why in the audit log.
pub(super) async fn end(
    write: &mut Write,
    id: &ClientSessionId,
    action: &'static str,
) -> Result<Option<Revision>> {
    let deleted = sqlx::query("DELETE FROM client_sessions WHERE id = $1")
        .bind(id.as_str())
        .execute(write.connection())
        .await?;
    if deleted.rows_affected() == 0 {
        return Ok(None);
    }
    write.record(action, id);
    write.invalidate(Invalidation::Session(id.to_string()));
    Ok(Some(write.outcome()))
}

pub(super) async fn end_all_of(write: &mut Write, client: &str) -> Result<()> {
    let sessions: Vec<String> =
        sqlx::query_scalar("SELECT id FROM client_sessions WHERE client_id = $1 ORDER BY id")
            .bind(client)
            .fetch_all(write.connection())
            .await?;
    for session in sessions {
        end(write, &session.into(), "session.end").await?;
    }
    Ok(())
}

/// Not a commit: it takes no revision.
pub(super) async fn record_uses(
    connection: &mut AnyConnection,
    uses: &[(ClientSessionId, Timestamp)],
) -> Result<()> {
    for (id, at) in uses {
        sqlx::query("UPDATE client_sessions SET last_used_at = max(last_used_at, $1) WHERE id = $2")
            .bind(to_database(at.0))
            .bind(id.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn sweep(connection: &mut AnyConnection, now: Timestamp) -> Result<()> {
    sqlx::query("DELETE FROM client_sessions WHERE expires_at <= $1")
        .bind(to_database(now.0))
        .execute(connection)
        .await?;
    Ok(())
}
