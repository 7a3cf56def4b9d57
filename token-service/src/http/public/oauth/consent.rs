//! `/oauth/consent`: what a client asks for, in words, and the member's decision. It is asked for every time.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portcullis_wire::digest::Digest;
use serde::Deserialize;
use url::Url;

use super::chain;
use crate::authorization_server::request::{AuthorizationRequest, Refusal};
use crate::connect::Access;
use crate::domain::client_session::{Authorization, ClientName, Extent};
use crate::domain::ids::MemberId;
use crate::domain::oauth_client::{KnownBy, OAuthClient};
use crate::domain::redirect_uri::Destination;
use crate::http::public::guard::{Posted, SignedIn};
use crate::http::public::next::Next;
use crate::http::public::page::{self, AllowPage, BackPage, Membership, Person, Vouching};
use crate::http::public::trouble::PageError;
use crate::http::public::words;
use crate::state::{Service, Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http::public) struct RequestQuery {
    request: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http::public) struct DecisionForm {
    request: String,
    /// A digest of what was shown; something else is not agreed to.
    shown: String,
    decision: Decision,
    /// As which of the person's memberships.
    member: Option<MemberId>,
    extent: Option<ExtentField>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Allow,
    Cancel,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExtentField {
    Reading,
    Everything,
}

/// What there is to decide on.
struct Question {
    request: AuthorizationRequest,
    /// The request as the browser carries it.
    sealed: String,
    client: OAuthClient,
    /// The memberships with which the person may use the server; none if there is no such server for them.
    choices: Vec<Access>,
}

/// `GET /oauth/consent?request=…`. Changes nothing.
pub(super) async fn show(
    State(app): State<Shared>,
    Query(RequestQuery { request }): Query<RequestQuery>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    open(&app, &request)?;
    let Some(browser) = SignedIn::of(&app, &headers).await? else {
        return Ok(page::see_other(&Next::Authorize(request).sign_in()));
    };
    let question = Question::ask(&app, &browser, request).await?;
    Ok(question.page(&app, &browser))
}

/// `POST /oauth/consent`: decided.
pub(super) async fn decide(
    State(app): State<Shared>,
    Posted { from: browser, form }: Posted<DecisionForm>,
) -> Result<Response, PageError> {
    let question = Question::ask(&app, &browser, form.request).await?;
    if form.decision == Decision::Cancel {
        let back = question.request.refused(&app.settings.public_url, Refusal::DENIED);
        return back_page(&browser, &question.client.name, false, back);
    }
    if form.shown != question.digest().to_string() {
        // The client, or what the person may use, is not what it was when the page was made.
        return Ok(question.page(&app, &browser));
    }
    let chosen = form.member.ok_or(PageError::Unreadable)?;
    let access =
        question.choices.iter().find(|access| access.member.id == chosen).ok_or(PageError::NoAccess)?;
    let asked = question.request.extent();
    let extent = match form.extent {
        Some(ExtentField::Reading) => Extent::Reading,
        Some(ExtentField::Everything) | None => asked,
    };
    let agreed = question.authorization(&app, access, extent.min(asked))?;
    if !app.store.agree(&agreed).await? {
        return Err(PageError::RequestOver);
    }
    if let Some(page) = chain::offer(&app, &browser, access, &question.sealed, &agreed.client).await? {
        return Ok(page);
    }
    go_back(&app, &browser, &question.request, &agreed).await
}

/// With a code, for what was agreed to.
pub(in crate::http::public) async fn go_back(
    app: &Service,
    browser: &SignedIn,
    request: &AuthorizationRequest,
    agreed: &Authorization,
) -> Result<Response, PageError> {
    let code = app.authorization_code(&agreed.request).await?.ok_or(PageError::RequestOver)?;
    back_page(browser, &agreed.client.name, true, request.with_code(&app.settings.public_url, code.expose()))
}

/// A page that goes on by itself, and not a redirect: browsers hold redirects after a form against `form-action`.
fn back_page(
    browser: &SignedIn,
    client: &str,
    allowed: bool,
    back: Option<Url>,
) -> Result<Response, PageError> {
    let back = back.ok_or(PageError::WrongRedirect)?;
    let page = BackPage { person: Person::of(browser), client, allowed, url: back.as_str() };
    Ok(page::html(StatusCode::OK, &page))
}

/// The request that the browser carries, if it can still be decided on.
pub(super) fn open(app: &Service, sealed: &str) -> Result<AuthorizationRequest, PageError> {
    let request = AuthorizationRequest::open(&app.vault, sealed).ok_or(PageError::Unreadable)?;
    if request.is_over(app.clock.now()) { Err(PageError::RequestOver) } else { Ok(request) }
}

impl Question {
    /// Client and redirect URI are looked at again: they may have changed since the client sent the browser here.
    async fn ask(app: &Service, browser: &SignedIn, sealed: String) -> Result<Self, PageError> {
        let request = open(app, &sealed)?;
        let client = app.oauth_client(&request.client_id).await?;
        if !client.redirects_to(&request.redirect_uri) {
            return Err(PageError::WrongRedirect);
        }
        let resource = request.resource().ok_or(PageError::Unreadable)?;
        let mut choices = app.usable(&browser.session.identity, &resource.server).await?;
        if let Some(named) = &resource.workspace {
            choices.retain(|access| access.workspace.slug == *named);
        }
        Ok(Self { request, sealed, client, choices })
    }

    fn page(&self, app: &Service, browser: &SignedIn) -> Response {
        let membership = |access: &Access| Membership {
            member: access.member.id.to_string(),
            workspace: access.workspace.name.clone(),
        };
        let vouching = match &self.client.known_by {
            KnownBy::Configuration => Vouching::Administrator,
            KnownBy::Document { host } => Vouching::Host(host.clone()),
            KnownBy::Registration { at } => Vouching::Nobody(words::ago(app.clock.now(), *at)),
        };
        let page = AllowPage {
            person: Person::of(browser),
            client: &self.client.name,
            vouching,
            destination: Destination::of(&self.request.redirect_uri),
            server: self.choices.first().map_or("", |access| access.server.settings.name.as_str()),
            memberships: self.choices.iter().map(membership).collect(),
            everything: self.request.extent() == Extent::Everything,
            request: &self.sealed,
            shown: self.digest().to_string(),
        };
        page::html(StatusCode::OK, &page)
    }

    /// Changes when anything does that the page shows.
    fn digest(&self) -> Digest {
        let known_by = format!("{:?}", self.client.known_by);
        let mut parts = vec![self.client.id.as_bytes(), self.client.name.as_bytes(), known_by.as_bytes()];
        parts.push(self.request.redirect_uri.as_bytes());
        for Access { workspace, member, server } in &self.choices {
            let shown = [member.id.as_str(), &workspace.name, server.id.as_str(), &server.settings.name];
            parts.extend(shown.map(str::as_bytes));
        }
        Digest::of("portcullis-authorization-shown-v1", &parts)
    }

    fn authorization(
        &self,
        app: &Service,
        access: &Access,
        extent: Extent,
    ) -> Result<Authorization, PageError> {
        Ok(Authorization {
            request: self.request.digest(),
            member: access.member.id.clone(),
            server: access.server.id.clone(),
            resource: self.request.resource().ok_or(PageError::Unreadable)?,
            client: ClientName { id: self.client.id.clone(), name: self.client.name.clone() },
            redirect_uri: self.request.redirect_uri.clone(),
            challenge: self.request.challenge.clone(),
            extent,
            created_at: app.clock.now(),
        })
    }
}
