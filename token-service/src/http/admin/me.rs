//! Whoever asks: what the caller is here, and the end of the caller's session.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use crate::domain::access::Principal;
use crate::domain::people::{MemberRole, OrganizationRole};
use crate::http::error::ApiError;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// `admin_token` or `person`.
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Absent for somebody who does not administer the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_role: Option<OrganizationRole>,
    /// Those that are neither disabled nor lapsed.
    pub memberships: Vec<MembershipView>,
    /// To send with every change as `x-portcullis-csrf`; absent for the admin token, which needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csrf: Option<String>,
}

/// What the caller is in a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct MembershipView {
    /// The member's id.
    pub member: String,
    /// The workspace's id.
    pub workspace: String,
    /// The workspace's slug.
    pub slug: String,
    pub role: MemberRole,
}

/// Shows who asks: roles, memberships, and the token that changes need.
#[utoipa::path(get, path = "/v1/me", tag = "me", responses((status = OK, body = Me)))]
pub async fn show(app: Acting) -> Result<Json<Me>, ApiError> {
    let Principal::Person { identity, role, memberships } = app.principal() else {
        return Ok(Json(Me {
            kind: "admin_token",
            issuer: None,
            subject: None,
            name: None,
            organization_role: Some(OrganizationRole::Owner),
            memberships: Vec::new(),
            csrf: None,
        }));
    };
    let mut shown = Vec::new();
    for member in memberships.iter().filter(|member| member.is_active()) {
        // One that was deleted a moment ago takes its members along.
        let Some(workspace) = app.store.workspace(&member.workspace).await? else { continue };
        shown.push(MembershipView {
            member: member.id.to_string(),
            workspace: workspace.id.into(),
            slug: workspace.slug.into(),
            role: member.role,
        });
    }
    let session = app.caller().session.as_ref();
    Ok(Json(Me {
        kind: "person",
        issuer: Some(identity.issuer.clone()),
        subject: Some(identity.subject.clone()),
        name: session.map(|session| session.name.clone()),
        organization_role: *role,
        memberships: shown,
        csrf: session.map(|session| session.csrf.clone()),
    }))
}

/// Signs out: ends the session that asks.
#[utoipa::path(delete, path = "/v1/me/session", tag = "me", responses((status = NO_CONTENT)))]
pub async fn sign_out(app: Acting) -> Result<Response, ApiError> {
    let session = app.caller().session.as_ref().ok_or(ApiError::NotFound { what: "session" })?;
    app.store.delete_session(&session.digest).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
