//! What is known of upstreams: what they say about themselves, and the sessions that they have opened.

use portcullis_wire::digest::Digest;
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{RowName, constraint, timestamp, to_database, to_json};
use crate::domain::ids::{MemberId, ServerId};
use crate::domain::server::Sealed;
use crate::store::Result;
use crate::store::connections::{Catalogue, UpstreamSession};

#[derive(sqlx::FromRow)]
struct CatalogueRow {
    learnt_at: i64,
    results: String,
    cut: String,
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    member_id: String,
    server_id: String,
    session_id: Option<Vec<u8>>,
    protocol_version: String,
    created_at: i64,
}

impl SessionRow {
    fn read(self) -> UpstreamSession {
        UpstreamSession {
            member: self.member_id.into(),
            server: self.server_id.into(),
            session_id: self.session_id.map(Sealed::new),
            protocol_version: self.protocol_version,
            created_at: timestamp(self.created_at),
        }
    }
}

pub(super) async fn catalogue(
    connection: &mut AnyConnection,
    server: &ServerId,
) -> Result<Option<Catalogue>> {
    let row: Option<CatalogueRow> =
        sqlx::query_as(concat!("SELECT ", columns!(catalogues), " FROM catalogues WHERE server_id = $1"))
            .bind(server.as_str())
            .fetch_optional(connection)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let name = RowName { table: "catalogues", row: server.as_str() };
    let (results, cut) = (name.json(&row.results)?, name.json(&row.cut)?);
    Ok(Some(Catalogue { learnt_at: timestamp(row.learnt_at), results, cut }))
}

/// Answers whether it is kept. Of the entries nothing is said here.
pub(super) async fn save_catalogue(
    connection: &mut AnyConnection,
    server: &ServerId,
    saved: &Catalogue,
) -> Result<bool> {
    let saved = sqlx::query(
        "INSERT INTO catalogues (server_id, learnt_at, results, cut) VALUES ($1, $2, $3, $4)
         ON CONFLICT (server_id) DO UPDATE
         SET learnt_at = excluded.learnt_at, results = excluded.results, cut = excluded.cut
         WHERE catalogues.learnt_at <= excluded.learnt_at",
    )
    .bind(server.as_str())
    .bind(to_database(saved.learnt_at.0))
    .bind(to_json(&saved.results))
    .bind(to_json(&saved.cut))
    .execute(&mut *connection)
    .await
    .map_err(|error| constraint(error, "catalogue", server.as_str(), "server"))?;
    Ok(saved.rows_affected() > 0)
}

pub(super) async fn session(
    connection: &mut AnyConnection,
    digest: &Digest,
) -> Result<Option<UpstreamSession>> {
    let row: Option<SessionRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(upstream_sessions),
        " FROM upstream_sessions WHERE digest = $1"
    ))
    .bind(digest.to_string())
    .fetch_optional(connection)
    .await?;
    Ok(row.map(SessionRow::read))
}

/// Not a commit: it takes no revision.
pub(super) async fn save_session(
    connection: &mut AnyConnection,
    digest: &Digest,
    opened: &UpstreamSession,
) -> Result<UpstreamSession> {
    sqlx::query(
        "INSERT INTO upstream_sessions
             (digest, member_id, server_id, session_id, protocol_version, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (digest) DO NOTHING",
    )
    .bind(digest.to_string())
    .bind(opened.member.as_str())
    .bind(opened.server.as_str())
    .bind(opened.session_id.as_ref().map(Sealed::as_bytes))
    .bind(&opened.protocol_version)
    .bind(to_database(opened.created_at.0))
    .execute(&mut *connection)
    .await
    .map_err(|error| constraint(error, "session", opened.server.as_str(), "member or server"))?;
    let kept = session(connection, digest).await?;
    kept.ok_or_else(|| {
        RowName { table: "upstream_sessions", row: &digest.to_string() }
            .corrupt("it was written and is not there")
    })
}

/// A member's credential is gone, and with it what was opened with it.
pub(super) async fn end_sessions(write: &mut Write, server: &ServerId, member: &MemberId) -> Result<()> {
    sqlx::query("DELETE FROM upstream_sessions WHERE server_id = $1 AND member_id = $2")
        .bind(server.as_str())
        .bind(member.as_str())
        .execute(write.connection())
        .await?;
    Ok(())
}

/// The server has moved to another origin: nothing that was learnt or entered before concerns it any more. A client that
/// the gateway registered is another matter: its issuer has given it and is the only one to be shown its secret, and
/// without it connections could neither be renewed after their release nor revoked.
pub(super) async fn forget(write: &mut Write, server: &ServerId) -> Result<()> {
    for statement in [
        "DELETE FROM oauth_clients WHERE server_id = $1 AND kind <> 'dynamic'",
        "DELETE FROM catalogues WHERE server_id = $1",
        "DELETE FROM catalogue_entries WHERE server_id = $1",
        "DELETE FROM upstream_sessions WHERE server_id = $1",
    ] {
        sqlx::query(statement).bind(server.as_str()).execute(write.connection()).await?;
    }
    Ok(())
}
