//! API keys.

use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use portcullis_wire::secret::SecretText;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::acting::Acting;
use super::audit::PersonView;
use super::check::Problems;
use super::commit::{IF_MATCH, IfMatch, Wait, shown};
use super::key_limits::{Change, KeyLimits, LimitsBody};
use super::page::{Page, next};
use super::time;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::access::{Object, Operation};
use crate::domain::ids::{KeyId, WorkspaceId};
use crate::domain::people::{ApiKeyRecord, KeyOwner, KeyScope, KeySettings};
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};
use crate::store::NewKey;
use crate::vault::api_key;

/// An API key, without anything that could be used to call.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// The public part inside the key itself, after the environment.
    pub id: String,
    /// The workspace's id.
    pub workspace: String,
    /// The id of the member it acts as; absent for a service key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// A service key can do no more than this person may at present; absent if the admin token has made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<PersonView>,
    pub name: String,
    /// RFC 3339; absent if it never expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    pub disabled: bool,
    pub limits: KeyLimits,
    /// The id of the key that it took the place of, as long as that one is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339, up to a minute late; absent if it was never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// The commit that last changed it.
    pub revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    pub keys: Vec<KeyView>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    pub name: String,
    /// The id of the member that the key acts as; absent for a service key.
    pub member: Option<String>,
    /// RFC 3339; absent if it never expires.
    pub expires_at: Option<String>,
    /// What it takes away of its owner's rights.
    #[serde(default)]
    pub limits: LimitsBody,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// How long the old key can still be used, at most a week; an hour if absent, 0 for no time at all.
    #[serde(default = "default_overlap")]
    pub overlap_seconds: u64,
}

fn default_overlap() -> u64 {
    3_600
}

const LONGEST_OVERLAP: u64 = 7 * 24 * 3_600;

/// The one time that a key is shown.
#[derive(Serialize, ToSchema)]
pub struct CreatedKey {
    /// The key itself. It is not kept and cannot be shown again.
    #[schema(value_type = String)]
    pub api_key: SecretText,
    pub key: KeyView,
}

/// What is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeKey {
    pub name: Option<String>,
    /// RFC 3339; `null` for a key that never expires.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub expires_at: Change<String>,
    pub disabled: Option<bool>,
    #[serde(default)]
    pub limits: LimitsBody,
}

impl From<ApiKeyRecord> for KeyView {
    fn from(key: ApiKeyRecord) -> Self {
        Self {
            limits: KeyLimits::from(&key.settings),
            replaces: key.replaces.map(Into::into),
            id: key.id.into(),
            workspace: key.workspace.into(),
            member: match key.owner {
                KeyOwner::Member(member) => Some(member.into()),
                KeyOwner::Service => None,
            },
            made_by: key.made_by.map(Into::into),
            name: key.settings.name,
            expires_at: key.settings.expires_at.map(time::spell),
            disabled: key.settings.disabled,
            created_at: time::spell(key.created_at),
            last_used_at: key.last_used_at.map(time::spell),
            revision: key.revision.0,
        }
    }
}

/// Lists the keys of a workspace by id: all of them for whoever manages it, otherwise the caller's own.
#[utoipa::path(
    get, path = "/v1/workspaces/{workspace}/keys", tag = "keys",
    params(("workspace" = String, Path, description = "Id or slug"), Page),
    responses((status = OK, body = KeyList))
)]
pub async fn list(
    app: Acting,
    Path(workspace): Path<String>,
    StrictQuery(page): StrictQuery<Page>,
) -> Result<Json<KeyList>, ApiError> {
    let workspace = app.find_workspace(&workspace, Operation::Use).await?.id;
    let limit = page.limit()?;
    let after = page.after.map(KeyId::from);
    let manages = app.may(Operation::Manage, Object::Workspace(&workspace), "workspace").is_ok();
    let keys = match app.principal().membership(&workspace) {
        Some(own) if !manages => app.store.keys_of_member(&own.id, after.as_ref(), limit).await?,
        _ => app.store.keys(&workspace, after.as_ref(), limit).await?,
    };
    let next = next(&keys, limit, |key| key.id.to_string());
    Ok(Json(KeyList { keys: keys.into_iter().map(Into::into).collect(), next }))
}

