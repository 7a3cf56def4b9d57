//! How servers are authenticated to: a word in their row, headers and secrets in tables of their own, the rest as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::columns;
use super::connection::Write;
use super::convert::{RowName, constraint, from_database, to_database, to_json};
use crate::domain::header::HeaderName;
use crate::domain::ids::ServerId;
use crate::domain::server::{
    AuthorizationServerSettings, ClientAuthentication, ClientCredentialsSettings, ClientSettings,
    OAuthSettings, Sealed, SealedHeader, SealedSecret, ServerAuth,
};
use crate::store::{Result, StoreError};

/// What `servers.auth_settings` holds for `oauth`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OAuthRow {
    preset: Option<String>,
    client: Option<ClientRow>,
    scopes: Option<Vec<String>>,
    authorize_parameters: BTreeMap<String, String>,
    authorization_server: AuthorizationServerSettings,
    assume_pkce: bool,
}

/// What `servers.auth_settings` holds for `client_credentials`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientCredentialsRow {
    client: ClientRow,
    scopes: Option<Vec<String>>,
    token_parameters: BTreeMap<String, String>,
    authorization_server: AuthorizationServerSettings,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientRow {
    client_id: String,
    /// As OAuth metadata spells it; its secret is in `server_secrets`.
    authentication: String,
    key_id: Option<String>,
}

#[derive(sqlx::FromRow)]
struct HeaderRow {
    server_id: String,
    name: String,
    generation: i64,
    value: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct SecretRow {
    server_id: String,
    generation: i64,
    value: Vec<u8>,
}

/// What the tables besides `servers` hold about one server.
#[derive(Default)]
pub(super) struct Kept {
    headers: Vec<SealedHeader>,
    secret: Option<SealedSecret>,
}

pub(super) async fn of_server(connection: &mut AnyConnection, id: &str) -> Result<Kept> {
    let headers: Vec<HeaderRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(server_headers),
        " FROM server_headers WHERE server_id = $1 ORDER BY position"
    ))
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    let secret: Option<SecretRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(server_secrets),
        " FROM server_secrets WHERE server_id = $1"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await?;
    Ok(Kept {
        headers: headers.into_iter().map(HeaderRow::read).collect::<Result<_>>()?,
        secret: secret.map(|row| sealed_secret(row.generation, row.value)),
    })
}

/// By server id.
pub(super) async fn of_all(connection: &mut AnyConnection) -> Result<BTreeMap<String, Kept>> {
    let headers: Vec<HeaderRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(server_headers),
        " FROM server_headers ORDER BY server_id, position"
    ))
    .fetch_all(&mut *connection)
    .await?;
    let secrets: Vec<SecretRow> =
        sqlx::query_as(concat!("SELECT ", columns!(server_secrets), " FROM server_secrets"))
            .fetch_all(connection)
            .await?;
    let mut all: BTreeMap<String, Kept> = BTreeMap::new();
    for row in headers {
        all.entry(row.server_id.clone()).or_default().headers.push(row.read()?);
    }
    for SecretRow { server_id, generation, value } in secrets {
        all.entry(server_id).or_default().secret = Some(sealed_secret(generation, value));
    }
    Ok(all)
}

impl HeaderRow {
    fn read(self) -> Result<SealedHeader> {
        let row = RowName { table: "server_headers", row: &self.server_id };
        let name = HeaderName::parse(&self.name).map_err(|error| row.corrupt(error))?;
        Ok(SealedHeader { name, generation: from_database(self.generation), value: Sealed::new(self.value) })
    }
}

fn sealed_secret(generation: i64, value: Vec<u8>) -> SealedSecret {
    SealedSecret { generation: from_database(generation), value: Sealed::new(value) }
}

/// Puts together what the columns of `servers` and the other tables hold.
pub(super) fn read(row: RowName<'_>, auth: &str, settings: Option<&str>, kept: Kept) -> Result<ServerAuth> {
    let settings = settings.unwrap_or_default();
    match auth {
        "none" => Ok(ServerAuth::None),
        "headers" => Ok(ServerAuth::Headers(kept.headers)),
        "oauth" => {
            let OAuthRow { preset, client, scopes, authorize_parameters, authorization_server, assume_pkce } =
                row.json(settings)?;
            let client = client.map(|client| client.read(row, kept.secret)).transpose()?;
            Ok(ServerAuth::OAuth(Box::new(OAuthSettings {
                preset,
                client,
                scopes,
                authorize_parameters,
                authorization_server,
                assume_pkce,
            })))
        }
        "client_credentials" => {
            let ClientCredentialsRow { client, scopes, token_parameters, authorization_server } =
                row.json(settings)?;
            Ok(ServerAuth::ClientCredentials(Box::new(ClientCredentialsSettings {
                client: client.read(row, kept.secret)?,
                scopes,
                token_parameters,
                authorization_server,
            })))
        }
        _ => Err(row.corrupt("the auth type is unknown")),
    }
}

