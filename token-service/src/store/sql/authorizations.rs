//! What members have agreed to, and the codes for it.

use portcullis_wire::digest::Digest;
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{Flag, RowName, constraint, timestamp, to_database};
use super::{client_sessions, dynamic_clients, refresh_tokens};
use crate::clock::Timestamp;
use crate::domain::client_session::{Authorization, ClientName, ClientSession, Extent, ShownCode};
use crate::domain::ids::ClientSessionId;
use crate::store::Result;
use crate::store::authorization::AUTHORIZATION_AGE;

#[derive(sqlx::FromRow)]
struct AuthorizationRow {
    request: String,
    member_id: String,
    server_id: String,
    resource: String,
    client_id: String,
    client_name: String,
    redirect_uri: String,
    challenge: String,
    writes: Flag,
    code_expires_at: Option<i64>,
    used_at: Option<i64>,
    created_at: i64,
}

impl AuthorizationRow {
    fn read(self) -> Result<Authorization> {
        let row = RowName { table: "authorizations", row: &self.request };
        Ok(Authorization {
            request: row.digest(&self.request)?,
            resource: row.resource(&self.resource)?,
            member: self.member_id.into(),
            server: self.server_id.into(),
            client: ClientName { id: self.client_id, name: self.client_name },
            redirect_uri: self.redirect_uri,
            challenge: self.challenge,
            extent: extent(self.writes.0),
            created_at: timestamp(self.created_at),
        })
    }

    fn read_code(self) -> Result<ShownCode> {
        let is_used = self.used_at.is_some();
        let expires_at = self.code_expires_at.map_or(Timestamp(0), timestamp);
        Ok(ShownCode { is_used, expires_at, authorization: self.read()? })
    }
}

pub(super) fn extent(writes: bool) -> Extent {
    if writes { Extent::Everything } else { Extent::Reading }
}

pub(super) async fn agree(connection: &mut AnyConnection, new: &Authorization) -> Result<bool> {
    let added = sqlx::query(
        "INSERT INTO authorizations (request, member_id, server_id, resource, client_id, client_name, redirect_uri,
             challenge, writes, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (request) DO NOTHING",
    )
    .bind(new.request.to_string())
    .bind(new.member.as_str())
    .bind(new.server.as_str())
    .bind(new.resource.to_string())
    .bind(&new.client.id)
    .bind(&new.client.name)
    .bind(&new.redirect_uri)
    .bind(&new.challenge)
    .bind(Flag(new.extent == Extent::Everything))
    .bind(to_database(new.created_at.0))
    .execute(connection)
    .await
    .map_err(|error| constraint(error, "request", &new.request.to_string(), "member or server"))?;
    Ok(added.rows_affected() == 1)
}

pub(super) async fn agreed(
    connection: &mut AnyConnection,
    request: &Digest,
) -> Result<Option<Authorization>> {
    let row: Option<AuthorizationRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(authorizations),
        " FROM authorizations WHERE request = $1 AND code IS NULL"
    ))
    .bind(request.to_string())
    .fetch_optional(connection)
    .await?;
    row.map(AuthorizationRow::read).transpose()
}

pub(super) async fn show_code(
    connection: &mut AnyConnection,
    request: &Digest,
    code: &Digest,
    expires_at: Timestamp,
) -> Result<bool> {
    let shown = sqlx::query(
        "UPDATE authorizations SET code = $1, code_expires_at = $2 WHERE request = $3 AND code IS NULL",
    )
    .bind(code.to_string())
    .bind(to_database(expires_at.0))
    .bind(request.to_string())
    .execute(connection)
    .await?;
    Ok(shown.rows_affected() == 1)
}

pub(super) async fn code(connection: &mut AnyConnection, code: &Digest) -> Result<Option<ShownCode>> {
    let row: Option<AuthorizationRow> =
        sqlx::query_as(concat!("SELECT ", columns!(authorizations), " FROM authorizations WHERE code = $1"))
            .bind(code.to_string())
            .fetch_optional(connection)
            .await?;
    row.map(AuthorizationRow::read_code).transpose()
}

pub(super) async fn redeem(
    write: &mut Write,
    code: &Digest,
    session: &ClientSession,
    refresh: &Digest,
) -> Result<bool> {
    let now = session.created_at;
    let redeemed = sqlx::query(
        "UPDATE authorizations SET used_at = $1, session = $2
         WHERE code = $3 AND used_at IS NULL AND code_expires_at > $1",
    )
    .bind(to_database(now.0))
    .bind(session.id.as_str())
    .bind(code.to_string())
    .execute(write.connection())
    .await?;
    if redeemed.rows_affected() == 0 {
        end_what_came_of(write, code).await?;
        return Ok(false);
    }
    client_sessions::create(write, session).await?;
    refresh_tokens::create(write.connection(), refresh, &session.id).await?;
    dynamic_clients::note_use(write.connection(), &session.client.id, now).await?;
    Ok(true)
}

pub(super) async fn spoil(write: &mut Write, code: &Digest, now: Timestamp) -> Result<()> {
    let spoilt = sqlx::query("UPDATE authorizations SET used_at = $1 WHERE code = $2 AND used_at IS NULL")
        .bind(to_database(now.0))
        .bind(code.to_string())
        .execute(write.connection())
        .await?;
    if spoilt.rows_affected() > 0 {
        // Nobody decided anything, but the code must not come back.
        write.leave_unrecorded();
        return Ok(());
    }
    end_what_came_of(write, code).await
}

async fn end_what_came_of(write: &mut Write, code: &Digest) -> Result<()> {
    let session: Option<Option<String>> =
        sqlx::query_scalar("SELECT session FROM authorizations WHERE code = $1")
            .bind(code.to_string())
            .fetch_optional(write.connection())
            .await?;
    if let Some(session) = session.flatten().map(ClientSessionId::from) {
        client_sessions::end(write, &session, "session.code_reused").await?;
    }
    Ok(())
}

pub(super) async fn sweep(connection: &mut AnyConnection, now: Timestamp) -> Result<()> {
    sqlx::query("DELETE FROM authorizations WHERE created_at <= $1")
        .bind(to_database(now.minus(AUTHORIZATION_AGE).0))
        .execute(connection)
        .await?;
    Ok(())
}
