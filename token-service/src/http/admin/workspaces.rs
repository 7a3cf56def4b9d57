//! Workspaces.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::check::Problems;
use super::commit::{IF_MATCH, IfMatch, Wait, shown};
use crate::domain::access::{Object, Operation};
use crate::domain::ids::WorkspaceId;
use crate::domain::people::Workspace;
use crate::domain::staleness::Staleness;
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};
use crate::store::{NewWorkspace, WorkspaceChange};

/// A team; the unit of provisioning.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceView {
    pub id: String,
    pub slug: String,
    pub name: String,
    /// `config` if `portcullis.yaml` declares it, otherwise `api`.
    pub origin: &'static str,
    /// The commit that last changed it.
    pub revision: u64,
    /// How long filters may serve it from what they have cached while they hear nothing from the token-service: `strict` (not
    /// at all) or seconds such as `30s`. Absent: as long as each filter's own configuration says, which also bounds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staleness: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceList {
    pub workspaces: Vec<WorkspaceView>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWorkspace {
    /// In URLs; cannot be changed later.
    pub slug: String,
    /// For people; the slug if absent.
    pub name: Option<String>,
    /// `strict`, or seconds up to `300s`; left to the filters if absent.
    pub staleness: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeWorkspace {
    /// As it is if absent.
    pub name: Option<String>,
    /// `strict`, seconds up to `300s`, or `default` to leave it to the filters; as it is if absent.
    pub staleness: Option<String>,
}

fn staleness(problems: &mut Problems, text: &str) -> Option<Staleness> {
    problems.take("staleness", Staleness::parse(text), Staleness::REMEDY)
}

impl From<Workspace> for WorkspaceView {
    fn from(workspace: Workspace) -> Self {
        Self {
            id: workspace.id.into(),
            slug: workspace.slug.into(),
            name: workspace.name,
            origin: workspace.origin.as_str(),
            revision: workspace.revision.0,
            staleness: workspace.staleness.map(|staleness| staleness.to_string()),
        }
    }
}

/// Lists the workspaces that the caller can see, by slug.
#[utoipa::path(get, path = "/v1/workspaces", tag = "workspaces", responses((status = OK, body = WorkspaceList)))]
pub async fn list(app: Acting) -> Result<Json<WorkspaceList>, ApiError> {
    let mut workspaces = app.store.workspaces().await?;
    workspaces.retain(|it| app.may(Operation::See, Object::Workspace(&it.id), "workspace").is_ok());
    Ok(Json(WorkspaceList { workspaces: workspaces.into_iter().map(Into::into).collect() }))
}

/// Makes a workspace. It gets every server that provisions new workspaces.
#[utoipa::path(
    post, path = "/v1/workspaces", tag = "workspaces", params(Wait),
    request_body = CreateWorkspace, responses((status = CREATED, body = WorkspaceView))
)]
pub async fn create(
    app: Acting,
    StrictQuery(wait): StrictQuery<Wait>,
    StrictJson(body): StrictJson<CreateWorkspace>,
) -> Result<Response, ApiError> {
    app.may_in_organization(Operation::Administer)?;
    let mut problems = Problems::default();
    let slug = problems.slug("slug", &body.slug);
    let name = problems.name("name", body.name.unwrap_or(body.slug));
    let staleness = body.staleness.and_then(|text| staleness(&mut problems, &text));
    let (slug, name) = problems.finish(slug.zip(name))?;
    let workspace = NewWorkspace { id: WorkspaceId::new(&*app.entropy), slug, name, staleness };
    let made = app.changing().create_workspace(&workspace).await.map_err(|error| app.refusal(error))?;
    let revision = made.revision;
    app.committed(revision, wait, shown(StatusCode::CREATED, revision, WorkspaceView::from(made))).await
}

/// Shows a workspace.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}", tag = "workspaces",
    params(("workspace" = String, Path, description = "Id or slug")), responses((status = OK, body = WorkspaceView))
)]
pub async fn show(app: Acting, Path(name): Path<String>) -> Result<Response, ApiError> {
    let workspace = app.find_workspace(&name, Operation::See).await?;
    Ok(shown(StatusCode::OK, workspace.revision, WorkspaceView::from(workspace)))
}

/// Changes a workspace's name, or how long it may be served without word from the token-service.
#[utoipa::path(
    patch, path = "/v1/workspaces/{workspace}", tag = "workspaces",
    params(("workspace" = String, Path, description = "Id or slug"), Wait,
        ("if-match" = Option<String>, Header, description = IF_MATCH)),
    request_body = ChangeWorkspace, responses((status = OK, body = WorkspaceView))
)]
pub async fn change(
    app: Acting,
    Path(name): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
    expected: IfMatch,
    StrictJson(body): StrictJson<ChangeWorkspace>,
) -> Result<Response, ApiError> {
    let workspace = app.find_workspace(&name, Operation::Administer).await?;
    let mut problems = Problems::default();
    let name = match body.name {
        Some(name) => problems.name("name", name),
        None => Some(workspace.name),
    };
    let staleness = match body.staleness.as_deref() {
        Some("default") => None,
        Some(text) => staleness(&mut problems, text),
        None => workspace.staleness,
    };
    let change = WorkspaceChange { name: problems.finish(name)?, staleness };
    let changed = app
        .changing()
        .change_workspace(&workspace.id, &change, expected.based_on(workspace.revision))
        .await
        .map_err(|error| app.refusal(error))?
        .ok_or(ApiError::NotFound { what: "workspace" })?;
    let revision = changed.revision;
    app.committed(revision, wait, shown(StatusCode::OK, revision, WorkspaceView::from(changed))).await
}

/// Deletes a workspace with its members, keys and policies.
#[utoipa::path(
    delete, path = "/v1/workspaces/{workspace}", tag = "workspaces",
    params(("workspace" = String, Path, description = "Id or slug"), Wait), responses((status = NO_CONTENT))
)]
pub async fn delete(
    app: Acting,
    Path(name): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    let id = app.find_workspace(&name, Operation::Administer).await?.id;
    let revision = app.changing().delete_workspace(&id).await.map_err(|error| app.refusal(error))?;
    app.deleted("workspace", revision, wait).await
}
