//! Which workspaces have which servers.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use super::commit::Wait;
use super::workspaces::WorkspaceView;
use crate::domain::access::Operation;
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;

/// The workspaces that have a server.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProvisionList {
    pub workspaces: Vec<WorkspaceView>,
}

/// Lists the workspaces that have a server.
#[utoipa::path(
    get, path = "/v1/servers/{server}/workspaces", tag = "provisions",
    params(("server" = String, Path, description = "Id or slug")), responses((status = OK, body = ProvisionList))
)]
pub async fn list(app: Acting, Path(server): Path<String>) -> Result<Json<ProvisionList>, ApiError> {
    let id = app.find_server(&server, Operation::Administer).await?.id;
    let provisioned = app.store.provisions(&id).await?.ok_or(ApiError::NotFound { what: "server" })?;
    let workspaces = app.store.workspaces().await?;
    let workspaces = workspaces.into_iter().filter(|workspace| provisioned.contains(&workspace.id));
    Ok(Json(ProvisionList { workspaces: workspaces.map(Into::into).collect() }))
}

/// Gives a workspace a server. Doing it twice changes nothing.
#[utoipa::path(
    put, path = "/v1/servers/{server}/workspaces/{workspace}", tag = "provisions",
    params(
        ("server" = String, Path, description = "Id or slug"),
        ("workspace" = String, Path, description = "Id or slug"), Wait
    ),
    responses((status = NO_CONTENT))
)]
pub async fn add(
    app: Acting,
    Path((server, workspace)): Path<(String, String)>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    app.provision(&server, &workspace, true, wait).await
}

/// Takes a server away from a workspace. Doing it twice changes nothing.
#[utoipa::path(
    delete, path = "/v1/servers/{server}/workspaces/{workspace}", tag = "provisions",
    params(
        ("server" = String, Path, description = "Id or slug"),
        ("workspace" = String, Path, description = "Id or slug"), Wait
    ),
    responses((status = NO_CONTENT))
)]
pub async fn remove(
    app: Acting,
    Path((server, workspace)): Path<(String, String)>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    app.provision(&server, &workspace, false, wait).await
}

impl Acting {
    async fn provision(
        &self,
        server: &str,
        workspace: &str,
        provisioned: bool,
        wait: Wait,
    ) -> Result<Response, ApiError> {
        let server = self.find_server(server, Operation::Administer).await?.id;
        let workspace = self.find_workspace(workspace, Operation::Administer).await?.id;
        let revision = self
            .changing()
            .set_provision(&server, &workspace, provisioned)
            .await
            .map_err(|error| self.refusal(error))?
            .ok_or(ApiError::NotFound { what: "server or workspace" })?;
        self.committed(revision, wait, StatusCode::NO_CONTENT.into_response()).await
    }
}
