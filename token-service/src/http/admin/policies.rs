//! Policies: what the organization, a workspace, a member or a key takes away on one server.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use super::check::Problems;
use super::commit::{IF_MATCH, IfMatch, Wait, shown};
use crate::domain::access::Operation;
use crate::domain::policy::{PolicyEntry, PolicyTarget, ServerRules, faults};
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};

/// How a path names whose policy it is.
const TARGET: &str = "`organization`, `workspace:<id or slug>`, `member:<id>` or `key:<id>`";

/// Rules may be long lists.
const RULES_LIMIT: usize = 1024 * 1024;

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
    /// Leaves only the tools that say that they read only (`readOnlyHint`).
    read_only: Option<bool>,
    /// What becomes of tools that are new, or were changed after they were approved; `allow` if absent.
    new_tools: Option<NewTools>,
    /// Tools, exact or with `*`, that are refused while filters cannot ask whether the caller still may.
    sensitive: Option<Vec<String>>,
    /// What the arguments of calls have to be. All rules that name a tool have to hold.
    arguments: Option<Vec<ArgumentRule>>,
}

/// What becomes of tools that nobody has approved.
#[derive(ToSchema)]
#[schema(as = NewTools, rename_all = "snake_case")]
#[expect(dead_code, reason = "only its description is used")]
enum NewTools {
    Allow,
    /// Only if the tool says that it reads only.
    AllowIfReadOnly,
    Hold,
}

/// A condition on one argument. A call with a value of another type does not meet it.
#[derive(ToSchema)]
#[schema(as = ArgumentRule)]
#[expect(dead_code, reason = "only its description is used")]
struct ArgumentRule {
    /// A name, or a glob.
    tool: String,
    /// A JSON pointer (RFC 6901) into the call's `arguments`, such as `/repo`.
    argument: String,
    /// Whether the argument may be left out; `false` if absent.
    optional: Option<bool>,
    is: Condition,
}

/// Exactly one of these.
#[derive(ToSchema)]
#[schema(as = Condition)]
#[expect(dead_code, reason = "only its description is used")]
struct Condition {
    /// A text, a number, `true`, `false` or `null`; numbers by value, so that `1` and `1.0` are equal.
    equals: Option<serde_json::Value>,
    one_of: Option<Vec<serde_json::Value>>,
    /// A text that begins so.
    prefix: Option<String>,
    /// A text that matches, `*` for any run of characters.
    glob: Option<String>,
    /// A number between these, both included.
    range: Option<Range>,
}

/// At least one of these.
#[derive(ToSchema)]
#[schema(as = Range)]
#[expect(dead_code, reason = "only its description is used")]
struct Range {
    min: Option<f64>,
    max: Option<f64>,
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
    async fn find_target(&self, text: &str, operation: Operation) -> Result<PolicyTarget, ApiError> {
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
    problems.extend(faults::of_rules(rules));
    problems.finish(Some(()))
}
