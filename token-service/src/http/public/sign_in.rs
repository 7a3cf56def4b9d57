//! Signing in: the method proves an [`Identity`], and the rest is the same for every method.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::cookies::Cookies;
use super::guard::{Posted, SignedIn, Visitor};
use super::next::Next;
use super::page::{self, Choice, SignInPage};
use super::trouble::PageError;
use crate::domain::people::Identity;
use crate::state::{Service, Settings, Shared};
use crate::store::StoreError;

/// How people prove who they are. A further method is a further variant: it shows a page or sends the browser away,
/// and ends in [`finish`] with an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// Nobody can sign in.
    None,
    /// By choosing a member from a list; the configuration allows that on a laptop only.
    Development,
}

impl Method {
    fn of(settings: &Settings) -> Self {
        if settings.development_sign_in { Self::Development } else { Self::None }
    }
}

/// How many members of a workspace are shown to choose from.
const SHOWN: u32 = 200;

#[derive(Deserialize)]
pub(super) struct SignInQuery {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChooseForm {
    member: String,
    next: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignOutForm {}

/// `GET /sign-in`
pub(super) async fn show(
    State(app): State<Shared>,
    Query(query): Query<SignInQuery>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    match Method::of(&app.settings) {
        Method::None => Err(PageError::NoSignIn),
        Method::Development => {
            let people = people(&app).await?;
            let visitor = Visitor::of(&app, &headers);
            let next = Next::read(&query.next).path();
            let page = SignInPage { csrf: visitor.csrf(), next, people: &people };
            let mut response = page::html(StatusCode::OK, &page);
            let cookie = visitor.set_cookie(Cookies::of(&app.settings.public_url));
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
    }
}

/// `POST /sign-in`: somebody was chosen.
pub(super) async fn choose(
    State(app): State<Shared>,
    headers: HeaderMap,
    Posted { form, .. }: Posted<ChooseForm, Visitor>,
) -> Result<Response, PageError> {
    if Method::of(&app.settings) != Method::Development {
        return Err(PageError::NoSignIn);
    }
    let member = app.store.member(&form.member.as_str().into()).await?;
    let member = member.filter(|member| !member.disabled).ok_or(PageError::NoAccess)?;
    finish(&app, &headers, member.identity, member.name, &Next::read(&form.next)).await
}

/// Begins the session of somebody whose identity is proven, and goes on to where they wanted to be.
async fn finish(
    app: &Service,
    headers: &HeaderMap,
    identity: Identity,
    name: String,
    next: &Next,
) -> Result<Response, PageError> {
    let browser = SignedIn::begin(app, headers, identity, name).await?;
    let cookies = Cookies::of(&app.settings.public_url);
    let mut response = page::see_other(&next.path());
    response.headers_mut().append(header::SET_COOKIE, browser.set_cookie(cookies));
    response.headers_mut().append(header::SET_COOKIE, cookies.set(&cookies.visit(), "", 0));
    Ok(response)
}

/// `POST /sign-out`
pub(super) async fn sign_out(
    State(app): State<Shared>,
    Posted { from, .. }: Posted<SignOutForm>,
) -> Result<Response, PageError> {
    app.store.delete_session(&from.session.digest).await?;
    let cookies = Cookies::of(&app.settings.public_url);
    let clear = cookies.set(&cookies.session(), "", 0);
    Ok(([(header::SET_COOKIE, clear)], page::see_other("/sign-in")).into_response())
}

/// Everybody there is, each person once.
async fn people(app: &Service) -> Result<Vec<Choice>, StoreError> {
    let mut people: BTreeMap<Identity, Choice> = BTreeMap::new();
    for workspace in app.store.workspaces().await? {
        for member in app.store.members(&workspace.id, None, SHOWN).await? {
            if member.disabled {
                continue;
            }
            let choice = people.entry(member.identity).or_insert_with(|| Choice {
                member: member.id.to_string(),
                name: member.name,
                workspaces: Vec::new(),
            });
            choice.workspaces.push(workspace.name.clone());
        }
    }
    let mut people: Vec<Choice> = people.into_values().collect();
    people.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(people)
}
