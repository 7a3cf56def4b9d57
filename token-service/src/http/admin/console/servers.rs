//! The registry, and adding to it.

use askama::Template;
use axum::Json;
use axum::response::Response;
use serde_json::json;

use super::entry::Refused;
use super::form::{Sent, applied, body};
use super::quarantine::Held;
use super::server_form;
use super::shell::{Visit, page, see_other};
use crate::domain::access::Operation;
use crate::http::admin::acting::Acting;
use crate::http::admin::presets::{self, PresetView};
use crate::http::admin::servers::{self, ServerShown};
use crate::http::admin::workspaces::{self, WorkspaceView};
use crate::http::read::StrictQuery;

#[derive(Template)]
#[template(path = "console/servers.html")]
struct Servers<'a> {
    visit: &'a Visit,
    rows: Vec<Row>,
}

/// A server as everybody may see it; what only administrators see is absent for others.
struct Row {
    slug: String,
    name: String,
    whole: Option<Whole>,
    mcp_url: String,
}

struct Whole {
    url: String,
    auth: &'static str,
    is_declared: bool,
    held: bool,
}

pub(super) async fn list(app: Acting, visit: Visit) -> Result<Response, Refused> {
    let held = Held::all(&app).await?;
    let Json(found) = servers::list(app.clone()).await?;
    let row = |server| match server {
        ServerShown::Whole(server) => Row {
            whole: Some(Whole {
                url: server.url,
                auth: server_form::auth_name(server.auth.kind),
                is_declared: server.origin == "config",
                held: held.has("server", &server.id),
            }),
            mcp_url: format!("{}/{}/mcp", app.settings.public_url, server.slug),
            slug: server.slug,
            name: server.name,
        },
        ServerShown::Summary(server) => {
            Row { slug: server.slug, name: server.name, whole: None, mcp_url: server.mcp_url }
        }
    };
    let rows = found.servers.into_iter().map(row).collect();
    Ok(page(&visit, "Servers", &Servers { visit: &visit, rows }))
}

#[derive(Template)]
#[template(path = "console/server_new.html")]
struct New<'a> {
    visit: &'a Visit,
    presets: &'a [PresetView],
    /// The preset that is chosen.
    preset: Option<&'a PresetView>,
    workspaces: Vec<WorkspaceView>,
    sign_in: server_form::SignIn,
}

impl New<'_> {
    fn is_chosen(&self, name: &str) -> bool {
        self.preset.is_some_and(|preset| preset.name == name)
    }
}

/// What the page begins with.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Beginning {
    preset: Option<String>,
}

pub(super) async fn blank(
    app: Acting,
    visit: Visit,
    StrictQuery(beginning): StrictQuery<Beginning>,
) -> Result<Response, Refused> {
    app.may_in_organization(Operation::Administer)?;
    let presets = presets::list(app.clone()).await?.0.presets;
    let preset = presets.iter().find(|preset| Some(preset.name) == beginning.preset.as_deref());
    let workspaces = workspaces::list(app).await?.0.workspaces;
    let content = New {
        visit: &visit,
        presets: &presets,
        preset,
        workspaces,
        sign_in: server_form::SignIn::of_new(preset),
    };
    Ok(page(&visit, "Add a server", &content))
}

pub(super) async fn create(app: Acting, Sent(form): Sent) -> Result<Response, Refused> {
    let workspaces =
        if form.is_ticked("all_workspaces") { json!("all") } else { json!(form.all("workspace")) };
    let sent = json!({
        "slug": form.text("slug"),
        "name": form.given("name"),
        "url": form.given("url"),
        "allow_http": form.is_ticked("allow_http"),
        "auth": server_form::auth(&form, None)?,
        "workspaces": workspaces,
        "payload": form.given("payload"),
    });
    servers::create(app, applied(), body(&sent)?).await?;
    Ok(see_other(&format!("/servers/{}", form.text("slug"))))
}
