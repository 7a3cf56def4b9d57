//! Administrators: who looks after the organization as a whole.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::check::Problems;
use super::commit::{IF_MATCH, IfMatch, Wait, shown};
use crate::domain::Origin;
use crate::domain::access::Operation;
use crate::domain::ids::AdministratorId;
use crate::domain::people::{Administrator, Identity, OrganizationRole};
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};
use crate::store::{AdministratorChange, NewAdministrator};

/// Somebody who administers the organization.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdministratorView {
    pub id: String,
    pub issuer: String,
    pub subject: String,
    pub name: String,
    pub role: OrganizationRole,
    /// `config` if `portcullis.yaml` declares it, `sign_in` if the company's groups say so, otherwise `api`.
    pub origin: &'static str,
    /// The commit that last changed it.
    pub revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AdministratorList {
    pub administrators: Vec<AdministratorView>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAdministrator {
    /// Whom the issuer of the sign-in calls so, byte for byte.
    pub issuer: String,
    pub subject: String,
    /// For people; the subject if absent.
    pub name: Option<String>,
    pub role: OrganizationRole,
}

/// What is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAdministrator {
    pub name: Option<String>,
    pub role: Option<OrganizationRole>,
}

impl From<Administrator> for AdministratorView {
    fn from(administrator: Administrator) -> Self {
        Self {
            id: administrator.id.into(),
            issuer: administrator.identity.issuer,
            subject: administrator.identity.subject,
            name: administrator.name,
            role: administrator.role,
            origin: administrator.origin.as_str(),
            revision: administrator.revision.0,
        }
    }
}

/// Lists all administrators by id.
#[utoipa::path(
    get, path = "/v1/administrators", tag = "administrators", responses((status = OK, body = AdministratorList))
)]
pub async fn list(app: Acting) -> Result<Json<AdministratorList>, ApiError> {
    app.may_in_organization(Operation::See)?;
    let administrators = app.store.administrators().await?.into_iter().map(Into::into).collect();
    Ok(Json(AdministratorList { administrators }))
}

/// Makes somebody an administrator.
#[utoipa::path(
    post, path = "/v1/administrators", tag = "administrators", params(Wait),
    request_body = CreateAdministrator, responses((status = CREATED, body = AdministratorView))
)]
pub async fn create(
    app: Acting,
    StrictQuery(wait): StrictQuery<Wait>,
    StrictJson(body): StrictJson<CreateAdministrator>,
) -> Result<Response, ApiError> {
    app.may_in_organization(Operation::Appoint)?;
    let mut problems = Problems::default();
    let issuer = problems.identity_part("issuer", &body.issuer);
    let subject = problems.identity_part("subject", &body.subject);
    let name = problems.name("name", body.name.unwrap_or_else(|| body.subject.clone()));
    let name = problems.finish(name.filter(|_| issuer && subject))?;
    let identity = Identity { issuer: body.issuer, subject: body.subject };
    let new = NewAdministrator { id: AdministratorId::new(&*app.entropy), identity, name, role: body.role };
    let made = app.changing().create_administrator(&new).await.map_err(|error| app.refusal(error))?;
    let revision = made.revision;
    app.committed(revision, wait, shown(StatusCode::CREATED, revision, AdministratorView::from(made))).await
}

/// Shows an administrator.
#[utoipa::path(
    get, path = "/v1/administrators/{administrator}", tag = "administrators",
    params(("administrator" = String, Path)), responses((status = OK, body = AdministratorView))
)]
pub async fn show(app: Acting, Path(id): Path<String>) -> Result<Response, ApiError> {
    let found = app.find_administrator(&id, Operation::See).await?;
    Ok(shown(StatusCode::OK, found.revision, AdministratorView::from(found)))
}

/// Renames an administrator or changes the role. The last owner stays one.
#[utoipa::path(
    patch, path = "/v1/administrators/{administrator}", tag = "administrators",
    params(("administrator" = String, Path), Wait, ("if-match" = Option<String>, Header, description = IF_MATCH)),
    request_body = ChangeAdministrator, responses((status = OK, body = AdministratorView))
)]
pub async fn change(
    app: Acting,
    Path(id): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
    expected: IfMatch,
    StrictJson(body): StrictJson<ChangeAdministrator>,
) -> Result<Response, ApiError> {
    let old = app.find_administrator(&id, Operation::Appoint).await?;
    let role = body.role.unwrap_or(old.role);
    if old.origin == Origin::SignIn && role != old.role {
        return Err(ApiError::role_of_sign_in());
    }
    let mut problems = Problems::default();
    let name = problems.name("name", body.name.unwrap_or(old.name));
    let change = AdministratorChange { name: problems.finish(name)?, role };
    let changed = app
        .changing()
        .change_administrator(&old.id, &change, expected.based_on(old.revision))
        .await
        .map_err(|error| app.refusal(error))?
        .ok_or(ApiError::NotFound { what: "administrator" })?;
    let revision = changed.revision;
    app.committed(revision, wait, shown(StatusCode::OK, revision, AdministratorView::from(changed))).await
}

/// Lets an administrator be one no longer. The last owner stays one.
#[utoipa::path(
    delete, path = "/v1/administrators/{administrator}", tag = "administrators",
    params(("administrator" = String, Path), Wait), responses((status = NO_CONTENT))
)]
pub async fn delete(
    app: Acting,
    Path(id): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    let id = app.find_administrator(&id, Operation::Appoint).await?.id;
    let revision = app.changing().delete_administrator(&id).await.map_err(|error| app.refusal(error))?;
    app.deleted("administrator", revision, wait).await
}
