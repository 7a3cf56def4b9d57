//! The emergency brake: what is switched off at once, also what `portcullis.yaml` declares.
//!
//! Connections that wait for a decision after their server has moved are another matter: [`super::connections::decide`].

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::check::Problems;
use super::commit::Wait;
use super::time;
use crate::domain::access::Operation;
use crate::domain::quarantine::{Quarantine, QuarantineTarget};
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};

/// How a path names what is switched off.
const TARGET: &str = "`member:<id>`, `key:<id>` or `server:<id or slug>`";

const LONGEST_REASON: usize = 500;

/// What is switched off, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuarantineView {
    /// `member:<id>`, `key:<id>` or `server:<id>`.
    pub target: String,
    pub quarantined: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Somebody has set it who looks after the organization; a manager cannot lift it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by_administrator: Option<bool>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The commit that last changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct QuarantineList {
    /// The newest first.
    pub quarantines: Vec<QuarantineView>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineBody {
    /// For people: 1 to 500 characters.
    pub reason: String,
}

impl QuarantineView {
    fn of(target: &QuarantineTarget, found: Option<Quarantine>) -> Self {
        Self {
            target: format!("{}:{}", target.kind(), target.id()),
            quarantined: found.is_some(),
            by_administrator: found.as_ref().map(|found| found.by_administrator),
            since: found.as_ref().map(|found| time::spell(found.at)),
            revision: found.as_ref().map(|found| found.revision.0),
            reason: found.map(|found| found.reason),
        }
    }
}

/// Lists what is in quarantine, as far as the caller looks after it.
#[utoipa::path(
    get, path = "/v1/quarantines", tag = "quarantines", responses((status = OK, body = QuarantineList))
)]
pub async fn list(app: Acting) -> Result<Json<QuarantineList>, ApiError> {
    let mut quarantines = Vec::new();
    for found in app.store.quarantines().await? {
        let name = format!("{}:{}", found.target.kind(), found.target.id());
        match app.find_quarantine_target(&name).await {
            Ok(target) => quarantines.push(QuarantineView::of(&target, Some(found))),
            Err(ApiError::NotFound { .. } | ApiError::Forbidden) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Json(QuarantineList { quarantines }))
}

/// Shows whether something is in quarantine.
#[utoipa::path(
    get, path = "/v1/quarantines/{target}", tag = "quarantines",
    params(("target" = String, Path, description = TARGET)), responses((status = OK, body = QuarantineView))
)]
pub async fn show(app: Acting, Path(target): Path<String>) -> Result<Json<QuarantineView>, ApiError> {
    let target = app.find_quarantine_target(&target).await?;
    let found = app.store.quarantine(&target).await?;
    Ok(Json(QuarantineView::of(&target, found)))
}

/// Switches a member or a key off, or takes a server away from everybody. Doing it twice changes nothing.
#[utoipa::path(
    put, path = "/v1/quarantines/{target}", tag = "quarantines",
    params(("target" = String, Path, description = TARGET), Wait),
    request_body = QuarantineBody, responses((status = OK, body = QuarantineView))
)]
pub async fn set(
    app: Acting,
    Path(target): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
    StrictJson(body): StrictJson<QuarantineBody>,
) -> Result<Response, ApiError> {
    let target = app.find_quarantine_target(&target).await?;
    let reason = reason(body.reason)?;
    app.may_decide_on(&target).await?;
    let by_administrator = app.principal().administers();
    let set = app.changing().set_quarantine(&target, &reason, by_administrator).await?;
    let revision = set.revision;
    app.committed(revision, wait, Json(QuarantineView::of(&target, Some(set))).into_response()).await
}

/// Lifts a quarantine. Doing it twice changes nothing.
#[utoipa::path(
    delete, path = "/v1/quarantines/{target}", tag = "quarantines",
    params(("target" = String, Path, description = TARGET), Wait), responses((status = NO_CONTENT))
)]
pub async fn lift(
    app: Acting,
    Path(target): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    let target = app.find_quarantine_target(&target).await?;
    app.may_decide_on(&target).await?;
    let revision = match app.changing().lift_quarantine(&target).await? {
        Some(revision) => revision,
        None => app.store.current_revision().await?,
    };
    app.committed(revision, wait, StatusCode::NO_CONTENT.into_response()).await
}

impl Acting {
    /// Members and keys are looked after by those who manage the workspace, servers by the organization.
    async fn find_quarantine_target(&self, text: &str) -> Result<QuarantineTarget, ApiError> {
        match text.split_once(':') {
            Some(("member", id)) => {
                Ok(QuarantineTarget::Member(self.find_member(id, Operation::Manage).await?.id))
            }
            Some(("key", id)) => Ok(QuarantineTarget::Key(self.find_key(id, Operation::Manage).await?.id)),
            Some(("server", name)) => {
                Ok(QuarantineTarget::Server(self.find_server(name, Operation::Administer).await?.id))
            }
            _ => Err(ApiError::NotFound { what: "quarantine target" }),
        }
    }

    /// What the organization has switched off, nobody below switches on.
    async fn may_decide_on(&self, target: &QuarantineTarget) -> Result<(), ApiError> {
        let found = self.store.quarantine(target).await?;
        let by_others = found.is_some_and(|found| found.by_administrator);
        if by_others && !self.principal().administers() { Err(ApiError::Forbidden) } else { Ok(()) }
    }
}

fn reason(text: String) -> Result<String, ApiError> {
    let mut problems = Problems::default();
    let good = !text.trim().is_empty()
        && text.chars().count() <= LONGEST_REASON
        && !text.chars().any(char::is_control);
    if !good {
        let problem = "is empty, longer than 500 characters, or has a line break";
        problems.add("reason", problem, "say in one line why, for whoever lifts it");
    }
    problems.finish(good.then_some(text))
}
