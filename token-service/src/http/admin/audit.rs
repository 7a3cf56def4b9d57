//! The audit log: who changed what, and when. It can only grow.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::acting::Acting;
use super::time;
use crate::domain::access::Operation;
use crate::domain::people::Identity;
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;
use crate::store::AuditEntry;

const MOST_ENTRIES: u32 = 1_000;
const DEFAULT_ENTRIES: u32 = 100;

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    /// Counts from 1 without gaps.
    pub sequence: u64,
    /// RFC 3339.
    pub at: String,
    /// `person`, `admin_token`, `configuration`, `sign_in`, `member` or `system`.
    pub who: &'static str,
    /// Who it was, if it was a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonView>,
    /// Such as `server.create`.
    pub action: String,
    /// The id of what was changed.
    pub object: String,
    /// The commit that made the change.
    pub revision: u64,
}

/// Somebody, by what issuer and subject they are.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonView {
    pub issuer: String,
    pub subject: String,
}

impl From<Identity> for PersonView {
    fn from(identity: Identity) -> Self {
        Self { issuer: identity.issuer, subject: identity.subject }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    /// Newest first.
    pub entries: Vec<AuditView>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only entries before this sequence number.
    pub before: Option<u64>,
    /// 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            sequence: entry.sequence,
            at: time::spell(entry.at),
            who: entry.actor.as_str(),
            person: entry.actor.person().cloned().map(Into::into),
            action: entry.action,
            object: entry.object,
            revision: entry.revision.0,
        }
    }
}

/// Lists changes, newest first.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", params(AuditQuery), responses((status = OK, body = AuditList))
)]
pub async fn list(
    app: Acting,
    StrictQuery(query): StrictQuery<AuditQuery>,
) -> Result<Json<AuditList>, ApiError> {
    app.may_in_organization(Operation::See)?;
    let limit = match query.limit {
        None => DEFAULT_ENTRIES,
        Some(limit @ 1..=MOST_ENTRIES) => limit,
        Some(_) => {
            return Err(ApiError::invalid(
                "limit",
                "is not 1 to 1000",
                "ask for fewer and go on with `before`",
            ));
        }
    };
    let entries = app.store.audit(query.before, limit).await?.into_iter().map(Into::into).collect();
    Ok(Json(AuditList { entries }))
}
