//! A server: what it is, who has it, who is connected, and its settings.

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde_json::{Value, json};

use super::access::{Connected, WorkspaceRow};
use super::entry::Refused;
use super::form::{Sent, applied, body};
use super::quarantine;
use super::server_form;
use super::shell::{Visit, filters, page, see_other};
use crate::domain::access::Operation;
use crate::http::admin::acting::Acting;
use crate::http::admin::catalogue::{self, Which};
use crate::http::admin::quarantines::QuarantineView;
use crate::http::admin::records::{self, SummaryQuery, SummaryView};
use crate::http::admin::servers::{self, ServerView};
use crate::http::read::StrictQuery;

#[derive(Template)]
#[template(path = "console/server.html")]
struct Page<'a> {
    visit: &'a Visit,
    server: ServerView,
    auth: &'static str,
    mcp_url: String,
    is_declared: bool,
    file: &'a str,
    held: Option<QuarantineView>,
    target: String,
    back: String,
    what: &'static str,
    /// Of the last day; `None` where no records are kept.
    summary: Option<SummaryView>,
    waiting: usize,
    workspaces: Vec<WorkspaceRow>,
    connected: Connected,
    redact_parameters: String,
    redact_response: String,
    sign_in: server_form::SignIn,
}

#[derive(Template)]
#[template(path = "console/server_plain.html")]
struct Plain<'a> {
    name: &'a str,
    mcp_url: String,
    slug: &'a str,
}

pub(super) async fn show(app: Acting, visit: Visit, Path(name): Path<String>) -> Result<Response, Refused> {
    let found = app.find_server(&name, Operation::See).await?;
    let mcp_url = format!("{}/{}/mcp", app.settings.public_url, found.slug);
    if !visit.administers {
        let content = Plain { name: &found.settings.name, mcp_url, slug: found.slug.as_str() };
        return Ok(page(&visit, &found.settings.name, &content));
    }
    let server = ServerView::of(found, &app);
    let of_it = SummaryQuery { server: Some(server.slug.clone()), ..SummaryQuery::default() };
    let summary = records::summary(app.clone(), StrictQuery(of_it)).await.ok().map(|Json(summary)| summary);
    let target = format!("server:{}", server.id);
    let redact = server.redact.clone().unwrap_or_default();
    let content = Page {
        visit: &visit,
        auth: server_form::auth_name(server.auth.kind),
        mcp_url,
        is_declared: server.origin == "config",
        file: &app.settings.config_file,
        held: quarantine::of(&app, &target).await?,
        target,
        back: format!("server {}", server.slug),
        what: "server",
        summary,
        waiting: waiting(&app, &server.slug).await?,
        workspaces: WorkspaceRow::all(&app, &server).await?,
        connected: Connected::to_server(&app, &server).await?,
        redact_parameters: redact.parameters.join("\n"),
        redact_response: redact.response.join("\n"),
        sign_in: server_form::SignIn::of(&server.auth),
        server,
    };
    Ok(page(&visit, &content.server.name, &content))
}

/// How many tools wait for somebody to look at them.
async fn waiting(app: &Acting, server: &str) -> Result<usize, Refused> {
    let mut count = 0;
    for state in ["new", "changed"] {
        let which = Which { state: Some(state.to_owned()), limit: Some(1_000), ..Which::default() };
        let Json(found) = catalogue::tools(app.clone(), Path(server.to_owned()), StrictQuery(which)).await?;
        count += found.entries.len();
    }
    Ok(count)
}

pub(super) async fn change(
    app: Acting,
    Path(name): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let mut sent = json!({
        "name": form.given("name"),
        "allow_http": form.is_ticked("allow_http"),
        "payload": form.given("payload"),
        "payload_limit": form.given("payload_limit").map(number),
        "redact": {"parameters": form.lines("redact_parameters"), "response": form.lines("redact_response")},
        "provision_new_workspaces": form.is_ticked("provision_new_workspaces"),
        "concurrency": form.given("concurrency").map_or(json!(0), number),
    });
    // A URL that is sent is judged anew, so it is only where it has changed.
    if let Some(url) = form.given("url").filter(|url| *url != form.text("present_url")) {
        sent["url"] = json!(url);
    }
    if form.text("auth") != "keep" {
        let present = ServerView::of(app.find_server(&name, Operation::Administer).await?, &app);
        sent["auth"] = server_form::auth(&form, Some(&present.auth))?;
    }
    let path = Path(name.clone());
    servers::change(app, path, applied(), form.expected(), body(&sent)?).await?;
    Ok(see_other(&format!("/servers/{name}")))
}

/// A number if it is one; the operation says what is wrong with anything else.
fn number(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number))
}

pub(super) async fn delete(app: Acting, Path(name): Path<String>) -> Result<Response, Refused> {
    servers::delete(app, Path(name), applied()).await?;
    Ok(see_other("/servers"))
}
