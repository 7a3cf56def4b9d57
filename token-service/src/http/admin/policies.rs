//! Policies: what the organization, a workspace, a member or a key takes away on one server.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use portcullis_wire::policy::Pattern;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use super::check::Problems;
use super::commit::{IF_MATCH, IfMatch, Wait, shown};
use crate::domain::access::Operation;
use crate::domain::policy::{PolicyEntry, PolicyTarget, ServerRules};
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};

/// How a path names whose policy it is.
pub(super) const TARGET: &str = "`organization`, `workspace:<id or slug>`, `member:<id>` or `key:<id>`";

/// Rules may be long lists.
const RULES_LIMIT: usize = 1024 * 1024;

const MOST_PATTERNS: usize = 1_000;
const LONGEST_PATTERN: usize = 1_024;

/// What one level says about one server.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyView {
    /// `organization`, `workspace`, `member` or `key`.
    pub level: &'static str,
    /// The server's id.
    pub server: String,
    #[schema(value_type = Rules)]
    pub rules: ServerRules,
    /// `config` if `portcullis.yaml` declares it, otherwise `api`.
    pub origin: &'static str,
    /// The commit that last changed it.
    pub revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyList {
    pub policies: Vec<PolicyView>,
}

/// How [`ServerRules`] is described; the type itself is the domain's.
#[derive(ToSchema)]
#[schema(as = Rules)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct Rules {
    /// `false` takes the whole server away.
    enabled: Option<bool>,
    tools: Option<Names>,
    prompts: Option<Names>,
    /// Judged by URI; templates by their URI template.
    resources: Option<Names>,
}

/// Names, exact or with `*` for any run of characters.
#[derive(ToSchema)]
#[schema(as = Names)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct Names {
    /// Only these; absent means all, an empty list means none.
    allow: Option<Vec<String>>,
    /// Not these, even if allowed.
    deny: Option<Vec<String>>,
}

impl From<PolicyEntry> for PolicyView {
    fn from(entry: PolicyEntry) -> Self {
        Self {
            level: entry.target.level().as_str(),
            server: entry.server.into(),
            rules: entry.rules,
            origin: entry.origin.as_str(),
            revision: entry.revision.0,
        }
    }
}

/// Lists what a level takes away, by server.
#[utoipa::path(
    get, path = "/v1/policies/{target}", tag = "policies",
    params(("target" = String, Path, description = TARGET)), responses((status = OK, body = PolicyList))
)]
pub async fn list(app: Acting, Path(target): Path<String>) -> Result<Json<PolicyList>, ApiError> {
    let target = app.find_target(&target, Operation::See).await?;
    let policies = app.store.policies(&target).await?.into_iter().map(Into::into).collect();
    Ok(Json(PolicyList { policies }))
}

/// Sets what a level takes away on a server, in place of what it took away before.
#[utoipa::path(
    put, path = "/v1/policies/{target}/{server}", tag = "policies",
    params(
        ("target" = String, Path, description = TARGET),
        ("server" = String, Path, description = "Id or slug"), Wait,
        ("if-match" = Option<String>, Header, description = IF_MATCH)
    ),
    request_body = Rules, responses((status = OK, body = PolicyView))
)]
pub async fn set(
    app: Acting,
    Path((target, server)): Path<(String, String)>,
    StrictQuery(wait): StrictQuery<Wait>,
    expected: IfMatch,
    StrictJson(rules): StrictJson<ServerRules, RULES_LIMIT>,
) -> Result<Response, ApiError> {
    let target = app.find_target(&target, Operation::Administer).await?;
    let server = app.find_server(&server, Operation::See).await?.id;
    check(&rules)?;
    let entry = app
        .changing()
        .set_policy(&target, &server, &rules, expected.revision())
        .await
        .map_err(|error| app.refusal(error))?;
    let revision = entry.revision;
    app.committed(revision, wait, shown(StatusCode::OK, revision, PolicyView::from(entry))).await
}

/// Takes nothing away any more.
#[utoipa::path(
    delete, path = "/v1/policies/{target}/{server}", tag = "policies",
    params(
        ("target" = String, Path, description = TARGET),
        ("server" = String, Path, description = "Id or slug"), Wait
    ),
    responses((status = NO_CONTENT))
)]
pub async fn delete(
    app: Acting,
    Path((target, server)): Path<(String, String)>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    let target = app.find_target(&target, Operation::Administer).await?;
    let server = app.find_server(&server, Operation::See).await?.id;
    let revision =
        app.changing().delete_policy(&target, &server).await.map_err(|error| app.refusal(error))?;
    app.deleted("policy", revision, wait).await
}

impl Acting {
    /// What is in a workspace is looked after by those who manage it; `operation` is for the organization's own.
    pub(super) async fn find_target(
        &self,
        text: &str,
        operation: Operation,
    ) -> Result<PolicyTarget, ApiError> {
        let manage = Operation::Manage;
        match text.split_once(':') {
            None if text == "organization" => {
                self.may_in_organization(operation)?;
                Ok(PolicyTarget::Organization)
            }
            Some(("workspace", name)) => {
                Ok(PolicyTarget::Workspace(self.find_workspace(name, manage).await?.id))
            }
            Some(("member", id)) => Ok(PolicyTarget::Member(self.find_member(id, manage).await?.id)),
            Some(("key", id)) => Ok(PolicyTarget::Key(self.find_key(id, manage).await?.id)),
            _ => Err(ApiError::NotFound { what: "policy target" }),
        }
    }
}

fn check(rules: &ServerRules) -> Result<(), ApiError> {
    let mut problems = Problems::default();
    for (field, names) in
        [("tools", &rules.tools), ("prompts", &rules.prompts), ("resources", &rules.resources)]
    {
        check_patterns(&mut problems, &format!("{field}.allow"), names.allow.as_deref().unwrap_or_default());
        check_patterns(&mut problems, &format!("{field}.deny"), &names.deny);
    }
    problems.finish(Some(()))
}

pub(super) fn check_patterns(problems: &mut Problems, field: &str, patterns: &[Pattern]) {
    if patterns.len() > MOST_PATTERNS {
        problems.add(field, format!("has {} patterns", patterns.len()), "give at most 1000; use `*`");
    }
    for (index, Pattern(text)) in patterns.iter().enumerate() {
        if text.is_empty() || text.len() > LONGEST_PATTERN || text.chars().any(char::is_control) {
            let problem = "is empty, longer than 1024 bytes, or has a control character";
            problems.add(format!("{field}[{index}]"), problem, "give a name, or a glob such as `create_*`");
        }
    }
}
