//! Connections: who has connected an account to which server. Never a token.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::acting::Acting;
use super::commit::{Wait, shown};
use super::page::{Page, next};
use super::time;
use crate::domain::access::{Object, Operation};
use crate::domain::connection::{Connection, ConnectionId, ConnectionOwner};
use crate::http::error::ApiError;
use crate::http::read::{StrictJson, StrictQuery};
use crate::quarantine::{Decision, Outcome};
use crate::store::connections::ConnectionFilter;

/// The upstream credential of a member, or of everybody, on one server. Its tokens are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionView {
    pub id: String,
    /// The server's id.
    pub server: String,
    /// The member's id; absent for a connection that everybody shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// `active`, `needs_reauth`, `quarantined` or `disconnected`.
    pub state: &'static str,
    /// Why the member has to connect again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// What the provider calls the account, where it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Granted, as far as is known.
    pub scopes: Vec<String>,
    /// Asked for by the server since, and not granted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_scopes: Vec<String>,
    /// The authorization server that made it.
    pub issuer: String,
    /// Where its tokens go: scheme, host and port.
    pub origin: String,
    pub connected_at: String,
    pub refreshed_at: String,
    /// When the present token expires, if the provider said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Counts the credentials that it has had.
    pub generation: u64,
    /// The commit that last changed it.
    pub revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionList {
    pub connections: Vec<ConnectionView>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which connections; all that are given must hold.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Id or slug.
    pub server: Option<String>,
    /// Id or slug; of the members.
    pub workspace: Option<String>,
    /// Id.
    pub member: Option<String>,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// 1 to 1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// What becomes of connections that were made before the server's URL moved to another origin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineDecision {
    pub decision: DecisionBody,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionBody {
    /// Their tokens go to the new origin: it belongs to whom they were given for.
    Release,
    /// They are disconnected, and revoked at the provider as far as it goes.
    Discard,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct QuarantineOutcome {
    /// How many connections the decision was carried out for.
    pub decided: u64,
    /// Those whose tokens cannot be opened; they stay in quarantine, and their members have to connect again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// Those that a renewal from before the move still holds; decide again in a minute.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub busy: Vec<String>,
}

impl From<Connection> for ConnectionView {
    fn from(connection: Connection) -> Self {
        let reason = connection.reason();
        let granted = &connection.scopes;
        Self {
            missing_scopes: connection.step_up.wanted.difference(granted).cloned().collect(),
            scopes: granted.iter().cloned().collect(),
            member: match &connection.owner {
                ConnectionOwner::Member(member) => Some(member.to_string()),
                ConnectionOwner::Shared => None,
            },
            id: connection.id.to_string(),
            server: connection.server.into(),
            state: connection.state.as_str(),
            reason,
            account: connection.account,
            issuer: connection.binding.issuer,
            origin: connection.binding.origin,
            connected_at: time::spell(connection.connected_at),
            refreshed_at: time::spell(connection.refreshed_at),
            expires_at: connection.tokens.and_then(|tokens| tokens.expires_at).map(time::spell),
            generation: connection.generation,
            revision: connection.revision.0,
        }
    }
}

impl Acting {
    async fn find_connection(&self, id: &str, operation: Operation) -> Result<Connection, ApiError> {
        let missing = || ApiError::NotFound { what: "connection" };
        let found = self.store.connection(&ConnectionId::from(id.to_owned())).await?;
        let found = found.ok_or_else(missing)?;
        match &found.owner {
            ConnectionOwner::Shared => self.may(operation, Object::Internal, "connection")?,
            ConnectionOwner::Member(owner) => {
                let owner = self.store.member(owner).await?.ok_or_else(missing)?;
                self.may(operation, Object::Member(&owner), "connection")?;
            }
        }
        Ok(found)
    }

    /// Whoever does not administer the organization says whose connections are meant.
    async fn which(&self, which: &Which) -> Result<ConnectionFilter, ApiError> {
        let mut filter = ConnectionFilter::default();
        if let Some(server) = &which.server {
            filter.server = Some(self.find_server(server, Operation::See).await?.id);
        }
        if let Some(workspace) = &which.workspace {
            // With a member named besides, it takes no more than to be in the workspace.
            let operation = if which.member.is_some() { Operation::See } else { Operation::Manage };
            filter.workspace = Some(self.find_workspace(workspace, operation).await?.id);
        }
        if let Some(member) = &which.member {
            filter.member = Some(self.find_member(member, Operation::See).await?.id);
        }
        if filter.workspace.is_none() && filter.member.is_none() && !self.principal().administers() {
            return Err(ApiError::Forbidden);
        }
        Ok(filter)
    }

    async fn connection_page(
        &self,
        filter: &ConnectionFilter,
        page: Page,
    ) -> Result<Json<ConnectionList>, ApiError> {
        let limit = page.limit()?;
        let after = page.after.map(ConnectionId::from);
        let found = self.store.connections(filter, after.as_ref(), limit).await?;
        let next = next(&found, limit, |connection| connection.id.to_string());
        Ok(Json(ConnectionList { connections: found.into_iter().map(Into::into).collect(), next }))
    }
}

/// Lists connections by id.
#[utoipa::path(
    get, path = "/v1/connections", tag = "connections", params(Which),
    responses((status = OK, body = ConnectionList))
)]
pub async fn list(
    app: Acting,
    StrictQuery(which): StrictQuery<Which>,
) -> Result<Json<ConnectionList>, ApiError> {
    let filter = app.which(&which).await?;
    app.connection_page(&filter, Page { after: which.after, limit: which.limit }).await
}

