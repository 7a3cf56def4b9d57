//! Who has a server, and who is connected to it.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde_json::json;

use super::entry::Refused;
use super::form::{Form, Sent, applied, body};
use super::shell::{see_other, segment};
use crate::domain::access::Operation;
use crate::http::admin::acting::Acting;
use crate::http::admin::connections::{self, ConnectionView, Which};
use crate::http::admin::servers::ServerView;
use crate::http::admin::{admissions, provisions, sessions, workspaces};
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;

/// A workspace on the page of a server.
pub(super) struct WorkspaceRow {
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) has_it: bool,
    pub(super) is_chosen: bool,
}

impl WorkspaceRow {
    pub(super) async fn all(app: &Acting, server: &ServerView) -> Result<Vec<Self>, ApiError> {
        let path = || Path(server.slug.clone());
        let Json(having) = provisions::list(app.clone(), path()).await?;
        let having: BTreeSet<String> = having.workspaces.into_iter().map(|workspace| workspace.id).collect();
        let Json(admission) = admissions::list(app.clone(), path()).await?;
        let Json(all) = workspaces::list(app.clone()).await?;
        let row = |workspace: workspaces::WorkspaceView| Self {
            has_it: having.contains(&workspace.id),
            is_chosen: admission.chosen.contains(&workspace.id),
            slug: workspace.slug,
            name: workspace.name,
        };
        Ok(all.workspaces.into_iter().map(row).collect())
    }
}

/// Saves which of the listed workspaces have a server, and for whom. Only what differs is changed.
pub(super) async fn change(
    app: Acting,
    Path(name): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let server = ServerView::of(app.find_server(&name, Operation::Administer).await?, &app);
    let listed: BTreeSet<&str> = form.all("listed").iter().map(String::as_str).collect();
    let has: BTreeSet<&str> = form.all("has").iter().map(String::as_str).collect();
    for row in WorkspaceRow::all(&app, &server).await? {
        let slug = row.slug.as_str();
        if !listed.contains(slug) {
            continue;
        }
        let path = || Path((name.clone(), slug.to_owned()));
        let wants_it = has.contains(slug);
        if wants_it && !row.has_it {
            provisions::add(app.clone(), path(), applied()).await?;
        } else if !wants_it && row.has_it {
            provisions::remove(app.clone(), path(), applied()).await?;
        }
        let members = form.text(&format!("members-{slug}"));
        if wants_it && !members.is_empty() && (members == "chosen") != row.is_chosen {
            admissions::change(app.clone(), path(), applied(), body(&json!({ "members": members }))?).await?;
        }
    }
    Ok(see_other(&format!("/servers/{}", segment(&name))))
}

/// Allows a server to a member, denies it, or says nothing of the member any more.
pub(super) async fn of_member(
    app: Acting,
    Path(member): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let path = Path((form.text("server").to_owned(), member.clone()));
    let wait = applied();
    match form.text("access") {
        "" => admissions::remove(app, path, wait).await?,
        access => admissions::set(app, path, wait, body(&json!({ "access": access }))?).await?,
    };
    Ok(see_other(&format!("/members/{}", segment(&member))))
}

/// Connections in a table.
pub(super) struct Connected {
    pub(super) rows: Vec<ConnectionRow>,
    pub(super) more: bool,
}

pub(super) struct ConnectionRow {
    pub(super) id: String,
    /// Of the member or of the server, whichever the page is not about.
    pub(super) name: String,
    pub(super) path: Option<String>,
    pub(super) account: Option<String>,
    pub(super) state: &'static str,
    pub(super) reason: Option<&'static str>,
    pub(super) refreshed_at: String,
}

impl ConnectionRow {
    fn new(connection: ConnectionView, name: String, path: Option<String>) -> Self {
        let ConnectionView { id, account, state, reason, refreshed_at, .. } = connection;
        Self { id, name, path, account, state, reason, refreshed_at }
    }

    pub(super) fn state_name(&self) -> &'static str {
        match self.state {
            "active" => "Connected",
            "needs_reauth" => "Has to connect again",
            "quarantined" => "On hold",
            _ => "Disconnected",
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == "disconnected"
    }
}

impl Connected {
    pub(super) async fn to_server(app: &Acting, server: &ServerView) -> Result<Self, ApiError> {
        let which = Which { server: Some(server.id.clone()), ..Which::default() };
        let Json(found) = connections::list(app.clone(), StrictQuery(which)).await?;
        let more = found.next.is_some();
        let mut rows = Vec::new();
        for connection in found.connections {
            let Some(id) = connection.member.clone() else {
                rows.push(ConnectionRow::new(connection, "The gateway itself".to_owned(), None));
                continue;
            };
            let member = app.store.member(&id.as_str().into()).await?;
            let name = member.map_or_else(|| id.clone(), |member| member.name);
            rows.push(ConnectionRow::new(connection, name, Some(format!("/members/{id}"))));
        }
        Ok(Self { rows, more })
    }

    pub(super) async fn of_member(app: &Acting, member: &str) -> Result<Self, ApiError> {
        let which = Which { member: Some(member.to_owned()), ..Which::default() };
        let Json(found) = connections::list(app.clone(), StrictQuery(which)).await?;
        let more = found.next.is_some();
        let mut rows = Vec::new();
        for connection in found.connections {
            let server = app.store.server(&connection.server.as_str().into()).await?;
            let (name, path) = server.map_or_else(
                || (connection.server.clone(), None),
                |server| (server.settings.name, Some(format!("/servers/{}", server.slug))),
            );
            rows.push(ConnectionRow::new(connection, name, path));
        }
        Ok(Self { rows, more })
    }

    pub(super) fn has_moved(&self) -> bool {
        self.rows.iter().any(|row| row.state == "quarantined")
    }
}

pub(super) async fn disconnect(
    app: Acting,
    Path(connection): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    connections::delete(app, Path(connection), applied()).await?;
    Ok(see_other(&way_back(&form)))
}

/// Ends what a client has signed in.
pub(super) async fn sign_out(
    app: Acting,
    Path(session): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    sessions::delete(app, Path(session), applied()).await?;
    Ok(see_other(&way_back(&form)))
}

/// What becomes of connections from before a server has moved.
pub(super) async fn decide(
    app: Acting,
    Path(name): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let decision = json!({"decision": form.text("decision")});
    connections::decide(app, Path(name.clone()), applied(), body(&decision)?).await?;
    Ok(see_other(&format!("/servers/{}", segment(&name))))
}

/// The page that a form was on, which says it as a kind and a name; spelt anew, so that it is one of ours.
pub(super) fn way_back(form: &Form) -> String {
    match form.text("back").split_once(' ') {
        Some(("server", name)) => format!("/servers/{}", segment(name)),
        Some(("member", id)) => format!("/members/{}", segment(id)),
        Some(("key", id)) => format!("/keys/{}", segment(id)),
        None if form.text("back") == "settings" => "/settings".to_owned(),
        _ => "/".to_owned(),
    }
}
