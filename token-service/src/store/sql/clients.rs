//! OAuth clients that the gateway registered. Nothing here is a commit: it takes no revision.

use sqlx::AnyConnection;

use super::columns;
use super::convert::{RowName, constraint, from_database, timestamp, to_database};
use super::servers;
use crate::domain::ids::ServerId;
use crate::domain::server::Sealed;
use crate::store::Result;
use crate::store::connections::{ClientKind, RegisteredClient};

#[derive(sqlx::FromRow)]
struct ClientRow {
    server_id: String,
    issuer: String,
    client_id: String,
    kind: String,
    authentication: String,
    sealed: Option<Vec<u8>>,
    secret_expires_at: Option<i64>,
    redirect_uri: String,
    generation: i64,
    created_at: i64,
}

impl ClientRow {
    fn read(self) -> Result<RegisteredClient> {
        let row = RowName { table: "oauth_clients", row: &self.server_id };
        let kind = match self.kind.as_str() {
            "pre_registered" => ClientKind::PreRegistered,
            "metadata_document" => ClientKind::MetadataDocument,
            "dynamic" => ClientKind::Dynamic,
            _ => return Err(row.corrupt("the kind is unknown")),
        };
        Ok(RegisteredClient {
            server: self.server_id.into(),
            issuer: self.issuer,
            client_id: self.client_id,
            kind,
            authentication: self.authentication,
            secret: self.sealed.map(Sealed::new),
            secret_expires_at: self.secret_expires_at.map(timestamp),
            redirect_uri: self.redirect_uri,
            generation: from_database(self.generation),
            created_at: timestamp(self.created_at),
        })
    }
}

fn kind_text(kind: ClientKind) -> &'static str {
    match kind {
        ClientKind::PreRegistered => "pre_registered",
        ClientKind::MetadataDocument => "metadata_document",
        ClientKind::Dynamic => "dynamic",
    }
}

pub(super) async fn find(
    connection: &mut AnyConnection,
    server: &ServerId,
    issuer: &str,
) -> Result<Option<RegisteredClient>> {
    let row: Option<ClientRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(oauth_clients),
        " FROM oauth_clients WHERE server_id = $1 AND issuer = $2"
    ))
    .bind(server.as_str())
    .bind(issuer)
    .fetch_optional(connection)
    .await?;
    row.map(ClientRow::read).transpose()
}

pub(super) async fn last_issuer(connection: &mut AnyConnection, server: &ServerId) -> Result<Option<String>> {
    let Some(found) = servers::by_id(connection, server).await? else { return Ok(None) };
    // What was made for another origin says nothing about the server as it is now.
    let issuer = sqlx::query_scalar(
        "SELECT issuer FROM (
             SELECT issuer, created_at AS made_at FROM oauth_clients WHERE server_id = $1
             UNION ALL
             SELECT issuer, connected_at FROM connections WHERE server_id = $1 AND origin = $2
         ) AS known ORDER BY made_at DESC, issuer LIMIT 1",
    )
    .bind(server.as_str())
    .bind(found.settings.url.origin())
    .fetch_optional(connection)
    .await?;
    Ok(issuer)
}

/// One statement, so that of several at once one is faster.
pub(super) async fn save(connection: &mut AnyConnection, client: &RegisteredClient) -> Result<bool> {
    let saved = sqlx::query(
        "INSERT INTO oauth_clients
             (server_id, issuer, client_id, kind, authentication, sealed, secret_expires_at, redirect_uri,
              generation, created_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         WHERE $9 = 1 OR EXISTS (SELECT 1 FROM oauth_clients WHERE server_id = $1 AND issuer = $2)
         ON CONFLICT (server_id, issuer) DO UPDATE SET
             client_id = excluded.client_id, kind = excluded.kind, authentication = excluded.authentication,
             sealed = excluded.sealed, secret_expires_at = excluded.secret_expires_at,
             redirect_uri = excluded.redirect_uri, generation = excluded.generation,
             created_at = excluded.created_at
         WHERE oauth_clients.generation + 1 = excluded.generation",
    )
    .bind(client.server.as_str())
    .bind(&client.issuer)
    .bind(&client.client_id)
    .bind(kind_text(client.kind))
    .bind(&client.authentication)
    .bind(client.secret.as_ref().map(Sealed::as_bytes))
    .bind(client.secret_expires_at.map(|time| to_database(time.0)))
    .bind(&client.redirect_uri)
    .bind(to_database(client.generation))
    .bind(to_database(client.created_at.0))
    .execute(connection)
    .await
    .map_err(|error| constraint(error, "client", &client.issuer, "server"))?;
    Ok(saved.rows_affected() == 1)
}

pub(super) async fn delete(connection: &mut AnyConnection, server: &ServerId, issuer: &str) -> Result<()> {
    sqlx::query("DELETE FROM oauth_clients WHERE server_id = $1 AND issuer = $2")
        .bind(server.as_str())
        .bind(issuer)
        .execute(connection)
        .await?;
    Ok(())
}
