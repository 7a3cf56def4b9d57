//! Workspaces.

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

use super::entry::Refused;
use super::form::{Sent, applied, body};
use super::shell::{Visit, page, see_other, segment};
use crate::domain::access::{Object, Operation};
use crate::domain::ids::WorkspaceId;
use crate::http::admin::acting::Acting;
use crate::http::admin::servers::{self, ServerShown};
use crate::http::admin::workspaces::{self, WorkspaceView};
use crate::http::error::ApiError;

#[derive(Template)]
#[template(path = "console/workspaces.html")]
struct Workspaces<'a> {
    visit: &'a Visit,
    workspaces: Vec<WorkspaceView>,
}

pub(super) async fn list(app: Acting, visit: Visit) -> Result<Response, Refused> {
    let Json(found) = workspaces::list(app).await?;
    Ok(page(&visit, "Workspaces", &Workspaces { visit: &visit, workspaces: found.workspaces }))
}

pub(super) async fn create(app: Acting, Sent(form): Sent) -> Result<Response, Refused> {
    let sent = json!({"slug": form.text("slug"), "name": form.given("name")});
    workspaces::create(app, applied(), body(&sent)?).await?;
    Ok(see_other(&format!("/workspaces/{}", segment(form.text("slug")))))
}

#[derive(Template)]
#[template(path = "console/workspace.html")]
struct Page<'a> {
    visit: &'a Visit,
    workspace: WorkspaceView,
    is_declared: bool,
    file: &'a str,
    /// Slug and name.
    servers: Vec<(String, String)>,
}

pub(super) async fn show(app: Acting, visit: Visit, Path(name): Path<String>) -> Result<Response, Refused> {
    let found = app.find_workspace(&name, Operation::See).await?;
    let having = servers_of(&app, &found.id).await?;
    let workspace = WorkspaceView::from(found);
    let content = Page {
        visit: &visit,
        is_declared: workspace.origin == "config",
        file: &app.settings.config_file,
        servers: having,
        workspace,
    };
    Ok(page(&visit, &content.workspace.name, &content))
}

pub(super) async fn change(
    app: Acting,
    Path(name): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let sent = json!({"name": form.given("name"), "staleness": form.given("staleness")});
    let path = Path(name.clone());
    workspaces::change(app, path, applied(), form.expected(), body(&sent)?).await?;
    Ok(see_other(&format!("/workspaces/{}", segment(&name))))
}

pub(super) async fn delete(app: Acting, Path(name): Path<String>) -> Result<Response, Refused> {
    workspaces::delete(app, Path(name), applied()).await?;
    Ok(see_other("/workspaces"))
}

/// Slug and name of every server that a workspace has, as far as the caller sees them.
pub(super) async fn servers_of(
    app: &Acting,
    workspace: &WorkspaceId,
) -> Result<Vec<(String, String)>, ApiError> {
    let mut having = Vec::new();
    for server in servers::list(app.clone()).await?.0.servers {
        let (id, slug, name) = match server {
            ServerShown::Whole(server) => (server.id, server.slug, server.name),
            ServerShown::Summary(server) => (server.id, server.slug, server.name),
        };
        let workspaces = app.store.provisions(&id.as_str().into()).await?.unwrap_or_default();
        if workspaces.contains(workspace) {
            having.push((slug, name));
        }
    }
    Ok(having)
}

/// What the pages within a workspace say of it.
pub(super) struct Around {
    pub(super) id: WorkspaceId,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) manages: bool,
}

impl Around {
    pub(super) async fn find(app: &Acting, name: &str) -> Result<Self, ApiError> {
        let found = app.find_workspace(name, Operation::See).await?;
        let manages = app.may(Operation::Manage, Object::Workspace(&found.id), "workspace").is_ok();
        Ok(Self { id: found.id, slug: found.slug.to_string(), name: found.name, manages })
    }
}
