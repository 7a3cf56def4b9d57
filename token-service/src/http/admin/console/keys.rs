//! API keys. A key is shown once, on the page that answers its making.

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::entry::Refused;
use super::form::{Form, Sent, applied, body, read};
use super::quarantine;
use super::shell::{Visit, filters, page, see_other, segment};
use super::workspaces::Around;
use crate::domain::access::Operation;
use crate::domain::people::KeyOwner;
use crate::http::admin::acting::Acting;
use crate::http::admin::keys::{self, CreatedKey, KeyView};
use crate::http::admin::members::{self, MemberView};
use crate::http::admin::page::Page as Paging;
use crate::http::admin::quarantines::QuarantineView;
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;

#[derive(Template)]
#[template(path = "console/keys.html")]
struct List<'a> {
    visit: &'a Visit,
    workspace: Around,
    keys: Vec<KeyView>,
    next: Option<String>,
    /// Whom a key may be made for.
    members: Vec<MemberView>,
    /// The one that was made just now.
    created: Option<CreatedKey>,
}

impl List<'_> {
    /// What a key is of: a member's name, or the service.
    fn owner(&self, key: &KeyView) -> String {
        let Some(id) = &key.member else { return "Service".to_owned() };
        let known = self.members.iter().find(|member| member.id == *id);
        known.map_or_else(|| id.clone(), |member| member.name.clone())
    }
}

pub(super) async fn list(
    app: Acting,
    visit: Visit,
    Path(name): Path<String>,
    StrictQuery(paging): StrictQuery<Paging>,
) -> Result<Response, Refused> {
    show_list(&app, &visit, &name, paging, None).await
}

async fn show_list(
    app: &Acting,
    visit: &Visit,
    name: &str,
    paging: Paging,
    created: Option<CreatedKey>,
) -> Result<Response, Refused> {
    let workspace = Around::find(app, name).await?;
    let Json(found) = keys::list(app.clone(), Path(name.to_owned()), StrictQuery(paging)).await?;
    let members = owners(app, &workspace).await?;
    let title = format!("API keys of {}", workspace.name);
    let content = List { visit, workspace, keys: found.keys, next: found.next, members, created };
    Ok(page(visit, &title, &content))
}

/// Whom keys may be made for: anybody by who manages the workspace, otherwise oneself.
async fn owners(app: &Acting, workspace: &Around) -> Result<Vec<MemberView>, ApiError> {
    if !workspace.manages {
        let own = app.principal().membership(&workspace.id).cloned();
        return Ok(own.into_iter().map(Into::into).collect());
    }
    let all = Paging { after: None, limit: Some(1_000) };
    let Json(found) = members::list(app.clone(), Path(workspace.slug.clone()), StrictQuery(all)).await?;
    Ok(found.members)
}

pub(super) async fn create(
    app: Acting,
    visit: Visit,
    Path(name): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let limits = limits(&form);
    let mut sent = json!({"name": form.text("name"), "limits": limits});
    for field in ["member", "expires_at"] {
        if let Some(given) = form.given(field) {
            sent[field] = json!(if field == "expires_at" { end_of_day(given) } else { given.to_owned() });
        }
    }
    let (created, revision) = app.make_key(&name, read(&sent)?).await?;
    app.watch_hub.committed(revision, app.clock.now());
    show_list(&app, &visit, &name, Paging::default(), Some(created)).await
}

/// A day as a form has it becomes the end of that day; anything else goes on as it is, to be judged.
fn end_of_day(text: &str) -> String {
    let is_day = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_day { format!("{text}T23:59:59Z") } else { text.to_owned() }
}

fn limits(form: &Form) -> Value {
    let mut limits = Map::new();
    limits.insert("read_only".to_owned(), json!(form.is_ticked("read_only")));
    for (field, name) in [("servers", "servers"), ("sources", "sources")] {
        let words = form.words(field);
        let value = if words.is_empty() { Value::Null } else { json!(words) };
        limits.insert(name.to_owned(), value);
    }
    let tools = form.words("tools");
    let value = if tools.is_empty() { Value::Null } else { json!({ "allow": tools }) };
    limits.insert("tools".to_owned(), value);
    Value::Object(limits)
}

#[derive(Template)]
#[template(path = "console/key.html")]
struct Page<'a> {
    visit: &'a Visit,
    key: KeyView,
    workspace: Around,
    owner: String,
    held: Option<QuarantineView>,
    target: String,
    back: String,
    what: &'static str,
    /// The one that takes its place, made just now.
    created: Option<CreatedKey>,
}

pub(super) async fn show(app: Acting, visit: Visit, Path(id): Path<String>) -> Result<Response, Refused> {
    show_key(&app, &visit, &id, None).await
}

async fn show_key(
    app: &Acting,
    visit: &Visit,
    id: &str,
    created: Option<CreatedKey>,
) -> Result<Response, Refused> {
    let found = app.find_key(id, Operation::See).await?;
    let workspace = Around::find(app, found.workspace.as_str()).await?;
    let owner = match &found.owner {
        KeyOwner::Service => "Service".to_owned(),
        KeyOwner::Member(id) => app.find_member(id.as_str(), Operation::See).await?.name,
    };
    let target = format!("key:{id}");
    let held = if workspace.manages { quarantine::of(app, &target).await? } else { None };
    let content = Page {
        visit,
        key: found.into(),
        workspace,
        owner,
        held,
        target,
        back: format!("key {id}"),
        what: "key",
        created,
    };
    Ok(page(visit, &format!("Key {}", content.key.name), &content))
}

pub(super) async fn change(
    app: Acting,
    Path(id): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let sent = json!({"name": form.given("name"), "disabled": form.is_ticked("disabled")});
    let path = Path(id.clone());
    keys::change(app, path, applied(), form.expected(), body(&sent)?).await?;
    Ok(see_other(&format!("/keys/{}", segment(&id))))
}

pub(super) async fn rotate(
    app: Acting,
    visit: Visit,
    Path(id): Path<String>,
    Sent(form): Sent,
) -> Result<Response, Refused> {
    let hours: u64 = form.text("overlap_hours").parse().map_err(|_| {
        ApiError::invalid(
            "overlap_hours",
            "is no whole number",
            "give how many hours the old key can still be used, or 0",
        )
    })?;
    let sent = json!({"overlap_seconds": hours.saturating_mul(3_600)});
    let (created, revision) = app.replace_key(&id, read(&sent)?).await?;
    app.watch_hub.committed(revision, app.clock.now());
    show_key(&app, &visit, &id, Some(created)).await
}

pub(super) async fn delete(app: Acting, Path(id): Path<String>) -> Result<Response, Refused> {
    let workspace = app.find_key(&id, Operation::See).await?.workspace;
    keys::delete(app, Path(id), applied()).await?;
    Ok(see_other(&format!("/workspaces/{workspace}/keys")))
}
