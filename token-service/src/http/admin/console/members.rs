//! Members: who is in a workspace, and what there is of one.

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

use super::access::Connected;
use super::entry::Refused;
use super::form::{Sent, applied, body};
use super::quarantine;
use super::shell::{Visit, filters, page, see_other, segment};
use super::workspaces::{self, Around};
use crate::domain::access::{Object, Operation};
use crate::http::admin::acting::Acting;
use crate::http::admin::admissions;
use crate::http::admin::members::{self, MemberView};
use crate::http::admin::page::Page as Paging;
use crate::http::admin::quarantines::QuarantineView;
use crate::http::admin::sessions::{self, SessionView};
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;

#[derive(Template)]
#[template(path = "console/members.html")]
struct List<'a> {
    visit: &'a Visit,
    workspace: Around,
    members: Vec<MemberView>,
    next: Option<String>,
    /// The company's provider, where people sign in.
    issuer: String,
}

pub(super) async fn list(
    app: Acting,
    visit: Visit,
    Path(name): Path<String>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Response, Refused> {
    let workspace = Around::find(&app, &name).await?;
    let Json(found) = members::list(app.clone(), Path(name), StrictQuery(paging)).await?;
    let issuer = app.company.as_ref().map_or_else(String::new, |company| company.issuer().to_owned());
    let title = format!("Members of {}", workspace.name);
    let content = List { visit: &visit, workspace, members: found.members, next: found.next, issuer };
    Ok(page(&visit, &title, &content))
}

pub(super) async fn create(
    app: Acting,
    Path(name): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let mut sent = json!({
        "issuer": form.text("issuer"),
        "subject": form.text("subject"),
        "name": form.given("name"),
    });
    if let Some(role) = form.given("role") {
        sent["role"] = json!(role);
    }
    members::create(app, Path(name.clone()), applied(), body(&sent)?).await?;
    Ok(see_other(&format!("/workspaces/{}/members", segment(&name))))
}

#[derive(Template)]
#[template(path = "console/member.html")]
struct Page<'a> {
    visit: &'a Visit,
    member: MemberView,
    workspace: Around,
    is_declared: bool,
    file: &'a str,
    held: Option<QuarantineView>,
    target: String,
    back: String,
    what: &'static str,
    servers: Vec<ServerRow>,
    connected: Connected,
    sessions: Vec<SessionView>,
}

/// What is said of a member at one server of the workspace.
struct ServerRow {
    slug: String,
    name: String,
    access: &'static str,
}

pub(super) async fn show(app: Acting, visit: Visit, Path(id): Path<String>) -> Result<Response, Refused> {
    let found = app.find_member(&id, Operation::See).await?;
    let workspace = Around::find(&app, found.workspace.as_str()).await?;
    let target = format!("member:{id}");
    let held = if app.may(Operation::Manage, Object::Member(&found), "member").is_ok() {
        quarantine::of(&app, &target).await?
    } else {
        None
    };
    let member = MemberView::from(found);
    let sessions = sessions::of_member(app.clone(), Path(id.clone()), StrictQuery(Paging::default())).await?;
    let content = Page {
        visit: &visit,
        is_declared: member.origin == "config",
        file: &app.settings.config_file,
        held,
        target,
        back: format!("member {id}"),
        what: "member",
        servers: said_of(&app, &member, &workspace).await?,
        connected: Connected::of_member(&app, &id).await?,
        sessions: sessions.0.sessions,
        member,
        workspace,
    };
    Ok(page(&visit, &content.member.name, &content))
}

async fn said_of(app: &Acting, member: &MemberView, workspace: &Around) -> Result<Vec<ServerRow>, ApiError> {
    let mut rows = Vec::new();
    if !workspace.manages {
        return Ok(rows);
    }
    for (slug, name) in workspaces::servers_of(app, &workspace.id).await? {
        let Json(admission) = admissions::list(app.clone(), Path(slug.clone())).await?;
        let said = admission.members.iter().find(|said| said.member == member.id);
        let access = said.map_or("", |said| said.access.as_str());
        rows.push(ServerRow { slug, name, access });
    }
    Ok(rows)
}

pub(super) async fn change(
    app: Acting,
    Path(id): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let sent = json!({
        "name": form.given("name"),
        "role": form.given("role"),
        "disabled": form.is_ticked("disabled"),
    });
    let path = Path(id.clone());
    members::change(app, path, applied(), form.expected(), body(&sent)?).await?;
    Ok(see_other(&format!("/members/{}", segment(&id))))
}

pub(super) async fn delete(app: Acting, Path(id): Path<String>) -> Result<Response, Refused> {
    let workspace = app.find_member(&id, Operation::Manage).await?.workspace;
    members::delete(app, Path(id), applied()).await?;
    Ok(see_other(&format!("/workspaces/{workspace}/members")))
}
