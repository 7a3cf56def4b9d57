//! Members of a workspace.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::check::Problems;
use super::commit::{IF_MATCH, IfMatch, Wait, shown};
use super::page::{Page, next};
use crate::domain::Origin;
use crate::domain::access::Operation;
use crate::domain::ids::MemberId;
use crate::domain::people::{Identity, Member, MemberRole};
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};
use crate::store::{MemberChange, NewMember};

/// A user in one workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberView {
    pub id: String,
    /// The workspace's id.
    pub workspace: String,
    pub issuer: String,
    pub subject: String,
    pub name: String,
    pub role: MemberRole,
    pub disabled: bool,
    /// The company's groups say so no longer: refused like a disabled one, until they do again.
    pub lapsed: bool,
    /// `config` if `portcullis.yaml` declares it, `sign_in` if the company's groups say so, otherwise `api`.
    pub origin: &'static str,
    /// The commit that last changed it.
    pub revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MemberList {
    pub members: Vec<MemberView>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMember {
    /// The `iss` of the member's tokens, byte for byte.
    pub issuer: String,
    /// The `sub` of the member's tokens, byte for byte.
    pub subject: String,
    /// For people; the subject if absent.
    pub name: Option<String>,
    /// `member` if absent.
    #[serde(default)]
    pub role: MemberRole,
}

/// What is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMember {
    pub name: Option<String>,
    /// Where the company's groups say what somebody is, they say the role too.
    pub role: Option<MemberRole>,
    /// A disabled member's tokens and keys are refused.
    pub disabled: Option<bool>,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            id: member.id.into(),
            workspace: member.workspace.into(),
            issuer: member.identity.issuer,
            subject: member.identity.subject,
            name: member.name,
            role: member.role,
            disabled: member.disabled,
            lapsed: member.lapsed,
            origin: member.origin.as_str(),
            revision: member.revision.0,
        }
    }
}

/// Lists the members of a workspace by id.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/members", tag = "members",
    params(("workspace" = String, Path, description = "Id or slug"), Page),
    responses((status = OK, body = MemberList))
)]
pub async fn list(
    app: Acting,
    Path(workspace): Path<String>,
    StrictQuery(page): StrictQuery<Page>,
) -> Result<Json<MemberList>, ApiError> {
    let workspace = app.find_workspace(&workspace, Operation::Manage).await?.id;
    let limit = page.limit()?;
    let after = page.after.map(MemberId::from);
    let members = app.store.members(&workspace, after.as_ref(), limit).await?;
    let next = next(&members, limit, |member| member.id.to_string());
    Ok(Json(MemberList { members: members.into_iter().map(Into::into).collect(), next }))
}

/// Adds a member to a workspace.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}/members", tag = "members",
    params(("workspace" = String, Path, description = "Id or slug"), Wait),
    request_body = CreateMember, responses((status = CREATED, body = MemberView))
)]
pub async fn create(
    app: Acting,
    Path(workspace): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
    StrictJson(body): StrictJson<CreateMember>,
) -> Result<Response, ApiError> {
    let workspace = app.find_workspace(&workspace, Operation::Manage).await?.id;
    let mut problems = Problems::default();
    let issuer = problems.identity_part("issuer", &body.issuer);
    let subject = problems.identity_part("subject", &body.subject);
    let name = problems.name("name", body.name.unwrap_or_else(|| body.subject.clone()));
    let name = problems.finish(name.filter(|_| issuer && subject))?;
    let identity = Identity { issuer: body.issuer, subject: body.subject };
    let member = NewMember { id: MemberId::new(&*app.entropy), workspace, identity, name, role: body.role };
    let made = app.changing().create_member(&member).await.map_err(|error| app.refusal(error))?;
    let revision = made.revision;
    app.committed(revision, wait, shown(StatusCode::CREATED, revision, MemberView::from(made))).await
}

/// Shows a member.
#[utoipa::path(
    get, path = "/v1/members/{member}", tag = "members", params(("member" = String, Path)),
    responses((status = OK, body = MemberView))
)]
pub async fn show(app: Acting, Path(id): Path<String>) -> Result<Response, ApiError> {
    let member = app.find_member(&id, Operation::See).await?;
    Ok(shown(StatusCode::OK, member.revision, MemberView::from(member)))
}

/// Renames, disables or enables a member, or changes the role.
#[utoipa::path(
    patch, path = "/v1/members/{member}", tag = "members", params(("member" = String, Path), Wait,
        ("if-match" = Option<String>, Header, description = IF_MATCH)),
    request_body = ChangeMember, responses((status = OK, body = MemberView))
)]
pub async fn change(
    app: Acting,
    Path(id): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
    expected: IfMatch,
    StrictJson(body): StrictJson<ChangeMember>,
) -> Result<Response, ApiError> {
    let member = app.find_member(&id, Operation::Manage).await?;
    let role = body.role.unwrap_or(member.role);
    if member.origin == Origin::SignIn && role != member.role {
        return Err(ApiError::role_of_sign_in());
    }
    let mut problems = Problems::default();
    let name = problems.name("name", body.name.unwrap_or(member.name));
    let name = problems.finish(name)?;
    let change = MemberChange { name, role, disabled: body.disabled.unwrap_or(member.disabled) };
    let changed = app
        .changing()
        .change_member(&member.id, &change, expected.based_on(member.revision))
        .await
        .map_err(|error| app.refusal(error))?
        .ok_or(ApiError::NotFound { what: "member" })?;
    let revision = changed.revision;
    app.committed(revision, wait, shown(StatusCode::OK, revision, MemberView::from(changed))).await
}

/// Removes a member with its keys and policies.
#[utoipa::path(
    delete, path = "/v1/members/{member}", tag = "members", params(("member" = String, Path), Wait),
    responses((status = NO_CONTENT))
)]
pub async fn delete(
    app: Acting,
    Path(id): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    let id = app.find_member(&id, Operation::Manage).await?.id;
    let revision = app.changing().delete_member(&id).await.map_err(|error| app.refusal(error))?;
    app.deleted("member", revision, wait).await
}
