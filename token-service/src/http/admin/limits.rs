//! Limits: how often something may be called.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use portcullis_wire::policy::Pattern;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::check::Problems;
use super::commit::{IF_MATCH, IfMatch, Wait, shown};
use super::policies::TARGET;
use crate::domain::access::Operation;
use crate::domain::auth_draft::Field;
use crate::domain::limit::{
    Each, Limit, LimitName, LimitRule, LimitScope, MOST_LIMITS, MOST_PATTERNS, MOST_REQUESTS, Per,
};
use crate::domain::policy::{PolicyTarget, faults};
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};

const RULE_LIMIT: usize = 256 * 1024;

/// One limit of a level.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitView {
    /// `organization`, `workspace`, `member` or `key`.
    pub level: &'static str,
    pub name: String,
    /// The id of the only server that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The id of the only workspace that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    pub tools: Vec<String>,
    pub each: Vec<&'static str>,
    pub requests: u32,
    pub per: &'static str,
    /// `config` if `portcullis.yaml` declares it, otherwise `api`.
    pub origin: &'static str,
    /// The commit that last changed it.
    pub revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LimitList {
    pub limits: Vec<LimitView>,
}

/// So many requests in so much time. A whole window's worth may come at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitBody {
    /// Id or slug of the only server that it is for; all if absent.
    server: Option<String>,
    /// Id or slug of the only workspace that it is for, if it is a limit of the organization; all if absent.
    workspace: Option<String>,
    /// Calls of these tools only, named exactly or with `*` for any run of characters; every request if absent.
    #[serde(default)]
    tools: Vec<String>,
    /// What is counted apart: one, or a list, of `level`, `server`, `workspace`, `member`, `key` and `tool`. If absent,
    /// all requests that it concerns are counted together.
    each: Option<EachBody>,
    /// 1 to 1000000.
    requests: u32,
    per: Per,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "`level`, `server`, `workspace`, `member`, `key`, `tool`, or a list of them")]
pub enum EachBody {
    One(Each),
    Several(BTreeSet<Each>),
}

impl From<Limit> for LimitView {
    fn from(limit: Limit) -> Self {
        Self {
            level: limit.target.level().as_str(),
            name: limit.name.to_string(),
            server: limit.scope.server.map(Into::into),
            workspace: limit.scope.workspace.map(Into::into),
            tools: limit.rule.tools.into_iter().map(|Pattern(text)| text).collect(),
            each: limit.rule.each.into_iter().map(Each::as_str).collect(),
            requests: limit.rule.requests,
            per: limit.rule.per.as_str(),
            origin: limit.origin.as_str(),
            revision: limit.revision.0,
        }
    }
}

/// Lists the limits of a level, by name.
#[utoipa::path(
    get, path = "/v1/limits/{target}", tag = "limits",
    params(("target" = String, Path, description = TARGET)), responses((status = OK, body = LimitList))
)]
pub async fn list(app: Acting, Path(target): Path<String>) -> Result<Json<LimitList>, ApiError> {
    let target = app.find_target(&target, Operation::See).await?;
    let limits = app.store.limits(&target).await?.into_iter().map(Into::into).collect();
    Ok(Json(LimitList { limits }))
}

/// Sets a limit of a level, in place of the one of that name. All limits that concern a request have to admit it.
#[utoipa::path(
    put, path = "/v1/limits/{target}/{name}", tag = "limits",
    params(
        ("target" = String, Path, description = TARGET),
        ("name" = String, Path, description = "In logs and here; lower-case letters, digits, `-` and `_`"), Wait,
        ("if-match" = Option<String>, Header, description = IF_MATCH)
    ),
    request_body = LimitBody, responses((status = OK, body = LimitView))
)]
pub async fn set(
    app: Acting,
    Path((target, name)): Path<(String, String)>,
    StrictQuery(wait): StrictQuery<Wait>,
    expected: IfMatch,
    StrictJson(body): StrictJson<LimitBody, RULE_LIMIT>,
) -> Result<Response, ApiError> {
    let target = app.find_target(&target, Operation::Administer).await?;
    let scope = app.limit_scope(&body).await?;
    let (name, rule) = app.checked(&target, &name, &scope, body).await?;
    let changed = app.changing().set_limit(&target, &name, &scope, &rule, expected.revision()).await;
    let limit = changed.map_err(|error| app.refusal(error))?;
    let revision = limit.revision;
    app.committed(revision, wait, shown(StatusCode::OK, revision, LimitView::from(limit))).await
}

/// Limits nothing by this name any more.
#[utoipa::path(
    delete, path = "/v1/limits/{target}/{name}", tag = "limits",
    params(
        ("target" = String, Path, description = TARGET), ("name" = String, Path, description = "The limit's"), Wait
    ),
    responses((status = NO_CONTENT))
)]
pub async fn delete(
    app: Acting,
    Path((target, name)): Path<(String, String)>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    let target = app.find_target(&target, Operation::Administer).await?;
    let name = LimitName::parse(&name).map_err(|_| ApiError::NotFound { what: "limit" })?;
    let revision = app.changing().delete_limit(&target, &name).await.map_err(|error| app.refusal(error))?;
    app.deleted("limit", revision, wait).await
}

impl Acting {
    async fn limit_scope(&self, body: &LimitBody) -> Result<LimitScope, ApiError> {
        let mut scope = LimitScope::default();
        if let Some(name) = &body.server {
            scope.server = Some(self.find_server(name, Operation::See).await?.id);
        }
        if let Some(name) = &body.workspace {
            scope.workspace = Some(self.find_workspace(name, Operation::See).await?.id);
        }
        Ok(scope)
    }

    async fn checked(
        &self,
        target: &PolicyTarget,
        name: &str,
        scope: &LimitScope,
        body: LimitBody,
    ) -> Result<(LimitName, LimitRule), ApiError> {
        let mut problems = Problems::default();
        let name = problems.take("name", LimitName::parse(name), "choose a name such as `writes`");
        if scope.workspace.is_some() && *target != PolicyTarget::Organization {
            problems.add("workspace", "is for limits of the organization only", "leave it out");
        }
        let tools: Vec<Pattern> = body.tools.into_iter().map(Pattern).collect();
        problems.extend(faults::of_patterns(&Field::of(&["tools"]), &tools));
        if tools.len() > MOST_PATTERNS {
            problems.add("tools", "has more than 100 patterns", "use `*`");
        }
        if !(1..=MOST_REQUESTS).contains(&body.requests) {
            problems.add("requests", "is not from 1 to 1000000", "give a number in these bounds");
        }
        let present = self.store.limits(target).await?;
        let is_new = name.as_ref().is_some_and(|name| present.iter().all(|limit| limit.name != *name));
        if is_new && present.len() >= MOST_LIMITS {
            problems.add(
                "name",
                "would be the 51st limit of this level",
                "count several things apart with `each`",
            );
        }
        let each: BTreeSet<Each> = match body.each {
            None => BTreeSet::new(),
            Some(EachBody::One(word)) => BTreeSet::from([word]),
            Some(EachBody::Several(words)) => words,
        };
        let rule = LimitRule { tools, each, requests: body.requests, per: body.per };
        problems.finish(name.map(|name| (name, rule)))
    }
}
