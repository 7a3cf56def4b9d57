//! Clients that are signed in as a member.

use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use super::commit::Wait;
use super::page::{Page, next};
use super::time;
use crate::domain::access::{Object, Operation};
use crate::domain::client_session::ClientSession;
use crate::domain::ids::ClientSessionId;
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;
use crate::store::authorization::SessionsOf;

/// A client that a member has allowed to use a server. Its tokens are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    pub id: String,
    /// The member's id.
    pub member: String,
    /// The server's id.
    pub server: String,
    /// The path by which the client calls the server.
    pub path: String,
    /// What the client sends as `client_id`.
    pub client: String,
    /// What it was called on the page on which the member allowed it.
    pub client_name: String,
    /// `mcp:read`, or with `mcp:write`.
    pub scope: String,
    /// RFC 3339, as the others.
    pub created_at: String,
    /// Up to a minute late.
    pub last_used_at: String,
    /// If it is not used until then.
    pub expires_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SessionList {
    pub sessions: Vec<SessionView>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl From<ClientSession> for SessionView {
    fn from(session: ClientSession) -> Self {
        Self {
            id: session.id.into(),
            member: session.member.into(),
            server: session.server.into(),
            path: session.resource.to_string(),
            client: session.client.id,
            client_name: session.client.name,
            scope: session.extent.scope(),
            created_at: time::spell(session.created_at),
            last_used_at: time::spell(session.last_used_at),
            expires_at: time::spell(session.expires_at),
        }
    }
}

/// Lists the clients that are signed in as a member.
#[utoipa::path(
    get, path = "/v1/members/{member}/sessions", tag = "sessions", params(("member" = String, Path), Page),
    responses((status = OK, body = SessionList))
)]
pub async fn of_member(
    app: Acting,
    Path(member): Path<String>,
    StrictQuery(page): StrictQuery<Page>,
) -> Result<Json<SessionList>, ApiError> {
    let limit = page.limit()?;
    let of = SessionsOf::Member(app.find_member(&member, Operation::See).await?.id);
    let after = page.after.map(ClientSessionId::from);
    let sessions = app.store.client_sessions(&of, after.as_ref(), limit).await?;
    let next = next(&sessions, limit, |session| session.id.to_string());
    Ok(Json(SessionList { sessions: sessions.into_iter().map(Into::into).collect(), next }))
}

/// Signs a client out: its tokens are refused from then on.
#[utoipa::path(
    delete, path = "/v1/sessions/{session}", tag = "sessions", params(("session" = String, Path), Wait),
    responses((status = NO_CONTENT))
)]
pub async fn delete(
    app: Acting,
    Path(id): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    let id = ClientSessionId::from(id);
    let missing = || ApiError::NotFound { what: "session" };
    let session = app.store.client_session(&id).await?.ok_or_else(missing)?;
    let member = app.store.member(&session.member).await?.ok_or_else(missing)?;
    app.may(Operation::Use, Object::Member(&member), "session")?;
    let revision = app.changing().end_client_session(&id).await?;
    app.deleted("session", revision, wait).await
}
