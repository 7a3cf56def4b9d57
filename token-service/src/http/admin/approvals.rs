//! Approving the definitions of tools, where policy holds new ones.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use portcullis_wire::digest::Digest;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::acting::Acting;
use super::check::Problems;
use super::commit::{Wait, WaitFor};
use crate::domain::access::Operation;
use crate::domain::catalogue::MOST_DEFINITIONS;
use crate::http::error::{ApiError, FieldProblem};
use crate::http::read::{StrictJson, StrictQuery};
use crate::store::catalogue::{ApprovalOutcome, Unapprovable};

/// Names may be long, and there may be many.
const APPROVALS_LIMIT: usize = 4 * 1024 * 1024;

/// What is approved: exactly what was looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// Up to 2000.
    pub tools: Vec<ToolApproval>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolApproval {
    pub name: String,
    /// As the tool was shown.
    pub digest: String,
}

/// Whose approval is withdrawn.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Withdrawal {
    /// The tool's name.
    pub tool: String,
    /// `applied`: answer when every connected filter has acknowledged the change.
    #[param(inline)]
    pub wait: Option<WaitFor>,
}

/// Approves definitions of tools. If one of them is another by now, none is approved, and the answer names it.
#[utoipa::path(
    post, path = "/v1/servers/{server}/approvals", tag = "catalogue",
    params(("server" = String, Path, description = "Id or slug"), Wait),
    request_body = Approvals, responses((status = NO_CONTENT))
)]
pub async fn approve(
    app: Acting,
    Path(server): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
    StrictJson(approvals): StrictJson<Approvals, APPROVALS_LIMIT>,
) -> Result<Response, ApiError> {
    let server = app.find_catalogue(&server, Operation::Administer).await?.id;
    let (approvals, places) = read(approvals)?;
    let outcome = app.changing().approve_tools(&server, &approvals).await;
    match outcome.map_err(|error| app.refusal(error))? {
        ApprovalOutcome::Approved(revision) => {
            app.committed(revision, wait, StatusCode::NO_CONTENT.into_response()).await
        }
        ApprovalOutcome::Refused(refused) => {
            let problems = refused.iter().map(|(tool, why_not)| {
                let field = places.get(tool).map(|place| format!("tools[{place}]")).unwrap_or_default();
                problem(field, tool, *why_not)
            });
            Err(ApiError::StaleParts(problems.collect()))
        }
    }
}

/// Takes an approval back: the tool is as new.
#[utoipa::path(
    delete, path = "/v1/servers/{server}/approvals", tag = "catalogue",
    params(("server" = String, Path, description = "Id or slug"), Withdrawal), responses((status = NO_CONTENT))
)]
pub async fn withdraw(
    app: Acting,
    Path(server): Path<String>,
    StrictQuery(Withdrawal { tool, wait }): StrictQuery<Withdrawal>,
) -> Result<Response, ApiError> {
    let server = app.find_catalogue(&server, Operation::Administer).await?.id;
    let revision = app.changing().withdraw_approval(&server, &tool).await;
    app.deleted("approval", revision.map_err(|error| app.refusal(error))?, Wait { wait }).await
}

/// By the names of tools.
type Digests = BTreeMap<String, Digest>;
type Places = BTreeMap<String, usize>;

/// The digests, and where in the request each tool is.
fn read(approvals: Approvals) -> Result<(Digests, Places), ApiError> {
    let mut problems = Problems::default();
    let (mut digests, mut places) = (BTreeMap::new(), BTreeMap::new());
    if !(1..=MOST_DEFINITIONS).contains(&approvals.tools.len()) {
        problems.add("tools", format!("has {} entries", approvals.tools.len()), "give 1 to 2000");
    }
    for (place, ToolApproval { name, digest }) in approvals.tools.into_iter().enumerate() {
        let field = format!("tools[{place}]");
        let digest = Digest::parse(&digest).ok_or("is no digest");
        let remedy = "give the digest of the definition that you looked at";
        let Some(digest) = problems.take(format!("{field}.digest"), digest, remedy) else { continue };
        if digests.insert(name.clone(), digest).is_some_and(|other| other != digest) {
            problems.add(&field, "the tool is named twice, with different digests", "name it once");
        }
        places.insert(name, place);
    }
    problems.finish(Some((digests, places)))
}

fn problem(field: String, tool: &str, why_not: Unapprovable) -> FieldProblem {
    let (problem, remedy) = match why_not {
        Unapprovable::Missing => ("the server has no such tool", "leave it out"),
        Unapprovable::Stale => ("its definition is another by now", "look at it again"),
        Unapprovable::TooLarge => (
            "its definition is too large to be looked at",
            "have the server's owner make it shorter than 64 KiB",
        ),
    };
    FieldProblem { field, problem: format!("{tool}: {problem}"), remedy: remedy.to_owned() }
}