impl ClientRow {
    fn read(self, row: RowName<'_>, secret: Option<SealedSecret>) -> Result<ClientSettings> {
        let secret = || secret.ok_or_else(|| row.corrupt("the client's secret is missing"));
        let authentication = match self.authentication.as_str() {
            "none" => ClientAuthentication::None,
            "client_secret_basic" => ClientAuthentication::SecretBasic(secret()?),
            "client_secret_post" => ClientAuthentication::SecretPost(secret()?),
            "private_key_jwt" => ClientAuthentication::PrivateKeyJwt { key: secret()?, key_id: self.key_id },
            _ => return Err(row.corrupt("the client authentication is unknown")),
        };
        Ok(ClientSettings { client_id: self.client_id, authentication })
    }

    fn of(client: &ClientSettings) -> Self {
        let key_id = match &client.authentication {
            ClientAuthentication::PrivateKeyJwt { key_id, .. } => key_id.clone(),
            _ => None,
        };
        let authentication = client.authentication.as_str().to_owned();
        Self { client_id: client.client_id.clone(), authentication, key_id }
    }
}

/// What goes into `servers.auth_settings`.
pub(super) fn settings(auth: &ServerAuth) -> Option<String> {
    match auth {
        ServerAuth::None | ServerAuth::Headers(_) => None,
        ServerAuth::OAuth(settings) => Some(to_json(&OAuthRow {
            preset: settings.preset.clone(),
            client: settings.client.as_ref().map(ClientRow::of),
            scopes: settings.scopes.clone(),
            authorize_parameters: settings.authorize_parameters.clone(),
            authorization_server: settings.authorization_server.clone(),
            assume_pkce: settings.assume_pkce,
        })),
        ServerAuth::ClientCredentials(settings) => Some(to_json(&ClientCredentialsRow {
            client: ClientRow::of(&settings.client),
            scopes: settings.scopes.clone(),
            token_parameters: settings.token_parameters.clone(),
            authorization_server: settings.authorization_server.clone(),
        })),
    }
}

/// Makes the other tables hold what `auth` says, and nothing else, about the server.
pub(super) async fn write_secrets(write: &mut Write, id: &ServerId, auth: &ServerAuth) -> Result<()> {
    for statement in
        ["DELETE FROM server_headers WHERE server_id = $1", "DELETE FROM server_secrets WHERE server_id = $1"]
    {
        sqlx::query(statement).bind(id.as_str()).execute(write.connection()).await?;
    }
    let client = match auth {
        ServerAuth::None => None,
        ServerAuth::Headers(headers) => return insert_headers(write, id, headers).await,
        ServerAuth::OAuth(settings) => settings.client.as_ref(),
        ServerAuth::ClientCredentials(settings) => Some(&settings.client),
    };
    let Some(secret) = client.and_then(|client| client.authentication.secret()) else { return Ok(()) };
    sqlx::query("INSERT INTO server_secrets (server_id, generation, value) VALUES ($1, $2, $3)")
        .bind(id.as_str())
        .bind(to_database(secret.generation))
        .bind(secret.value.as_bytes())
        .execute(write.connection())
        .await
        .map_err(StoreError::from)?;
    Ok(())
}

async fn insert_headers(write: &mut Write, id: &ServerId, headers: &[SealedHeader]) -> Result<()> {
    for (position, header) in (0_i64..).zip(headers) {
        sqlx::query(
            "INSERT INTO server_headers (server_id, position, name, generation, value) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id.as_str())
        .bind(position)
        .bind(header.name.as_str())
        .bind(to_database(header.generation))
        .bind(header.value.as_bytes())
        .execute(write.connection())
        .await
        .map_err(|error| constraint(error, "header", header.name.as_str(), "server"))?;
    }
    Ok(())
}