/// Lists the connections of a member.
#[utoipa::path(
    get, path = "/v1/members/{member}/connections", tag = "connections",
    params(("member" = String, Path), Page), responses((status = OK, body = ConnectionList))
)]
pub async fn of_member(
    app: Acting,
    Path(member): Path<String>,
    StrictQuery(page): StrictQuery<Page>,
) -> Result<Json<ConnectionList>, ApiError> {
    let member = Some(app.find_member(&member, Operation::See).await?.id);
    app.connection_page(&ConnectionFilter { member, ..ConnectionFilter::default() }, page).await
}

/// Shows a connection.
#[utoipa::path(
    get, path = "/v1/connections/{connection}", tag = "connections", params(("connection" = String, Path)),
    responses((status = OK, body = ConnectionView))
)]
pub async fn show(app: Acting, Path(id): Path<String>) -> Result<Response, ApiError> {
    let connection = app.find_connection(&id, Operation::See).await?;
    Ok(shown(StatusCode::OK, connection.revision, ConnectionView::from(connection)))
}

/// Disconnects: removes the tokens, and revokes them at the provider as far as it goes.
#[utoipa::path(
    delete, path = "/v1/connections/{connection}", tag = "connections",
    params(("connection" = String, Path), Wait), responses((status = NO_CONTENT))
)]
pub async fn delete(
    app: Acting,
    Path(id): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
) -> Result<Response, ApiError> {
    let connection = app.find_connection(&id, Operation::Use).await?;
    app.disconnect(&connection.id, app.caller().actor()).await.map_err(|error| app.refusal(error))?;
    // It is kept, without tokens, so that a late writer is told from a current one.
    let revision = app.find_connection(&id, Operation::Use).await?.revision;
    app.committed(revision, wait, StatusCode::NO_CONTENT.into_response()).await
}

/// Decides on the connections that were quarantined when the server's URL moved to another origin.
#[utoipa::path(
    post, path = "/v1/servers/{server}/quarantine", tag = "connections",
    params(("server" = String, Path, description = "Id or slug"), Wait),
    request_body = QuarantineDecision, responses((status = OK, body = QuarantineOutcome))
)]
pub async fn decide(
    app: Acting,
    Path(name): Path<String>,
    StrictQuery(wait): StrictQuery<Wait>,
    StrictJson(body): StrictJson<QuarantineDecision>,
) -> Result<Response, ApiError> {
    let server = app.find_server(&name, Operation::Administer).await?;
    let decision = match body.decision {
        DecisionBody::Release => Decision::Release,
        DecisionBody::Discard => Decision::Discard,
    };
    let Outcome { decided, unreadable, busy } = app
        .decide_quarantine(&server, decision, &app.caller().actor())
        .await
        .map_err(|error| app.refusal(error))?;
    let ids = |ids: Vec<ConnectionId>| ids.iter().map(ToString::to_string).collect();
    let outcome = QuarantineOutcome { decided, unreadable: ids(unreadable), busy: ids(busy) };
    let revision = app.store.current_revision().await?;
    let reply = Json(outcome).into_response();
    app.committed(revision, wait, reply).await
}
