//! Once a client is allowed: straight on to the account that the server wants of the member, if that is yet to be
//! connected. It is a consent of its own, and may be put off; the client gets its code in any case.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::consent::go_back;
use crate::authorization_server::request::AuthorizationRequest;
use crate::connect::{Access, Plan};
use crate::domain::client_session::{Authorization, ClientName};
use crate::domain::connection::{ConnectionId, ConnectionOwner, ConnectionState};
use crate::domain::server::ServerAuth;
use crate::http::public::connect::onward;
use crate::http::public::guard::{Posted, SignedIn};
use crate::http::public::page::{self, ChainPage, Person};
use crate::http::public::trouble::PageError;
use crate::state::{Service, Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http::public) struct ChainForm {
    request: String,
    /// A digest of what connecting would ask for.
    plan: String,
    decision: Decision,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Connect,
    Skip,
}

/// The page that offers to connect the account; `None` if there is nothing to connect, or no way to do it now.
pub(super) async fn offer(
    app: &Service,
    browser: &SignedIn,
    access: &Access,
    sealed: &str,
    client: &ClientName,
) -> Result<Option<Response>, PageError> {
    if !matches!(access.server.settings.auth, ServerAuth::OAuth(_)) {
        return Ok(None);
    }
    let owner = ConnectionOwner::Member(access.member.id.clone());
    let connection = app.store.connection(&ConnectionId::of(&access.server.id, &owner)).await?;
    if connection.is_some_and(|connection| connection.state == ConnectionState::Active) {
        return Ok(None);
    }
    match app.connect_plan(access).await {
        Ok(plan) => Ok(Some(offer_page(browser, access, sealed, client, &plan))),
        Err(error) => {
            // The first call will say so again, in the words of its protocol.
            let server = access.server.id.as_str();
            tracing::warn!(server, %error, "an account cannot be connected now; the client is signed in all the same");
            Ok(None)
        }
    }
}

fn offer_page(
    browser: &SignedIn,
    access: &Access,
    sealed: &str,
    client: &ClientName,
    plan: &Plan,
) -> Response {
    let page = ChainPage {
        person: Person::of(browser),
        client: &client.name,
        server: &access.server.settings.name,
        host: &access.server.settings.url.upstream().authority,
        workspace: &access.workspace.name,
        scopes: plan.scopes.iter().map(String::as_str).collect(),
        destination: plan.destination().unwrap_or_default(),
        request: sealed,
        plan: plan.digest().to_string(),
    };
    page::html(StatusCode::OK, &page)
}

/// `POST /oauth/continue`
pub(super) async fn go_on(
    State(app): State<Shared>,
    Posted { from: browser, form }: Posted<ChainForm>,
) -> Result<Response, PageError> {
    let (request, agreed) = agreed(&app, &browser, &form.request).await?;
    if form.decision == Decision::Skip {
        return go_back(&app, &browser, &request, &agreed).await;
    }
    let access = app.access(&browser.session.identity, &agreed.member, &agreed.server).await?;
    let access = access.ok_or(PageError::NoAccess)?;
    let plan = app.connect_plan(&access).await?;
    if form.plan != plan.digest().to_string() {
        return Ok(offer_page(&browser, &access, &form.request, &agreed.client, &plan));
    }
    onward(&app, &browser, &access, &plan, Some(form.request)).await
}

/// Back from the provider, connected or not: on to the client.
pub(in crate::http::public) async fn finish(
    app: &Service,
    browser: &SignedIn,
    sealed: &str,
) -> Result<Response, PageError> {
    let (request, agreed) = agreed(app, browser, sealed).await?;
    go_back(app, browser, &request, &agreed).await
}

/// What this very person has agreed to. The request itself may be over by now: signing in at a provider takes its time.
async fn agreed(
    app: &Service,
    browser: &SignedIn,
    sealed: &str,
) -> Result<(AuthorizationRequest, Authorization), PageError> {
    let request = AuthorizationRequest::open(&app.vault, sealed).ok_or(PageError::Unreadable)?;
    let agreed = app.store.agreed(&request.digest()).await?.ok_or(PageError::RequestOver)?;
    let member = app.store.member(&agreed.member).await?.ok_or(PageError::NoAccess)?;
    if member.identity != browser.session.identity {
        return Err(PageError::RequestOver);
    }
    Ok((request, agreed))
}
