//! What a person has connected: `/connections`.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::connect::onward;
use super::guard::{Posted, SignedIn};
use super::next::Next;
use super::page::{self, ClientRow, ConnectedPage, ConnectionRow, ConnectionsPage, Person, RowState};
use super::trouble::PageError;
use super::words;
use crate::clock::Timestamp;
use crate::connect::Access;
use crate::domain::client_session::Extent;
use crate::domain::connection::{Connection, ConnectionId, ConnectionOwner, ConnectionState, ReauthReason};
use crate::domain::ids::{ClientSessionId, MemberId, ServerId};
use crate::state::{Service, Shared};
use crate::store::Actor;
use crate::store::authorization::SessionsOf;

/// Which of a person's memberships is meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberForm {
    member: MemberId,
}

/// Which client is to be signed out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionForm {
    session: ClientSessionId,
}

/// How many clients are shown.
const SHOWN_CLIENTS: u32 = 200;

/// `GET /`
pub(super) async fn home() -> Response {
    page::see_other(&Next::Connections.path())
}

/// `GET /connections`
pub(super) async fn list(State(app): State<Shared>, headers: HeaderMap) -> Result<Response, PageError> {
    let Some(browser) = SignedIn::of(&app, &headers).await? else {
        return Ok(page::see_other(&Next::Connections.sign_in()));
    };
    let mut rows = Vec::new();
    for access in app.accesses(&browser.session.identity).await? {
        let connection = app.store.connection(&connection_id(&access)).await?;
        rows.push(row(&access, connection.as_ref()));
    }
    let clients = clients(&app, &browser).await?;
    Ok(page::html(StatusCode::OK, &ConnectionsPage { person: Person::of(&browser), rows, clients }))
}

/// Who is signed in as this person, in every workspace.
async fn clients(app: &Service, browser: &SignedIn) -> Result<Vec<ClientRow>, PageError> {
    let of = SessionsOf::Person(browser.session.identity.clone());
    let time = |time: Timestamp| (words::date(time), words::machine(time));
    let mut rows = Vec::new();
    for session in app.store.client_sessions(&of, None, SHOWN_CLIENTS).await? {
        let server = app.store.server(&session.server).await?;
        let member = app.store.member(&session.member).await?;
        let (Some(server), Some(member)) = (server, member) else { continue };
        let Some(workspace) = app.store.workspace(&member.workspace).await? else { continue };
        rows.push(ClientRow {
            session: session.id.to_string(),
            name: session.client.name,
            server: server.settings.name,
            workspace: workspace.name,
            everything: session.extent == Extent::Everything,
            created_at: time(session.created_at),
            last_used_at: time(session.last_used_at),
        });
    }
    Ok(rows)
}

/// `POST /connections/sign-out`: a client, not the person.
pub(super) async fn sign_out(
    State(app): State<Shared>,
    Posted { from, form }: Posted<SessionForm>,
) -> Result<Response, PageError> {
    let session = app.store.client_session(&form.session).await?;
    let member = match &session {
        Some(session) => app.store.member(&session.member).await?,
        None => None,
    };
    if member.is_some_and(|member| member.identity == from.session.identity) {
        app.store.on_behalf_of(Actor::Member, app.clock.now()).end_client_session(&form.session).await?;
        // So that it is out when the page says so. It is out in any case.
        let _ = app.filters_hear().await;
    }
    Ok(page::see_other(&Next::Connections.path()))
}

/// `GET /connections/{server}/connected`: what has just been connected, to be kept or not.
pub(super) async fn connected(
    State(app): State<Shared>,
    Path(server): Path<ServerId>,
    Query(MemberForm { member }): Query<MemberForm>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let Some(browser) = SignedIn::of(&app, &headers).await? else {
        return Ok(page::see_other(&Next::Connections.sign_in()));
    };
    let access = app.access(&browser.session.identity, &member, &server).await?.ok_or(PageError::NoAccess)?;
    let connection = app.store.connection(&connection_id(&access)).await?;
    let connection = connection.filter(|connection| connection.state == ConnectionState::Active);
    let Some(connection) = connection else { return Ok(page::see_other(&Next::Connections.path())) };
    let page = ConnectedPage {
        person: Person::of(&browser),
        server: &access.server.settings.name,
        server_id: access.server.id.as_str(),
        workspace: &access.workspace.name,
        member: access.member.id.as_str(),
        account: connection.account.as_deref(),
        scopes: connection.scopes.iter().map(String::as_str).collect(),
    };
    Ok(page::html(StatusCode::OK, &page))
}

