//! The link that an agent passed on: `/connect/<ticket>`.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::cookies::Cookies;
use super::guard::{Posted, SignedIn};
use super::next::{Next, is_ticket};
use super::page::{self, ConsentPage, OnwardPage, Person};
use super::trouble::PageError;
use super::words;
use crate::connect::{Access, FLOW_LIFE, Plan, ticket_digest};
use crate::domain::connecting::Ticket;
use crate::state::{Service, Shared};
use crate::store::Actor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgreeForm {
    plan: String,
}

/// `GET /connect/{ticket}`: the consent page. Changes nothing, unless somebody else opens it.
pub(super) async fn show(
    State(app): State<Shared>,
    Path(ticket): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let row = find(&app, &ticket).await?;
    let Some(browser) = SignedIn::of(&app, &headers).await? else {
        return Ok(page::see_other(&Next::Connect(ticket).sign_in()));
    };
    let access = opened_by(&app, &browser, &row).await?;
    let plan = app.connect_plan(&access).await?;
    Ok(consent(&app, &browser, &ticket, &row, &access, &plan))
}

/// `POST /connect/{ticket}`: agreed; uses up the link, and goes on to the provider.
pub(super) async fn agree(
    State(app): State<Shared>,
    Path(ticket): Path<String>,
    Posted { from: browser, form }: Posted<AgreeForm>,
) -> Result<Response, PageError> {
    let row = find(&app, &ticket).await?;
    let access = opened_by(&app, &browser, &row).await?;
    let plan = app.connect_plan(&access).await?;
    if form.plan != plan.digest().to_string() {
        // Something else would be asked for than was shown.
        return Ok(consent(&app, &browser, &ticket, &row, &access, &plan));
    }
    app.store.take_ticket(&row.digest, app.clock.now()).await?.ok_or(PageError::LinkOver)?;
    onward(&app, &browser, &access, &plan, None).await
}

async fn find(app: &Service, ticket: &str) -> Result<Ticket, PageError> {
    if !is_ticket(ticket) {
        return Err(PageError::NotFound);
    }
    app.store.ticket(&ticket_digest(ticket), app.clock.now()).await?.ok_or(PageError::LinkOver)
}

/// Whether the browser is the ticket's own member's. Otherwise the ticket is burned: it has reached somebody it was not
/// meant for.
async fn opened_by(app: &Service, browser: &SignedIn, ticket: &Ticket) -> Result<Access, PageError> {
    let member = app.store.member(&ticket.member).await?;
    if member.is_none_or(|member| member.identity != browser.session.identity) {
        let (now, opener) = (app.clock.now(), Actor::Person(browser.session.identity.clone()));
        app.store.on_behalf_of(opener, now).burn_ticket(&ticket.digest, now).await?;
        let (server, member) = (ticket.server.as_str(), ticket.member.as_str());
        tracing::warn!(
            server,
            member,
            "a link to connect an account was opened by somebody else and is burned"
        );
        return Err(PageError::WrongPerson);
    }
    let access = app.access(&browser.session.identity, &ticket.member, &ticket.server).await?;
    access.ok_or(PageError::NoAccess)
}

fn consent(
    app: &Service,
    browser: &SignedIn,
    ticket: &str,
    row: &Ticket,
    access: &Access,
    plan: &Plan,
) -> Response {
    let page = ConsentPage {
        person: Person::of(browser),
        server: &access.server.settings.name,
        host: &access.server.settings.url.upstream().authority,
        workspace: &access.workspace.name,
        client_name: row.client_name.as_deref(),
        scopes: plan.scopes.iter().map(String::as_str).collect(),
        destination: plan.destination().unwrap_or_default(),
        started: words::ago(app.clock.now(), row.created_at),
        started_at: words::machine(row.created_at),
        action: Next::Connect(ticket.to_owned()).path(),
        plan: plan.digest().to_string(),
    };
    page::html(StatusCode::OK, &page)
}

/// Leaves for the provider. The reply is a page that goes on by itself, and not a redirect: browsers hold redirects
/// after a form against `form-action`.
///
/// - `continuation`: the sealed request of a client that waits for the member to come back.
pub(super) async fn onward(
    app: &Service,
    browser: &SignedIn,
    access: &Access,
    plan: &Plan,
    continuation: Option<String>,
) -> Result<Response, PageError> {
    let departure = app.depart(access, plan, browser.session.digest, continuation).await?;
    let page = OnwardPage {
        person: Person::of(browser),
        server: &access.server.settings.name,
        destination: departure.url.host_str().unwrap_or_default(),
        url: departure.url.as_str(),
    };
    let mut response = page::html(StatusCode::OK, &page);
    let cookies = Cookies::of(&app.settings.public_url);
    let name = cookies.flow(&departure.state);
    let cookie = cookies.set(&name, departure.cookie.expose(), FLOW_LIFE.as_secs());
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}
