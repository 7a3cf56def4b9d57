//! What a server has, and how it stands with approvals.

use axum::Json;
use axum::extract::Path;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::acting::Acting;
use super::audit::PersonView;
use super::page::{Page, next};
use super::time;
use crate::domain::access::{Object, Operation};
use crate::domain::catalogue::{EntryKind, State, diff, pretty};
use crate::domain::server::Server;
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;
use crate::store::catalogue::{Approval, CatalogueEntry, EntryFilter};

/// A tool, prompt, resource or template of a server, as it was learnt.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryView {
    /// `tool`, `prompt`, `resource` or `resource_template`.
    pub kind: &'static str,
    /// Of a resource its URI, of a template its URI template.
    pub name: String,
    /// `new`: nobody has approved it. `changed`: it is another than the one approved. `approved`. `gone`: the last list
    /// did not have it.
    pub state: &'static str,
    /// Of the present definition; what an approval names.
    pub digest: String,
    /// A tool that says of itself that it reads only.
    pub read_only: bool,
    /// RFC 3339, as the others.
    pub first_seen_at: String,
    pub last_seen_at: String,
    /// When the present definition was first seen.
    pub changed_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<ApprovalView>,
}

/// Who has approved which definition.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalView {
    pub digest: String,
    pub at: String,
    /// `person`, `admin_token`, …, as in the audit log.
    pub by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EntryList {
    /// In the order of kinds and names.
    pub entries: Vec<EntryView>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A tool with its definition.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToolView {
    #[serde(flatten)]
    pub entry: EntryView,
    /// JSON, one member a line in the order of their names; characters that cannot be seen are spelt `\uXXXX`. Empty if
    /// it is larger than 64 KiB; such a definition cannot be approved.
    pub definition: String,
    /// What has changed since the approval: a unified diff of both definitions in that form. Empty if nothing has;
    /// absent if there is no approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// Which entries, and a page of them.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// `new`, `changed`, `approved` or `gone`; all if absent.
    pub state: Option<String>,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

impl From<CatalogueEntry> for EntryView {
    fn from(entry: CatalogueEntry) -> Self {
        Self {
            kind: entry.kind.as_str(),
            state: entry.state().as_str(),
            digest: entry.digest.to_string(),
            read_only: entry.reads_only,
            first_seen_at: time::spell(entry.first_seen_at),
            last_seen_at: time::spell(entry.last_seen_at),
            changed_at: time::spell(entry.changed_at),
            approved: entry.approval.map(Into::into),
            name: entry.name,
        }
    }
}

impl From<Approval> for ApprovalView {
    fn from(approval: Approval) -> Self {
        Self {
            digest: approval.digest.to_string(),
            at: time::spell(approval.at),
            by: approval.by.as_str(),
            person: approval.by.person().cloned().map(Into::into),
        }
    }
}

/// Lists a server's tools.
#[utoipa::path(
    get, path = "/v1/servers/{server}/tools", tag = "catalogue",
    params(("server" = String, Path, description = "Id or slug"), Which), responses((status = OK, body = EntryList))
)]
pub async fn tools(
    app: Acting,
    Path(server): Path<String>,
    StrictQuery(which): StrictQuery<Which>,
) -> Result<Json<EntryList>, ApiError> {
    app.entries(&server, &[EntryKind::Tool], which).await
}

/// Lists a server's prompts.
#[utoipa::path(
    get, path = "/v1/servers/{server}/prompts", tag = "catalogue",
    params(("server" = String, Path, description = "Id or slug"), Which), responses((status = OK, body = EntryList))
)]
pub async fn prompts(
    app: Acting,
    Path(server): Path<String>,
    StrictQuery(which): StrictQuery<Which>,
) -> Result<Json<EntryList>, ApiError> {
    app.entries(&server, &[EntryKind::Prompt], which).await
}

/// Lists a server's resources and resource templates. Of resources those of servers only that call their list public:
/// others may name members' own documents.
#[utoipa::path(
    get, path = "/v1/servers/{server}/resources", tag = "catalogue",
    params(("server" = String, Path, description = "Id or slug"), Which), responses((status = OK, body = EntryList))
)]
pub async fn resources(
    app: Acting,
    Path(server): Path<String>,
    StrictQuery(which): StrictQuery<Which>,
) -> Result<Json<EntryList>, ApiError> {
    app.entries(&server, &[EntryKind::Resource, EntryKind::ResourceTemplate], which).await
}

/// Shows a tool's definition, and what has changed since it was approved.
#[utoipa::path(
    get, path = "/v1/servers/{server}/tools/{tool}", tag = "catalogue",
    params(
        ("server" = String, Path, description = "Id or slug"),
        ("tool" = String, Path, description = "Its name, percent-encoded")
    ),
    responses((status = OK, body = ToolView))
)]
pub async fn tool(
    app: Acting,
    Path((server, tool)): Path<(String, String)>,
) -> Result<Json<ToolView>, ApiError> {
    let server = app.find_catalogue(&server, Operation::See).await?.id;
    let found = app.store.catalogue_entry(&server, EntryKind::Tool, &tool).await?;
    let (entry, definitions) = found.ok_or(ApiError::NotFound { what: "tool" })?;
    let shown = |text: &str| if text.is_empty() { String::new() } else { pretty(text) };
    let diff = definitions.approved.as_deref().map(|approved| diff(approved, &definitions.present));
    Ok(Json(ToolView { definition: shown(&definitions.present), diff, entry: entry.into() }))
}

impl Acting {
    /// The server whose catalogue a path names.
    pub(super) async fn find_catalogue(&self, name: &str, operation: Operation) -> Result<Server, ApiError> {
        let server = self.find_server(name, Operation::See).await?;
        let workspaces = self.workspaces_of(&server).await?;
        self.may(operation, Object::Catalogue(&workspaces), "server")?;
        Ok(server)
    }

    async fn entries(
        &self,
        server: &str,
        kinds: &[EntryKind],
        which: Which,
    ) -> Result<Json<EntryList>, ApiError> {
        let Which { state, after, limit } = which;
        let server = self.find_catalogue(server, Operation::See).await?.id;
        let limit = Page { after: None, limit }.limit()?;
        let state = state.as_deref().map(state_named).transpose()?;
        let after = after.as_deref().map(cursor).transpose()?;
        let filter = EntryFilter { kinds: kinds.to_vec(), state };
        let entries = self.store.catalogue_entries(&server, &filter, after.as_ref(), limit).await?;
        let next = next(&entries, limit, |entry| format!("{}:{}", entry.kind.as_str(), entry.name));
        Ok(Json(EntryList { entries: entries.into_iter().map(Into::into).collect(), next }))
    }
}

fn state_named(text: &str) -> Result<State, ApiError> {
    let found = State::ALL.into_iter().find(|state| state.as_str() == text);
    let remedy = "write new, changed, approved or gone";
    found.ok_or_else(|| ApiError::invalid("state", "there is no such state", remedy))
}

fn cursor(text: &str) -> Result<(EntryKind, String), ApiError> {
    let parts =
        text.split_once(':').and_then(|(kind, name)| Some((EntryKind::parse(kind)?, name.to_owned())));
    parts.ok_or_else(|| ApiError::invalid("after", "is no cursor", "give the `next` of the page before"))
}
