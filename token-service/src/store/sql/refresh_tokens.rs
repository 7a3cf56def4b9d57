//! Refresh tokens: each good for one use, and for a little while after it for whoever lost the answer.

use portcullis_wire::digest::Digest;
use sqlx::AnyConnection;

use super::client_sessions;
use super::convert::{Flag, RowName, timestamp, to_database};
use crate::clock::Timestamp;
use crate::domain::client_session::{IDLE, Successor};
use crate::domain::ids::ClientSessionId;
use crate::domain::server::Sealed;
use crate::store::Result;
use crate::store::authorization::{REFRESH_GRACE, Refreshed};

#[derive(sqlx::FromRow)]
struct UsedRow {
    session_id: String,
    used_at: i64,
    successor: String,
    sealed: Vec<u8>,
    successor_is_unused: Flag,
}

pub(super) async fn create(
    connection: &mut AnyConnection,
    token: &Digest,
    session: &ClientSessionId,
) -> Result<()> {
    sqlx::query("INSERT INTO refresh_tokens (digest, session_id) VALUES ($1, $2)")
        .bind(token.to_string())
        .bind(session.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// What [`Refreshed::Stolen`] means for the session is yet to be done.
pub(super) async fn rotate(
    connection: &mut AnyConnection,
    token: &Digest,
    next: &Successor,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Refreshed> {
    let session: Option<String> = sqlx::query_scalar(
        "UPDATE refresh_tokens SET used_at = $1, successor = $2, sealed = $3
         WHERE digest = $4 AND used_at IS NULL
             AND session_id IN (SELECT id FROM client_sessions WHERE expires_at > $1)
         RETURNING session_id",
    )
    .bind(to_database(now.0))
    .bind(next.digest.to_string())
    .bind(next.sealed.as_bytes())
    .bind(token.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(session) = session.map(ClientSessionId::from) else {
        return again(connection, token, now).await;
    };
    create(connection, &next.digest, &session).await?;
    let session = client_sessions::prolong(connection, &session, now, expires_at).await?;
    Ok(session.map_or(Refreshed::Unknown, Refreshed::Rotated))
}

/// A token that is not, or no longer, good.
async fn again(connection: &mut AnyConnection, token: &Digest, now: Timestamp) -> Result<Refreshed> {
    let name = token.to_string();
    let used: Option<UsedRow> = sqlx::query_as(
        "SELECT used.session_id, used.used_at, used.successor, used.sealed,
             EXISTS (SELECT 1 FROM refresh_tokens AS next WHERE next.digest = used.successor AND next.used_at IS NULL)
                 AS successor_is_unused
         FROM refresh_tokens AS used JOIN client_sessions AS session ON session.id = used.session_id
         WHERE used.digest = $1 AND used.used_at IS NOT NULL AND session.expires_at > $2",
    )
    .bind(&name)
    .bind(to_database(now.0))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(used) = used else { return Ok(Refreshed::Unknown) };
    let session = ClientSessionId::from(used.session_id);
    if !used.successor_is_unused.0 || timestamp(used.used_at).plus(REFRESH_GRACE) <= now {
        return Ok(Refreshed::Stolen(session));
    }
    let row = RowName { table: "refresh_tokens", row: &name };
    let successor = Successor { digest: row.digest(&used.successor)?, sealed: Sealed::new(used.sealed) };
    let session = client_sessions::by_id(connection, &session).await?;
    Ok(session.map_or(Refreshed::Unknown, |session| Refreshed::Repeated(session, successor)))
}

pub(super) async fn sweep(connection: &mut AnyConnection, now: Timestamp) -> Result<()> {
    sqlx::query("DELETE FROM refresh_tokens WHERE used_at <= $1")
        .bind(to_database(now.minus(IDLE).0))
        .execute(connection)
        .await?;
    Ok(())
}
