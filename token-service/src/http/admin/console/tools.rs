//! The tools of a server: what a level leaves of them, and which wait for somebody to look at them.

use std::collections::BTreeSet;

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use portcullis_wire::policy::NewTools;
use serde_json::json;

use super::entry::Refused;
use super::form::{Sent, applied, body};
use super::rules::{At, Choice, Level, choices};
use super::shell::{Visit, filters, page, see_other, segment};
use crate::domain::access::Operation;
use crate::domain::policy::toggle::{Switch, switch, turn};
use crate::http::admin::acting::Acting;
use crate::http::admin::approvals::{self, Withdrawal};
use crate::http::admin::catalogue::{self, EntryView, ToolView, Which};
use crate::http::admin::commit::WaitFor;
use crate::http::admin::servers::ServerView;
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;

/// The most tools on a page; servers have some dozens.
const MOST: u32 = 1_000;

#[derive(Template)]
#[template(path = "console/tools.html")]
struct Page<'a> {
    visit: &'a Visit,
    slug: &'a str,
    name: &'a str,
    levels: Vec<Choice>,
    level: Level,
    new_tools: &'static str,
    rows: Vec<Row>,
    waiting: usize,
}

struct Row {
    entry: EntryView,
    path: String,
    on: bool,
    /// The pattern for several tools that takes this one away.
    stuck: Option<String>,
}

impl Row {
    fn waits(&self) -> bool {
        matches!(self.entry.state, "new" | "changed")
    }
}

pub(super) async fn list(
    app: Acting,
    visit: Visit,
    Path(name): Path<String>,
    StrictQuery(at): StrictQuery<At>,
) -> Result<Response, Refused> {
    let server = ServerView::of(app.find_server(&name, Operation::Administer).await?, &app);
    let level = Level::find(&app, &at.target(), &server).await?;
    let rows: Vec<Row> = entries(&app, &server.slug)
        .await?
        .into_iter()
        .map(|entry| {
            let state = switch(&level.rules.tools, &entry.name);
            let stuck = match state {
                Switch::OffBy(pattern) => Some(pattern.0.clone()),
                Switch::On | Switch::Off => None,
            };
            let path = format!("/servers/{}/tools/{}", server.slug, segment(&entry.name));
            Row { on: state.is_on(), stuck, path, entry }
        })
        .collect();
    let content = Page {
        visit: &visit,
        slug: &server.slug,
        name: &server.name,
        levels: choices(&app, &level.target).await?,
        new_tools: match level.rules.new_tools {
            NewTools::Allow => "allow",
            NewTools::AllowIfReadOnly => "allow_if_read_only",
            NewTools::Hold => "hold",
        },
        level,
        waiting: rows.iter().filter(|row| row.waits()).count(),
        rows,
    };
    Ok(page(&visit, &format!("Tools of {}", server.name), &content))
}

async fn entries(app: &Acting, server: &str) -> Result<Vec<EntryView>, ApiError> {
    let which = Which { limit: Some(MOST), ..Which::default() };
    Ok(catalogue::tools(app.clone(), Path(server.to_owned()), StrictQuery(which)).await?.0.entries)
}

/// Saves the switches of the tools that were listed; others stay as they are.
pub(super) async fn toggle(
    app: Acting,
    Path(name): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let server = ServerView::of(app.find_server(&name, Operation::Administer).await?, &app);
    let target = form.given("level").unwrap_or("organization").to_owned();
    let level = Level::find(&app, &target, &server).await?;
    let on: BTreeSet<&String> = form.all("on").iter().collect();
    let mut rules = level.rules.clone();
    for tool in form.all("listed") {
        turn(&mut rules.tools, tool, on.contains(tool));
    }
    rules.read_only = form.is_ticked("read_only");
    let mut rules = serde_json::to_value(&rules).map_err(|error| ApiError::Internal(error.into()))?;
    match form.given("new_tools") {
        None | Some("allow") => {
            rules.as_object_mut().map(|rules| rules.remove("new_tools"));
        }
        Some(new_tools) => rules["new_tools"] = json!(new_tools),
    }
    level.replace(&app, &server.slug, form.text("revision"), &rules).await?;
    Ok(see_other(&format!("/servers/{}/tools?level={}", segment(&name), segment(&target))))
}

#[derive(Template)]
#[template(path = "console/tool.html")]
struct ToolPage<'a> {
    visit: &'a Visit,
    slug: &'a str,
    tool: ToolView,
    path: String,
    /// Of the diff: what each line is, and the line.
    lines: Vec<(&'static str, String)>,
}

pub(super) async fn show(
    app: Acting,
    visit: Visit,
    Path((server, tool)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let Json(found) = catalogue::tool(app.clone(), Path((server.clone(), tool.clone()))).await?;
    let lines = found.diff.as_deref().unwrap_or_default().lines().map(line).collect();
    let path = format!("/servers/{}/tools/{}", segment(&server), segment(&tool));
    let content = ToolPage { visit: &visit, slug: &server, tool: found, path, lines };
    Ok(page(&visit, &format!("Tool {tool}"), &content))
}

fn line(text: &str) -> (&'static str, String) {
    let kind = match text.as_bytes().first() {
        Some(b'+') if !text.starts_with("+++") => "added",
        Some(b'-') if !text.starts_with("---") => "removed",
        _ => "same",
    };
    (kind, text.to_owned())
}

/// Approves what was shown, or takes the approval back.
pub(super) async fn approve(
    app: Acting,
    Path((server, tool)): Path<(String, String)>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let path = format!("/servers/{}/tools/{}", segment(&server), segment(&tool));
    if form.text("decision") == "withdraw" {
        let which = Withdrawal { tool, wait: Some(WaitFor::Applied) };
        approvals::withdraw(app, Path(server), StrictQuery(which)).await?;
    } else {
        let sent = json!({"tools": [{"name": tool, "digest": form.text("digest")}]});
        approvals::approve(app, Path(server), applied(), body(&sent)?).await?;
    }
    Ok(see_other(&path))
}