/// Makes a key for a member or a service and shows it, this once.
#[utoipa::path(
    post, path = "/v1/workspaces/{workspace}/keys", tag = "keys",
    params(("workspace" = String, Path, description = "Id or slug")),
    request_body = CreateKey, responses((status = CREATED, body = CreatedKey))
)]
pub async fn create(
    app: Acting,
    Path(workspace): Path<String>,
    StrictJson(body): StrictJson<CreateKey>,
) -> Result<Response, ApiError> {
    let (created, revision) = app.make_key(&workspace, body).await?;
    app.committed(revision, Wait::default(), shown(StatusCode::CREATED, revision, created)).await
}

/// Makes a key in place of this one, with its name, limits and policies, and shows it, this once. The old one can be used
/// for a while, so that agents can be given the new one in turn.
#[utoipa::path(
    post, path = "/v1/keys/{key}/rotate", tag = "keys", params(("key" = String, Path)),
    request_body = RotateKey, responses((status = CREATED, body = CreatedKey))
)]
pub async fn rotate(
    app: Acting,
    Path(id): Path<String>,
    StrictJson(body): StrictJson<RotateKey>,
) -> Result<Response, ApiError> {
    let (created, revision) = app.replace_key(&id, body).await?;
    app.committed(revision, Wait::default(), shown(StatusCode::CREATED, revision, created)).await
}

impl Acting {
    /// Makes a key. Nobody waits for filters: nothing has to forget a key that did not exist, and a timeout would lose it.
    pub(super) async fn make_key(
        &self,
        workspace: &str,
        body: CreateKey,
    ) -> Result<(CreatedKey, Revision), ApiError> {
        let workspace = self.find_workspace(workspace, Operation::Use).await?.id;
        let now = self.clock.now();
        let mut problems = Problems::default();
        let name = problems.name("name", body.name);
        let expires_at = body.expires_at.map(|text| expiry(&mut problems, &text, now)).transpose();
        let (scope, sources) =
            body.limits.apply(self, &mut problems, KeyScope::default(), Vec::new()).await?;
        let settings = name.zip(expires_at.ok()).map(|(name, expires_at)| KeySettings {
            name,
            expires_at,
            disabled: false,
            scope,
            sources,
        });
        let settings = problems.finish(settings)?;
        let owner = self.owner(&workspace, body.member).await?;
        let (text, key) = self.new_key(workspace, owner, settings)?;
        let made = self.changing().create_key(&key).await.map_err(|error| self.refusal(error))?;
        let revision = made.revision;
        Ok((CreatedKey { api_key: text, key: made.into() }, revision))
    }

    /// Makes a key in place of another.
    pub(super) async fn replace_key(
        &self,
        id: &str,
        body: RotateKey,
    ) -> Result<(CreatedKey, Revision), ApiError> {
        let old = self.find_key(id, Operation::Use).await?;
        if body.overlap_seconds > LONGEST_OVERLAP {
            let problem = "is longer than a week";
            return Err(ApiError::invalid("overlap_seconds", problem, "give at most 604800"));
        }
        let (text, new) = self.new_key(old.workspace, old.owner, old.settings)?;
        let ends = new.created_at.plus(Duration::from_secs(body.overlap_seconds));
        let made = self
            .changing()
            .rotate_key(&old.id, &new, ends, Some(old.revision))
            .await
            .map_err(|error| self.refusal(error))?
            .ok_or(ApiError::NotFound { what: "key" })?;
        let revision = made.revision;
        Ok((CreatedKey { api_key: text, key: made.into() }, revision))
    }

    /// A key that is yet to be kept, made by the caller, and its text.
    fn new_key(
        &self,
        workspace: WorkspaceId,
        owner: KeyOwner,
        settings: KeySettings,
    ) -> Result<(SecretText, NewKey), ApiError> {
        let (text, key) = api_key::spell(&self.settings.key_environment, &*self.entropy)
            .ok_or_else(|| ApiError::Internal("the environment of API keys is malformed".into()))?;
        let (made_by, created_at) = (self.principal().identity().cloned(), self.clock.now());
        let (id, digest) = (key.id.into(), key.digest);
        Ok((text, NewKey { id, digest, workspace, owner, made_by, settings, created_at }))
    }

