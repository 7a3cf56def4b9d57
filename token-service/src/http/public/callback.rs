//! Back from the provider: `/callback/<server id>`.
//!
//! Each server has a path of its own, so that the answer of one provider cannot pass for another's. The checks come in
//! a fixed order, and the code is redeemed after the last of them only; a flow that fails one is used up all the same.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use portcullis_wire::digest::Digest;
use subtle::ConstantTimeEq as _;

use super::cookies::{self, Cookies};
use super::guard::SignedIn;
use super::oauth::chain;
use super::page;
use super::trouble::PageError;
use crate::connect::{Access, cookie_digest, state_digest};
use crate::domain::connecting::Flow;
use crate::domain::ids::ServerId;
use crate::domain::server::ServerAuth;
use crate::oauth::authorize::AuthorizationResponse;
use crate::state::{Service, Shared};
use crate::store::Actor;

/// `GET /callback/{server}`
pub(super) async fn back(
    State(app): State<Shared>,
    Path(server): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let server = ServerId::from(server);
    let mut used = None;
    let mut response =
        match finish(&app, &server, query.as_deref().unwrap_or_default(), &headers, &mut used).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        };
    if let Some(state) = used {
        let cookies = Cookies::of(&app.settings.public_url);
        response.headers_mut().append(header::SET_COOKIE, cookies.set(&cookies.flow(&state), "", 0));
    }
    response
}

/// On to the page that shows the connection, or to the client that waits for it. `used` becomes the flow that was used up, however it ends.
async fn finish(
    app: &Shared,
    server: &ServerId,
    query: &str,
    headers: &HeaderMap,
    used: &mut Option<Digest>,
) -> Result<Response, PageError> {
    known_server(app, server).await?;
    let answer = AuthorizationResponse::read(query).ok_or(PageError::Unreadable)?;
    let flow = app.store.take_flow(&state_digest(&answer.state), app.clock.now()).await?;
    let flow = flow.ok_or(PageError::UnknownFlow)?;
    *used = Some(flow.state);
    if flow.server != *server {
        return Err(PageError::WrongServer);
    }
    if let Err(error) = same_browser(app, headers, &flow) {
        note_wrong_browser(app, &flow).await?;
        return Err(error);
    }
    let (browser, access) = same_session(app, headers, &flow).await?;
    let returned = app.returned(flow).map_err(|error| PageError::Internal { cause: error.to_string() })?;
    if !answer.is_from(&returned.flow.binding.issuer, returned.iss_parameter()) {
        return Err(PageError::WrongIssuer);
    }
    let continuation = returned.continuation().map(str::to_owned);
    let code = match (answer.outcome, &continuation) {
        (Ok(code), _) => code,
        // Put off at the provider instead of here. The client was allowed all the same.
        (Err(refusal), Some(request)) if refusal.error == "access_denied" => {
            return chain::finish(app, &browser, request).await;
        }
        (Err(refusal), _) => return Err(refused(refusal.error)),
    };
    let shown = format!("/connections/{server}/connected?member={}", access.member.id);
    // A browser that goes away now must not take the tokens with it.
    let redeemer = Arc::clone(app);
    let redeeming = tokio::spawn(async move { redeemer.redeem(&access, &returned, &code).await.map(drop) });
    redeeming.await.map_err(|error| PageError::Internal { cause: error.to_string() })??;
    // So that agents can repeat their call, as the page says. It is connected in any case.
    let _ = app.filters_hear().await;
    match continuation {
        Some(request) => chain::finish(app, &browser, &request).await,
        None => Ok(page::see_other(&shown)),
    }
}

fn refused(error: String) -> PageError {
    match error.as_str() {
        "access_denied" => PageError::Declined,
        "server_error" | "temporarily_unavailable" => PageError::ProviderDown { cause: error },
        _ => PageError::Refused { code: error },
    }
}

async fn known_server(app: &Service, server: &ServerId) -> Result<(), PageError> {
    match app.store.server(server).await? {
        Some(server) if matches!(server.settings.auth, ServerAuth::OAuth(_)) => Ok(()),
        _ => Err(PageError::NotFound),
    }
}

fn same_browser(app: &Service, headers: &HeaderMap, flow: &Flow) -> Result<(), PageError> {
    let cookies = Cookies::of(&app.settings.public_url);
    let cookie = cookies::read(headers, &cookies.flow(&flow.state)).ok_or(PageError::OtherBrowser)?;
    let same = cookie_digest(cookie).as_bytes().ct_eq(flow.cookie.as_bytes());
    if bool::from(same) { Ok(()) } else { Err(PageError::OtherBrowser) }
}

/// Somebody may have been lured here to end what another person has begun.
async fn note_wrong_browser(app: &Service, flow: &Flow) -> Result<(), PageError> {
    app.store.on_behalf_of(Actor::Member, app.clock.now()).note_wrong_browser(&flow.member).await?;
    let (server, member) = (flow.server.as_str(), flow.member.as_str());
    tracing::warn!(server, member, "an account was to be connected in another browser than it was begun in");
    Ok(())
}

/// The session that left is live, and its person may still use the server.
async fn same_session(
    app: &Service,
    headers: &HeaderMap,
    flow: &Flow,
) -> Result<(SignedIn, Access), PageError> {
    let browser = SignedIn::of(app, headers).await?.ok_or(PageError::OtherSession)?;
    let member = app.store.member(&flow.member).await?.ok_or(PageError::NoAccess)?;
    if browser.session.digest != flow.session || member.identity != browser.session.identity {
        return Err(PageError::OtherSession);
    }
    let access = app.access(&browser.session.identity, &flow.member, &flow.server).await?;
    Ok((browser, access.ok_or(PageError::NoAccess)?))
}
