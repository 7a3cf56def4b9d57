//! Which members of a workspace a server is for.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::commit::Wait;
use crate::domain::access::{Object, Operation};
use crate::domain::ids::WorkspaceId;
use crate::domain::provisioning::{MemberAccess, Members};
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};

/// Whom a server is for.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdmissionView {
    /// The ids of the workspaces whose members have to be chosen; all others have it for everybody who is not denied.
    pub chosen: Vec<String>,
    /// Those of whom something is said.
    pub members: Vec<MemberAccessView>,
}

/// What is said of one member.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberAccessView {
    /// The member's id.
    pub member: String,
    /// The id of the member's workspace.
    pub workspace: String,
    pub access: MemberAccess,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmissionBody {
    /// `all`: every member who is not denied. `chosen`: those who are allowed, and nobody else.
    pub members: Members,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberAccessBody {
    pub access: MemberAccess,
}

/// Shows which members a server is for, in the workspaces that the caller looks after.
#[utoipa::path(
    get, path = "/v1/servers/{server}/members", tag = "admission",
    params(("server" = String, Path, description = "Id or slug")), responses((status = OK, body = AdmissionView))
)]
pub async fn list(app: Acting, Path(server): Path<String>) -> Result<Json<AdmissionView>, ApiError> {
    let server = app.find_server(&server, Operation::See).await?.id;
    let admission = app.store.admission(&server).await?.ok_or(ApiError::NotFound { what: "server" })?;
    let manages =
        |workspace: &WorkspaceId| app.may(Operation::Manage, Object::Shared(workspace), "workspace").is_ok();
    let mut members = Vec::new();
    for (id, access) in admission.members {
        let Some(member) = app.store.member(&id).await? else { continue };
        if manages(&member.workspace) {
            let workspace = member.workspace.into();
            members.push(MemberAccessView { member: id.into(), workspace, access });
        }
    }
    let chosen = admission.chosen.into_iter().filter(manages).map(Into::into).collect();
    Ok(Json(AdmissionView { chosen, members }))
}

/// Says whether a workspace has a server for all its members. What is said of single members stays.
#[utoipa::path(
    patch, path = "/v1/servers/{server}/workspaces/{workspace}", tag = "admission",
    params(
        ("server" = String, Path, description = "Id or slug"),
        ("workspace" = String, Path, description = "Id or slug"), Wait
    ),
    request_body = AdmissionBody, responses((status = NO_CONTENT))
)]
pub async fn change(
    app: Acting,
    Path((server, workspace)): Path<(String, String)>,
    StrictQuery(wait): StrictQuery<Wait>,
    StrictJson(body): StrictJson<AdmissionBody>,
) -> Result<Response, ApiError> {
    let server = app.find_server(&server, Operation::Administer).await?.id;
    let workspace = app.find_workspace(&workspace, Operation::Administer).await?.id;
    let revision = app
        .changing()
        .set_members(&server, &workspace, body.members)
        .await
        .map_err(|error| app.refusal(error))?
        .ok_or(ApiError::NotFound { what: "server or workspace" })?;
    app.committed(revision, wait, StatusCode::NO_CONTENT.into_response()).await
}

/// Allows a server to a member, or denies it. Allowing says something only where members are chosen.
#[utoipa::path(
    put, path = "/v1/servers/{server}/members/{member}", tag = "admission",
    params(("server" = String, Path, description = "Id or slug"), ("member" = String, Path), Wait),
    request_body = MemberAccessBody, responses((status = NO_CONTENT))
)]
pub async fn set(
    app: Acting,
    Path((server, member)): Path<(String, String)>,
    StrictQuery(wait): StrictQuery<Wait>,
    StrictJson(body): StrictJson<MemberAccessBody>,
) -> Result<Response, ApiError> {
    app.say_of_member(&server, &member, Some(body.access), wait).await
}

/// Says nothing of a member any more: what the workspace has counts.
#[utoipa::path(
    delete, path = "/v1/servers/{server}/members/{member}", tag = "admission",
    params(("server" = String, Path, description = "Id or slug"), ("member" = String, Path), Wait),
    responses((status = NO_CONTENT))
)]
pub async fn remove(
    app: Acting,
    Path((server, member)): Path<(String, String)>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    app.say_of_member(&server, &member, None, wait).await
}

impl Acting {
    /// Whether members have to be chosen is for the organization to say; who is chosen, for those who look after them.
    async fn say_of_member(
        &self,
        server: &str,
        member: &str,
        access: Option<MemberAccess>,
        wait: Wait,
    ) -> Result<Response, ApiError> {
        let member = self.find_member(member, Operation::Manage).await?.id;
        let server = self.find_server(server, Operation::See).await?.id;
        let revision = self
            .changing()
            .set_member_access(&server, &member, access)
            .await
            .map_err(|error| self.refusal(error))?
            .ok_or(ApiError::NotFound { what: "server or member" })?;
        self.committed(revision, wait, StatusCode::NO_CONTENT.into_response()).await
    }
}
