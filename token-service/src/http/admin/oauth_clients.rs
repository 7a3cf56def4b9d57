//! Clients that sign in with OAuth and whose data are kept here: those of the configuration, and those that registered
//! themselves. Clients with a metadata document are not: they are known by their sessions.

use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use super::commit::Wait;
use super::page::{Page, next};
use super::time;
use crate::domain::access::Operation;
use crate::domain::oauth_client::{DynamicClient, OAuthClient, SecretCheck};
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;

#[derive(Debug, Serialize, ToSchema)]
pub struct OAuthClientView {
    /// What it sends as `client_id`.
    pub id: String,
    /// Nobody has checked that of a client that registered itself.
    pub name: String,
    /// `config`, or `dynamic` for one that registered itself.
    pub origin: &'static str,
    pub redirect_uris: Vec<String>,
    /// `none`, `client_secret_basic` or `client_secret_post`.
    pub method: &'static str,
    /// RFC 3339; when it registered itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// RFC 3339; when a member first signed in with it. One that nobody uses ends after a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OAuthClientList {
    /// On the first page those of the configuration come first.
    pub clients: Vec<OAuthClientView>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl From<DynamicClient> for OAuthClientView {
    fn from(client: DynamicClient) -> Self {
        Self {
            id: client.id,
            name: client.name,
            origin: "dynamic",
            redirect_uris: client.redirect_uris,
            method: "none",
            created_at: Some(time::spell(client.created_at)),
            used_at: client.used_at.map(time::spell),
        }
    }
}

impl From<&OAuthClient> for OAuthClientView {
    fn from(client: &OAuthClient) -> Self {
        Self {
            id: client.id.clone(),
            name: client.name.clone(),
            origin: "config",
            redirect_uris: client.redirect_uris.clone(),
            method: match client.authentication {
                SecretCheck::None => "none",
                SecretCheck::Basic(_) => "client_secret_basic",
                SecretCheck::Post(_) => "client_secret_post",
            },
            created_at: None,
            used_at: None,
        }
    }
}

/// Lists the clients of the configuration and those that registered themselves.
#[utoipa::path(
    get, path = "/v1/oauth-clients", tag = "oauth_clients", params(Page),
    responses((status = OK, body = OAuthClientList))
)]
pub async fn list(
    app: Acting,
    StrictQuery(page): StrictQuery<Page>,
) -> Result<Json<OAuthClientList>, ApiError> {
    app.may_in_organization(Operation::See)?;
    let limit = page.limit()?;
    let dynamic = app.store.dynamic_clients(page.after.as_deref(), limit).await?;
    let next = next(&dynamic, limit, |client| client.id.clone());
    let mut clients = Vec::new();
    if page.after.is_none() {
        clients.extend(app.settings.authorization.clients.iter().map(OAuthClientView::from));
    }
    clients.extend(dynamic.into_iter().map(OAuthClientView::from));
    Ok(Json(OAuthClientList { clients, next }))
}

/// Deletes a client that registered itself, and signs it out everywhere.
#[utoipa::path(
    delete, path = "/v1/oauth-clients/{client}", tag = "oauth_clients", params(("client" = String, Path), Wait),
    responses((status = NO_CONTENT))
)]
pub async fn delete(
    app: Acting,
    Path(id): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    app.may_in_organization(Operation::Administer)?;
    if app.configured_client(&id).is_some() {
        let file = app.settings.config_file.clone();
        return Err(ApiError::OwnedByConfig { what: "client", file });
    }
    let revision = app.changing().delete_dynamic_client(&id).await?;
    app.deleted("client", revision, wait).await
}
