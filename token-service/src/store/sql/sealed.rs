//! Everything that is sealed, row by row: what [`SealingStore`](crate::store::SealingStore) reads and replaces.

use sqlx::{AnyConnection, AssertSqlSafe};

use super::columns;
use super::connections::ConnectionRow;
use super::convert::{RowName, from_database};
use super::{servers, signing_keys};
use crate::domain::header::HeaderName;
use crate::domain::server::{Sealed, Server, ServerAuth};
use crate::store::{Result, SealedColumn, SealedRow};
use crate::vault::{Place, sealed_under};

/// What a page is asked for.
pub(super) struct Page<'a> {
    pub(super) column: SealedColumn,
    pub(super) not_under: Option<u32>,
    pub(super) after: Option<&'a [String]>,
    pub(super) limit: u32,
}

impl Page<'_> {
    /// The first, and so far the last, part of the key after which the page begins.
    fn after(&self) -> &str {
        self.after.and_then(<[String]>::first).map_or("", String::as_str)
    }

    /// The condition on a sealed column: the number of the key that sealed a value stands behind its first two bytes.
    /// `$3` holds the number.
    fn condition(column: &str) -> String {
        format!("{column} IS NOT NULL AND substr({column}, 3, 4) <> $3")
    }

    /// Of the key; something longer, which no value has there, where all are wanted.
    fn number(&self) -> Vec<u8> {
        self.not_under.map_or_else(|| vec![0; 5], |id| id.to_be_bytes().to_vec())
    }

    fn wants(&self, row: &SealedRow) -> bool {
        self.not_under.is_none_or(|id| sealed_under(&row.sealed) != Some(id))
    }
}

pub(super) async fn page(connection: &mut AnyConnection, page: &Page<'_>) -> Result<Vec<SealedRow>> {
    match page.column {
        SealedColumn::ServerHeader
        | SealedColumn::ServerSecret
        | SealedColumn::RegisteredClient
        | SealedColumn::SigningKey => {
            if page.after.is_some() {
                return Ok(Vec::new());
            }
            let rows = match page.column {
                SealedColumn::RegisteredClient => registered_clients(connection).await?,
                SealedColumn::SigningKey => of_signing_keys(connection).await?,
                column => of_servers(connection, column).await?,
            };
            Ok(rows.into_iter().filter(|row| page.wants(row)).collect())
        }
        SealedColumn::AccessToken | SealedColumn::RefreshToken => of_connections(connection, page).await,
        SealedColumn::UpstreamSession => upstream_sessions(connection, page).await,
        SealedColumn::Ticket => tickets(connection, page).await,
        SealedColumn::Flow => flows(connection, page).await,
        SealedColumn::ClientRefreshToken => client_refresh_tokens(connection, page).await,
    }
}

async fn of_servers(connection: &mut AnyConnection, column: SealedColumn) -> Result<Vec<SealedRow>> {
    let servers = servers::all(connection).await?;
    Ok(servers
        .iter()
        .flat_map(|server| match column {
            SealedColumn::ServerHeader => headers(server),
            _ => client_secret(server).into_iter().collect(),
        })
        .collect())
}

fn headers(server: &Server) -> Vec<SealedRow> {
    let ServerAuth::Headers(headers) = &server.settings.auth else { return Vec::new() };
    let row = |name: &HeaderName, generation, value: &Sealed| SealedRow {
        column: SealedColumn::ServerHeader,
        key: vec![server.id.to_string(), name.to_string()],
        place: Place::server_header(&server.id, &server.settings.url, name, generation),
        sealed: value.clone(),
    };
    headers.iter().map(|header| row(&header.name, header.generation, &header.value)).collect()
}

fn client_secret(server: &Server) -> Option<SealedRow> {
    let (client, authorization_server) = server.settings.auth.client()?;
    let secret = client.authentication.secret()?;
    Some(SealedRow {
        column: SealedColumn::ServerSecret,
        key: vec![server.id.to_string()],
        place: Place::client_secret(
            &server.id,
            &server.settings.url,
            authorization_server,
            &client.client_id,
            secret.generation,
        ),
        sealed: secret.value.clone(),
    })
}

async fn registered_clients(connection: &mut AnyConnection) -> Result<Vec<SealedRow>> {
    let rows: Vec<(String, String, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT server_id, issuer, generation, sealed FROM oauth_clients WHERE sealed IS NOT NULL
         ORDER BY server_id, issuer",
    )
    .fetch_all(connection)
    .await?;
    let row = |(server, issuer, generation, sealed): (String, String, i64, Vec<u8>)| SealedRow {
        column: SealedColumn::RegisteredClient,
        place: Place::registered_client(&server.clone().into(), &issuer, from_database(generation)),
        key: vec![server, issuer],
        sealed: Sealed::new(sealed),
    };
    Ok(rows.into_iter().map(row).collect())
}

async fn of_signing_keys(connection: &mut AnyConnection) -> Result<Vec<SealedRow>> {
    let keys = signing_keys::all(connection).await?;
    let row = |key: crate::domain::signing::SigningKeyRow| SealedRow {
        column: SealedColumn::SigningKey,
        place: Place::signing_key(&key.id, key.algorithm),
        key: vec![key.id],
        sealed: key.private_key,
    };
    Ok(keys.into_iter().map(row).collect())
}

