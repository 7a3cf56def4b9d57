//! The registry: upstream MCP servers.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::auth_body::AuthBody;
use super::auth_view::AuthView;
use super::commit::{IF_MATCH, IfMatch, Wait, shown};
use super::server_body::{Body, PayloadBody, RedactBody, WorkspacesBody};
use crate::domain::access::{Object, Operation};
use crate::domain::ids::ServerId;
use crate::domain::server::Server;
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};
use crate::state::Service;

/// A registry entry. Credentials are not shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServerView {
    pub id: String,
    /// In the URL that clients use; stays for ever.
    pub slug: String,
    pub name: String,
    pub url: String,
    pub auth: AuthView,
    pub payload: PayloadBody,
    /// How many bytes of parameters and of response a record holds.
    pub payload_limit: u32,
    /// Absent if it names nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redact: Option<RedactBody>,
    pub provision_new_workspaces: bool,
    /// How many requests may be under way at once through one Envoy; no bound if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// `config` if `portcullis.yaml` declares it, otherwise `api`.
    pub origin: &'static str,
    /// The commit that last changed it.
    pub revision: u64,
}

/// What members see of a server that their workspace has.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServerSummary {
    pub id: String,
    pub slug: String,
    pub name: String,
    /// Where MCP clients call it.
    pub mcp_url: String,
    /// The commit that last changed it.
    pub revision: u64,
}

/// As much of a server as the caller may see.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ServerShown {
    Whole(Box<ServerView>),
    Summary(ServerSummary),
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ServerList {
    pub servers: Vec<ServerShown>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateServer {
    pub slug: String,
    /// For people; the slug if absent.
    pub name: Option<String>,
    /// The MCP endpoint. `https` unless `allow_http` is set. May be absent with a preset.
    pub url: Option<String>,
    #[serde(default)]
    pub allow_http: bool,
    pub auth: AuthBody,
    /// How much of each request its log record holds; `redacted` if absent.
    pub payload: Option<PayloadBody>,
    /// How many bytes of parameters and of response a record holds, 256 to 65536; 4096 if absent.
    pub payload_limit: Option<u32>,
    /// What records never show.
    pub redact: Option<RedactBody>,
    /// Which workspaces have it from the start.
    pub workspaces: WorkspacesBody,
    /// Whether workspaces made later get it; if absent, they do when `workspaces` is `"all"`.
    pub provision_new_workspaces: Option<bool>,
    /// How many requests may be under way at once through one Envoy; no bound if absent or 0.
    pub concurrency: Option<u32>,
}

/// What is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeServer {
    pub name: Option<String>,
    /// With another host, port or scheme, the value of every credential has to be given anew, and the accounts that
    /// members have connected are quarantined until `POST /v1/servers/{server}/quarantine`.
    pub url: Option<String>,
    #[serde(default)]
    pub allow_http: bool,
    /// Replaces all of it; a header without a value, and a client without its secret, keeps the one it has.
    pub auth: Option<AuthBody>,
    pub payload: Option<PayloadBody>,
    pub payload_limit: Option<u32>,
    /// Replaces both lists.
    pub redact: Option<RedactBody>,
    pub provision_new_workspaces: Option<bool>,
    /// How many requests may be under way at once through one Envoy; 0 takes the bound away.
    pub concurrency: Option<u32>,
}

impl ServerShown {
    fn of(server: Server, app: &Acting) -> Self {
        if app.principal().administers() {
            return Self::Whole(Box::new(ServerView::of(server, app)));
        }
        Self::Summary(ServerSummary {
            mcp_url: format!("{}/{}/mcp", app.settings.public_url, server.slug),
            id: server.id.into(),
            slug: server.slug.into(),
            name: server.settings.name,
            revision: server.revision.0,
        })
    }
}