/// `POST /connections/{server}/connect`: as from a link, for somebody who needs none.
pub(super) async fn connect(
    State(app): State<Shared>,
    Path(server): Path<ServerId>,
    Posted { from, form }: Posted<MemberForm>,
) -> Result<Response, PageError> {
    let access =
        app.access(&from.session.identity, &form.member, &server).await?.ok_or(PageError::NoAccess)?;
    let plan = app.connect_plan(&access).await?;
    onward(&app, &from, &access, &plan, None).await
}

/// `POST /connections/{server}/keep`
pub(super) async fn keep(Posted { .. }: Posted<MemberForm>) -> Response {
    page::see_other(&Next::Connections.path())
}

/// `POST /connections/{server}/disconnect`
pub(super) async fn disconnect(
    State(app): State<Shared>,
    Path(server): Path<ServerId>,
    Posted { from, form }: Posted<MemberForm>,
) -> Result<Response, PageError> {
    let id = own_connection(&app, &from, &form.member, &server).await?;
    app.disconnect(&id, Actor::Person(from.session.identity.clone())).await?;
    // So that no agent uses it any more, as the page says. It is disconnected in any case.
    let _ = app.filters_hear().await;
    Ok(page::see_other(&Next::Connections.path()))
}

/// The connection of one's own membership: whoever may no longer use a server may still disconnect it.
async fn own_connection(
    app: &Service,
    browser: &SignedIn,
    member: &MemberId,
    server: &ServerId,
) -> Result<ConnectionId, PageError> {
    let found = app.store.member(member).await?;
    if found.is_none_or(|found| found.identity != browser.session.identity) {
        return Err(PageError::NoAccess);
    }
    Ok(ConnectionId::of(server, &ConnectionOwner::Member(member.clone())))
}

pub(super) fn connection_id(access: &Access) -> ConnectionId {
    ConnectionId::of(&access.server.id, &ConnectionOwner::Member(access.member.id.clone()))
}

fn row(access: &Access, connection: Option<&Connection>) -> ConnectionRow {
    let state = row_state(connection);
    let connection = connection.filter(|_| state != RowState::NotConnected);
    let time = |time: Timestamp| (words::date(time), words::machine(time));
    ConnectionRow {
        server: access.server.settings.name.clone(),
        server_id: access.server.id.to_string(),
        host: access.server.settings.url.upstream().authority,
        workspace: access.workspace.name.clone(),
        member: access.member.id.to_string(),
        state,
        account: connection.and_then(|connection| connection.account.clone()),
        scopes: connection.iter().flat_map(|connection| connection.scopes.iter().cloned()).collect(),
        connected_at: connection.map(|connection| time(connection.connected_at)),
        refreshed_at: connection
            .filter(|connection| connection.refreshed_at > connection.connected_at)
            .map(|connection| time(connection.refreshed_at)),
    }
}

pub(super) fn row_state(connection: Option<&Connection>) -> RowState {
    connection.map_or(RowState::NotConnected, |connection| state(connection.state))
}

fn state(state: ConnectionState) -> RowState {
    match state {
        ConnectionState::Active => RowState::Connected,
        ConnectionState::Disconnected => RowState::NotConnected,
        ConnectionState::Quarantined => RowState::Quarantined,
        ConnectionState::NeedsReauth(reason) => RowState::NeedsReauth(match reason {
            ReauthReason::Revoked => {
                "The provider no longer accepts the connection. It was probably revoked there."
            }
            ReauthReason::LostRotation => {
                "A renewal was interrupted, and the provider then refused to repeat it."
            }
            ReauthReason::Expired => "The access has expired, and the provider gives no way to renew it.",
            ReauthReason::Rejected => "The server does not accept the access that its provider gave.",
            ReauthReason::ClientChanged => "The provider no longer knows this gateway as it did.",
            ReauthReason::IssuerChanged => "The server now uses another provider.",
            ReauthReason::Unreadable => "The stored access cannot be opened any more.",
        }),
    }
}