    /// Whose a new key may be: everybody's own, and for whoever manages the workspace also others' and nobody's. A
    /// member whom the caller cannot see looks like one that does not exist.
    async fn owner(&self, workspace: &WorkspaceId, member: Option<String>) -> Result<KeyOwner, ApiError> {
        let Some(id) = member else {
            self.may(Operation::Manage, Object::Workspace(workspace), "workspace")?;
            return Ok(KeyOwner::Service);
        };
        let member = self.store.member(&id.into()).await?.filter(|member| member.workspace == *workspace);
        let member =
            member.filter(|member| self.may(Operation::Use, Object::Member(member), "member").is_ok());
        member.map(|member| KeyOwner::Member(member.id)).ok_or_else(|| {
            ApiError::invalid(
                "member",
                "is not a member of this workspace",
                "GET /v1/me shows your own id, and GET /v1/workspaces/{workspace}/members those of others",
            )
        })
    }
}

/// `Err` if a fault was noted.
fn expiry(problems: &mut Problems, text: &str, now: Timestamp) -> Result<Timestamp, ()> {
    let problem = match time::read(text) {
        Some(time) if time > now => return Ok(time),
        Some(_) => "is in the past",
        None => "is not a time of the form 2027-01-31T12:00:00Z (RFC 3339)",
    };
    problems.add("expires_at", problem, "give a time to come, or leave it out for a key that never expires");
    Err(())
}

/// Shows a key, without its secret.
#[utoipa::path(
    get, path = "/v1/keys/{key}", tag = "keys", params(("key" = String, Path)),
    responses((status = OK, body = KeyView))
)]
pub async fn show(app: Acting, Path(id): Path<String>) -> Result<Response, ApiError> {
    let key = app.find_key(&id, Operation::Use).await?;
    Ok(shown(StatusCode::OK, key.revision, KeyView::from(key)))
}

/// Renames, disables or enables a key, or changes when it expires or what it takes away.
#[utoipa::path(
    patch, path = "/v1/keys/{key}", tag = "keys", params(("key" = String, Path), Wait,
        ("if-match" = Option<String>, Header, description = IF_MATCH)),
    request_body = ChangeKey, responses((status = OK, body = KeyView))
)]
pub async fn change(
    app: Acting,
    Path(id): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
    expected: IfMatch,
    StrictJson(body): StrictJson<ChangeKey>,
) -> Result<Response, ApiError> {
    let key = app.find_key(&id, Operation::Use).await?;
    let now = app.clock.now();
    let mut problems = Problems::default();
    let name = problems.name("name", body.name.unwrap_or(key.settings.name));
    let expires_at = match body.expires_at {
        Change::Keep => Ok(key.settings.expires_at),
        Change::Clear => Ok(None),
        Change::Set(text) => expiry(&mut problems, &text, now).map(Some),
    };
    let disabled = body.disabled.unwrap_or(key.settings.disabled);
    let (scope, sources) =
        body.limits.apply(&app, &mut problems, key.settings.scope, key.settings.sources).await?;
    let settings = name.zip(expires_at.ok()).map(|(name, expires_at)| KeySettings {
        name,
        expires_at,
        disabled,
        scope,
        sources,
    });
    let settings = problems.finish(settings)?;
    let changed = app
        .changing()
        .change_key(&key.id, &settings, expected.based_on(key.revision))
        .await
        .map_err(|error| app.refusal(error))?
        .ok_or(ApiError::NotFound { what: "key" })?;
    let revision = changed.revision;
    app.committed(revision, wait, shown(StatusCode::OK, revision, KeyView::from(changed))).await
}

/// Revokes a key for good.
#[utoipa::path(
    delete, path = "/v1/keys/{key}", tag = "keys", params(("key" = String, Path), Wait),
    responses((status = NO_CONTENT))
)]
pub async fn delete(
    app: Acting,
    Path(id): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    let id = app.find_key(&id, Operation::Use).await?.id;
    let revision = app.changing().delete_key(&id).await.map_err(|error| app.refusal(error))?;
    app.deleted("key", revision, wait).await
}