async fn of_connections(connection: &mut AnyConnection, page: &Page<'_>) -> Result<Vec<SealedRow>> {
    let (_, column) = page.column.name();
    let statement = format!(
        "SELECT {} FROM connections WHERE id > $1 AND {} ORDER BY id LIMIT $2",
        columns!(connections),
        Page::condition(column)
    );
    let rows: Vec<ConnectionRow> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(page.after())
        .bind(i64::from(page.limit))
        .bind(page.number())
        .fetch_all(connection)
        .await?;
    let mut sealed = Vec::new();
    for row in rows {
        let connection = row.read()?;
        let tokens = connection.tokens.as_ref();
        let value = match page.column {
            SealedColumn::AccessToken => tokens.map(|tokens| tokens.access.clone()),
            _ => tokens.and_then(|tokens| tokens.refresh.clone()),
        };
        let Some(value) = value else { continue };
        sealed.push(SealedRow {
            column: page.column,
            key: vec![connection.id.to_string()],
            place: Place::connection(&connection, column, connection.generation),
            sealed: value,
        });
    }
    Ok(sealed)
}

async fn upstream_sessions(connection: &mut AnyConnection, page: &Page<'_>) -> Result<Vec<SealedRow>> {
    owned(connection, page, "digest", |row, digest, member, server| {
        Ok(Place::upstream_session(&row.digest(digest)?, &member.into(), &server.into()))
    })
    .await
}

async fn tickets(connection: &mut AnyConnection, page: &Page<'_>) -> Result<Vec<SealedRow>> {
    owned(connection, page, "digest", |row, digest, member, server| {
        Ok(Place::ticket(&row.digest(digest)?, &member.into(), &server.into()))
    })
    .await
}

async fn flows(connection: &mut AnyConnection, page: &Page<'_>) -> Result<Vec<SealedRow>> {
    owned(connection, page, "state", |row, state, member, server| {
        Ok(Place::flow(&row.digest(state)?, &member.into(), &server.into()))
    })
    .await
}

/// What belongs to a member on a server, and is found by the text of a digest in the column `key`.
async fn owned(
    connection: &mut AnyConnection,
    page: &Page<'_>,
    key: &str,
    place: impl Fn(RowName<'_>, &str, String, String) -> Result<Place>,
) -> Result<Vec<SealedRow>> {
    let (table, column) = page.column.name();
    let statement = format!(
        "SELECT {key}, member_id, server_id, {column} FROM {table} WHERE {key} > $1 AND {}
         ORDER BY {key} LIMIT $2",
        Page::condition(column)
    );
    let rows: Vec<(String, String, String, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(page.after())
        .bind(i64::from(page.limit))
        .bind(page.number())
        .fetch_all(connection)
        .await?;
    let row = |(key, member, server, sealed): (String, String, String, Vec<u8>)| {
        let place = place(RowName { table, row: &key }, &key, member, server)?;
        Ok(SealedRow { column: page.column, key: vec![key], place, sealed: Sealed::new(sealed) })
    };
    rows.into_iter().map(row).collect()
}

async fn client_refresh_tokens(connection: &mut AnyConnection, page: &Page<'_>) -> Result<Vec<SealedRow>> {
    let statement = format!(
        "SELECT digest, session_id, sealed FROM refresh_tokens WHERE digest > $1 AND {}
         ORDER BY digest LIMIT $2",
        Page::condition("sealed")
    );
    let rows: Vec<(String, String, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(page.after())
        .bind(i64::from(page.limit))
        .bind(page.number())
        .fetch_all(connection)
        .await?;
    let row = |(digest, session, sealed): (String, String, Vec<u8>)| {
        let name = RowName { table: "refresh_tokens", row: &digest };
        let place = Place::refresh_token(&name.digest(&digest)?, &session.into());
        Ok(SealedRow { column: page.column, key: vec![digest], place, sealed: Sealed::new(sealed) })
    };
    rows.into_iter().map(row).collect()
}

/// In a transaction that has its turn: whoever changes several rows has one too, and so nobody waits in a circle.
pub(super) async fn replace(connection: &mut AnyConnection, rows: &[(SealedRow, Sealed)]) -> Result<u64> {
    let mut replaced = 0;
    for (row, sealed) in rows {
        replaced += replace_one(connection, row, sealed).await?;
    }
    Ok(replaced)
}

async fn replace_one(connection: &mut AnyConnection, row: &SealedRow, sealed: &Sealed) -> Result<u64> {
    let (table, column) = row.column.name();
    let condition = match row.column {
        SealedColumn::ServerHeader => "server_id = $3 AND name = $4",
        SealedColumn::ServerSecret => "server_id = $3",
        SealedColumn::AccessToken | SealedColumn::RefreshToken | SealedColumn::SigningKey => "id = $3",
        SealedColumn::RegisteredClient => "server_id = $3 AND issuer = $4",
        SealedColumn::UpstreamSession | SealedColumn::Ticket | SealedColumn::ClientRefreshToken => {
            "digest = $3"
        }
        SealedColumn::Flow => "state = $3",
    };
    let statement = format!("UPDATE {table} SET {column} = $1 WHERE {column} = $2 AND {condition}");
    let mut update =
        sqlx::query(AssertSqlSafe(statement)).bind(sealed.as_bytes()).bind(row.sealed.as_bytes());
    for part in &row.key {
        update = update.bind(part.as_str());
    }
    Ok(update.execute(connection).await?.rows_affected())
}
