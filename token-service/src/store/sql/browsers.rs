//! Links, browser sessions and flows. Nothing here is a commit, but for what turned up where it does not belong.

use std::time::Duration;

use portcullis_wire::digest::Digest;
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{RowName, constraint, from_database, timestamp, to_database};
use crate::clock::Timestamp;
use crate::domain::connecting::{BrowserSession, Flow, Ticket};
use crate::domain::connection::Binding;
use crate::domain::ids::{MemberId, ServerId};
use crate::domain::people::Identity;
use crate::domain::server::Sealed;
use crate::store::Result;
use crate::store::browsers::{LIVE_TICKETS, TICKETS_COUNTED_FOR, UPSTREAM_SESSION_AGE};

#[derive(sqlx::FromRow)]
struct TicketRow {
    digest: String,
    member_id: String,
    server_id: String,
    client_name: Option<String>,
    sealed: Option<Vec<u8>>,
    created_at: i64,
    expires_at: i64,
}

impl TicketRow {
    fn read(self) -> Result<Ticket> {
        let row = RowName { table: "connect_tickets", row: &self.digest };
        Ok(Ticket {
            digest: row.digest(&self.digest)?,
            member: self.member_id.into(),
            server: self.server_id.into(),
            client_name: self.client_name,
            sealed: self.sealed.map(Sealed::new),
            created_at: timestamp(self.created_at),
            expires_at: timestamp(self.expires_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    digest: String,
    issuer: String,
    subject: String,
    name: String,
    csrf: String,
    created_at: i64,
    last_seen_at: i64,
    expires_at: i64,
}

impl SessionRow {
    fn read(self) -> Result<BrowserSession> {
        let row = RowName { table: "browser_sessions", row: &self.digest };
        Ok(BrowserSession {
            digest: row.digest(&self.digest)?,
            identity: Identity { issuer: self.issuer, subject: self.subject },
            name: self.name,
            csrf: row.digest(&self.csrf)?,
            created_at: timestamp(self.created_at),
            last_seen_at: timestamp(self.last_seen_at),
            expires_at: timestamp(self.expires_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct FlowRow {
    state: String,
    cookie: String,
    session: String,
    member_id: String,
    server_id: String,
    origin: String,
    issuer: String,
    client_id: String,
    sealed: Vec<u8>,
    expires_at: i64,
}

impl FlowRow {
    fn read(self) -> Result<Flow> {
        let row = RowName { table: "oauth_flows", row: &self.state };
        Ok(Flow {
            state: row.digest(&self.state)?,
            cookie: row.digest(&self.cookie)?,
            session: row.digest(&self.session)?,
            member: self.member_id.into(),
            server: self.server_id.into(),
            binding: Binding { origin: self.origin, issuer: self.issuer, client_id: self.client_id },
            sealed: Sealed::new(self.sealed),
            expires_at: timestamp(self.expires_at),
        })
    }
}

pub(super) async fn live_ticket(
    connection: &mut AnyConnection,
    member: &MemberId,
    server: &ServerId,
    client_name: Option<&str>,
    good_until: Timestamp,
) -> Result<Option<Ticket>> {
    let row: Option<TicketRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(connect_tickets),
        " FROM connect_tickets
         WHERE member_id = $1 AND server_id = $2 AND client_name IS NOT DISTINCT FROM $3 AND live = 1
             AND expires_at > $4 AND sealed IS NOT NULL
         ORDER BY created_at DESC, sequence DESC LIMIT 1"
    ))
    .bind(member.as_str())
    .bind(server.as_str())
    .bind(client_name)
    .bind(to_database(good_until.0))
    .fetch_optional(connection)
    .await?;
    row.map(TicketRow::read).transpose()
}

/// In a transaction that has its turn, so that of several at once one makes it and the others find it.
pub(super) async fn create_ticket(
    connection: &mut AnyConnection,
    ticket: &Ticket,
    good_until: Timestamp,
) -> Result<Option<Ticket>> {
    let Ticket { member, server, client_name, .. } = ticket;
    let live = live_ticket(&mut *connection, member, server, client_name.as_deref(), good_until).await?;
    if live.is_some() {
        return Ok(live);
    }
    insert_ticket(connection, ticket).await?;
    Ok(None)
}

async fn insert_ticket(connection: &mut AnyConnection, ticket: &Ticket) -> Result<()> {
    sqlx::query(
        "INSERT INTO connect_tickets
             (digest, member_id, server_id, client_name, sealed, live, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, 1, $6, $7)",
    )
    .bind(ticket.digest.to_string())
    .bind(ticket.member.as_str())
    .bind(ticket.server.as_str())
    .bind(&ticket.client_name)
    .bind(ticket.sealed.as_ref().map(Sealed::as_bytes))
    .bind(to_database(ticket.created_at.0))
    .bind(to_database(ticket.expires_at.0))
    .execute(&mut *connection)
    .await
    .map_err(|error| constraint(error, "ticket", &ticket.digest.to_string(), "member or server"))?;
    sqlx::query(
        "UPDATE connect_tickets SET live = 0
         WHERE member_id = $1 AND server_id = $2 AND live = 1 AND sequence NOT IN (
             SELECT sequence FROM connect_tickets WHERE member_id = $1 AND server_id = $2 AND live = 1
             ORDER BY created_at DESC, sequence DESC LIMIT $3)",
    )
    .bind(ticket.member.as_str())
    .bind(ticket.server.as_str())
    .bind(i64::from(LIVE_TICKETS))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn ticket(
    connection: &mut AnyConnection,
    digest: &Digest,
    now: Timestamp,
) -> Result<Option<Ticket>> {
    let row: Option<TicketRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(connect_tickets),
        " FROM connect_tickets WHERE digest = $1 AND live = 1 AND expires_at > $2"
    ))
    .bind(digest.to_string())
    .bind(to_database(now.0))
    .fetch_optional(connection)
    .await?;
    row.map(TicketRow::read).transpose()
}

pub(super) async fn take_ticket(
    connection: &mut AnyConnection,
    digest: &Digest,
    now: Timestamp,
) -> Result<Option<Ticket>> {
    let row: Option<TicketRow> = sqlx::query_as(concat!(
        "UPDATE connect_tickets SET live = 0 WHERE digest = $1 AND live = 1 AND expires_at > $2 RETURNING ",
        columns!(connect_tickets)
    ))
    .bind(digest.to_string())
    .bind(to_database(now.0))
    .fetch_optional(connection)
    .await?;
    row.map(TicketRow::read).transpose()
}

pub(super) async fn burn_ticket(write: &mut Write, digest: &Digest, now: Timestamp) -> Result<bool> {
    let Some(ticket) = take_ticket(write.connection(), digest, now).await? else { return Ok(false) };
    write.record("connect.wrong_person", &ticket.member);
    Ok(true)
}

pub(super) async fn tickets_since(
    connection: &mut AnyConnection,
    member: &MemberId,
    server: &ServerId,
    since: Timestamp,
) -> Result<u32> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM connect_tickets WHERE member_id = $1 AND server_id = $2 AND created_at > $3",
    )
    .bind(member.as_str())
    .bind(server.as_str())
    .bind(to_database(since.0))
    .fetch_one(connection)
    .await?;
    Ok(u32::try_from(from_database(count)).unwrap_or(u32::MAX))
}

pub(super) async fn create_session(connection: &mut AnyConnection, session: &BrowserSession) -> Result<()> {
    sqlx::query(
        "INSERT INTO browser_sessions
             (digest, issuer, subject, name, csrf, created_at, last_seen_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(session.digest.to_string())
    .bind(&session.identity.issuer)
    .bind(&session.identity.subject)
    .bind(&session.name)
    .bind(session.csrf.to_string())
    .bind(to_database(session.created_at.0))
    .bind(to_database(session.last_seen_at.0))
    .bind(to_database(session.expires_at.0))
    .execute(connection)
    .await
    .map_err(|error| constraint(error, "session", &session.digest.to_string(), "identity"))?;
    Ok(())
}

pub(super) async fn session(
    connection: &mut AnyConnection,
    digest: &Digest,
    now: Timestamp,
) -> Result<Option<BrowserSession>> {
    let row: Option<SessionRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(browser_sessions),
        " FROM browser_sessions WHERE digest = $1 AND expires_at > $2"
    ))
    .bind(digest.to_string())
    .bind(to_database(now.0))
    .fetch_optional(connection)
    .await?;
    row.map(SessionRow::read).transpose()
}

/// A session that was over when it was seen stays over, and what was seen later counts.
pub(super) async fn touch_session(
    connection: &mut AnyConnection,
    digest: &Digest,
    seen: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    sqlx::query(
        "UPDATE browser_sessions SET last_seen_at = $1, expires_at = $2
         WHERE digest = $3 AND last_seen_at <= $1 AND expires_at > $1",
    )
    .bind(to_database(seen.0))
    .bind(to_database(expires_at.0))
    .bind(digest.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn delete_session(connection: &mut AnyConnection, digest: &Digest) -> Result<()> {
    sqlx::query("DELETE FROM browser_sessions WHERE digest = $1")
        .bind(digest.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn create_flow(connection: &mut AnyConnection, flow: &Flow) -> Result<()> {
    sqlx::query(
        "INSERT INTO oauth_flows
             (state, cookie, session, member_id, server_id, origin, issuer, client_id, sealed, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(flow.state.to_string())
    .bind(flow.cookie.to_string())
    .bind(flow.session.to_string())
    .bind(flow.member.as_str())
    .bind(flow.server.as_str())
    .bind(&flow.binding.origin)
    .bind(&flow.binding.issuer)
    .bind(&flow.binding.client_id)
    .bind(flow.sealed.as_bytes())
    .bind(to_database(flow.expires_at.0))
    .execute(connection)
    .await
    .map_err(|error| constraint(error, "flow", &flow.state.to_string(), "member or server"))?;
    Ok(())
}

pub(super) async fn take_flow(
    connection: &mut AnyConnection,
    state: &Digest,
    now: Timestamp,
) -> Result<Option<Flow>> {
    let row: Option<FlowRow> = sqlx::query_as(concat!(
        "DELETE FROM oauth_flows WHERE state = $1 AND expires_at > $2 RETURNING ",
        columns!(oauth_flows)
    ))
    .bind(state.to_string())
    .bind(to_database(now.0))
    .fetch_optional(connection)
    .await?;
    row.map(FlowRow::read).transpose()
}

pub(super) async fn note_wrong_browser(write: &mut Write, member: &MemberId) -> Result<()> {
    write.record("connect.wrong_browser", member);
    Ok(())
}

pub(super) async fn sweep(connection: &mut AnyConnection, now: Timestamp) -> Result<()> {
    for (statement, age) in [
        ("DELETE FROM connect_tickets WHERE expires_at <= $1", TICKETS_COUNTED_FOR),
        ("DELETE FROM browser_sessions WHERE expires_at <= $1", Duration::ZERO),
        ("DELETE FROM oauth_flows WHERE expires_at <= $1", Duration::ZERO),
        ("DELETE FROM upstream_sessions WHERE created_at <= $1", UPSTREAM_SESSION_AGE),
    ] {
        sqlx::query(statement).bind(to_database(now.minus(age).0)).execute(&mut *connection).await?;
    }
    Ok(())
}