impl ServerView {
    pub(super) fn of(server: Server, app: &Service) -> Self {
        Self {
            auth: AuthView::of(&server, &app.settings.public_url),
            id: server.id.into(),
            slug: server.slug.into(),
            name: server.settings.name,
            url: server.settings.url.to_string(),
            payload: server.settings.payload.policy.into(),
            payload_limit: server.settings.payload.limit,
            redact: Some(server.settings.payload.redact).filter(|redact| !redact.is_empty()).map(Into::into),
            provision_new_workspaces: server.settings.provision_new_workspaces,
            concurrency: server.settings.concurrency,
            origin: server.origin.as_str(),
            revision: server.revision.0,
        }
    }
}

/// Lists the servers that the caller can see, by slug.
#[utoipa::path(get, path = "/v1/servers", tag = "servers", responses((status = OK, body = ServerList)))]
pub async fn list(app: Acting) -> Result<Json<ServerList>, ApiError> {
    let mut servers = Vec::new();
    for server in app.store.servers().await? {
        let workspaces = app.workspaces_of(&server).await?;
        if app.may(Operation::See, Object::Server(&workspaces), "server").is_ok() {
            servers.push(ServerShown::of(server, &app));
        }
    }
    Ok(Json(ServerList { servers }))
}

/// Registers a server. It can be called at once, by the workspaces that have it.
#[utoipa::path(
    post, path = "/v1/servers", tag = "servers", params(Wait),
    request_body = CreateServer, responses((status = CREATED, body = ServerView))
)]
pub async fn create(
    app: Acting,
    StrictQuery(wait): StrictQuery<Wait>,
    StrictJson(body): StrictJson<CreateServer>,
) -> Result<Response, ApiError> {
    app.may_in_organization(Operation::Administer)?;
    let id = ServerId::new(&*app.entropy);
    let workspaces = app.store.workspaces().await?;
    let server = Body { vault: &app.vault, id: &id, present: None }.new_server(body, &workspaces)?;
    let made = app.changing().create_server(&server).await.map_err(|error| app.refusal(error))?;
    let revision = made.revision;
    app.committed(revision, wait, shown(StatusCode::CREATED, revision, ServerView::of(made, &app))).await
}

/// Shows a server.
#[utoipa::path(
    get, path = "/v1/servers/{server}", tag = "servers",
    params(("server" = String, Path, description = "Id or slug")), responses((status = OK, body = ServerShown))
)]
pub async fn show(app: Acting, Path(name): Path<String>) -> Result<Response, ApiError> {
    let server = app.find_server(&name, Operation::See).await?;
    Ok(shown(StatusCode::OK, server.revision, ServerShown::of(server, &app)))
}

/// Changes a server. Filters forget their leases for it.
#[utoipa::path(
    patch, path = "/v1/servers/{server}", tag = "servers",
    params(("server" = String, Path, description = "Id or slug"), Wait,
        ("if-match" = Option<String>, Header, description = IF_MATCH)),
    request_body = ChangeServer, responses((status = OK, body = ServerView))
)]
pub async fn change(
    app: Acting,
    Path(name): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
    expected: IfMatch,
    StrictJson(body): StrictJson<ChangeServer>,
) -> Result<Response, ApiError> {
    let server = app.find_server(&name, Operation::Administer).await?;
    let read = server.revision;
    let settings =
        Body { vault: &app.vault, id: &server.id, present: Some(&server) }.changed_settings(body, &server)?;
    let changed = app
        .changing()
        .change_server(&server.id, &settings, expected.based_on(read))
        .await
        .map_err(|error| app.refusal(error))?
        .ok_or(ApiError::NotFound { what: "server" })?;
    let revision = changed.revision;
    app.committed(revision, wait, shown(StatusCode::OK, revision, ServerView::of(changed, &app))).await
}

/// Deletes a server with its credentials and the policies on it.
#[utoipa::path(
    delete, path = "/v1/servers/{server}", tag = "servers",
    params(("server" = String, Path, description = "Id or slug"), Wait), responses((status = NO_CONTENT))
)]
pub async fn delete(
    app: Acting,
    Path(name): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    let id = app.find_server(&name, Operation::Administer).await?.id;
    let revision = app.changing().delete_server(&id).await.map_err(|error| app.refusal(error))?;
    app.deleted("server", revision, wait).await
}
