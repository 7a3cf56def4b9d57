//! Signing in: the method proves an [`Identity`], and the rest is the same for every method, on the pages for
//! everybody and on the admin side.

use std::collections::BTreeMap;

use axum::extract::{Query, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::company;
use super::cookies::Cookies;
use super::guard::{AdminVisitor, Posted, SignedIn, Visitor};
use super::next::Next;
use super::page::{self, Choice, SignInPage, SignedOutPage};
use super::realm::Realm;
use super::trouble::PageError;
use crate::company::Company;
use crate::domain::people::{Identity, Member};
use crate::state::{Service, Shared};
use crate::store::StoreError;

/// How people prove who they are. Each shows a page or sends the browser away, and ends in [`finish`].
enum Method<'a> {
    /// Nobody can sign in.
    None,
    /// By choosing somebody from a list; the configuration allows that on a laptop only.
    Development,
    Company(&'a Company),
}

impl<'a> Method<'a> {
    fn of(app: &'a Service) -> Self {
        match &app.company {
            Some(company) => Self::Company(company),
            None if app.settings.development_sign_in => Self::Development,
            None => Self::None,
        }
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
    begin(&app, Realm::Public, &query, &headers).await
}

/// `GET /sign-in` on the admin side
pub(super) async fn show_admin(
    State(app): State<Shared>,
    Query(query): Query<SignInQuery>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    begin(&app, Realm::Admin, &query, &headers).await
}

async fn begin(
    app: &Service,
    realm: Realm,
    query: &SignInQuery,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    let next = Next::read(&query.next);
    match Method::of(app) {
        Method::None => Err(PageError::NoSignIn),
        Method::Company(company) => company::depart(app, company, realm, &next).await,
        Method::Development => {
            let people = people(app).await?;
            let visitor = Visitor::of(app, realm, headers);
            let page = SignInPage { csrf: visitor.csrf(), next: next.path(), people: &people };
            let mut response = page::html(StatusCode::OK, &page);
            let cookie = visitor.set_cookie(Cookies::in_realm(realm, &app.settings));
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
    }
}

/// `GET /sign-in/callback`
pub(super) async fn back(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    end(&app, Realm::Public, query.as_deref(), &headers).await
}

/// `GET /sign-in/callback` on the admin side
pub(super) async fn back_admin(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    end(&app, Realm::Admin, query.as_deref(), &headers).await
}

async fn end(
    app: &Service,
    realm: Realm,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    match Method::of(app) {
        Method::Company(company) => {
            Ok(company::arrive(app, company, realm, query.unwrap_or_default(), headers).await)
        }
        Method::None | Method::Development => Err(PageError::NotFound),
    }
}

/// `POST /sign-in`: somebody was chosen.
pub(super) async fn choose(
    State(app): State<Shared>,
    headers: HeaderMap,
    Posted { form, .. }: Posted<ChooseForm, Visitor>,
) -> Result<Response, PageError> {
    chosen(&app, Realm::Public, &headers, &form).await
}

/// `POST /sign-in` on the admin side
pub(super) async fn choose_admin(
    State(app): State<Shared>,
    headers: HeaderMap,
    Posted { form, .. }: Posted<ChooseForm, AdminVisitor>,
) -> Result<Response, PageError> {
    chosen(&app, Realm::Admin, &headers, &form).await
}

async fn chosen(
    app: &Service,
    realm: Realm,
    headers: &HeaderMap,
    form: &ChooseForm,
) -> Result<Response, PageError> {
    if !matches!(Method::of(app), Method::Development) {
        return Err(PageError::NoSignIn);
    }
    let member = app.store.member(&form.member.as_str().into()).await?.filter(Member::is_active);
    let (identity, name) = if let Some(member) = member {
        (member.identity, member.name)
    } else {
        let administrator = app.store.administrator(&form.member.as_str().into()).await?;
        let administrator = administrator.ok_or(PageError::NoAccess)?;
        (administrator.identity, administrator.name)
    };
    finish(app, realm, headers, identity, name, &Next::read(&form.next)).await
}

/// Begins the session of somebody whose identity is proven, and goes on to where they wanted to be.
pub(super) async fn finish(
    app: &Service,
    realm: Realm,
    headers: &HeaderMap,
    identity: Identity,
    name: String,
    next: &Next,
) -> Result<Response, PageError> {
    let browser = SignedIn::begin(app, realm, headers, identity, name).await?;
    let cookies = Cookies::in_realm(realm, &app.settings);
    let mut response = page::see_other(&match realm {
        Realm::Public => next.path(),
        Realm::Admin => realm.home().to_owned(),
    });
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
    // The company's sign-in would let a browser in again at once, without a word.
    let to = if app.company.is_some() { "/sign-out" } else { "/sign-in" };
    Ok(([(header::SET_COOKIE, clear)], page::see_other(to)).into_response())
}

/// `GET /sign-out`: where signing out ends
pub(super) async fn signed_out() -> Response {
    page::html(StatusCode::OK, &SignedOutPage {})
}

/// Everybody there is, each person once.
async fn people(app: &Service) -> Result<Vec<Choice>, StoreError> {
    let mut people: BTreeMap<Identity, Choice> = BTreeMap::new();
    for workspace in app.store.workspaces().await? {
        for member in app.store.members(&workspace.id, None, SHOWN).await? {
            if !member.is_active() {
                continue;
            }
            let choice = people.entry(member.identity).or_insert_with(|| Choice {
                member: member.id.to_string(),
                name: member.name,
                belongs_to: Vec::new(),
            });
            choice.belongs_to.push(workspace.name.clone());
        }
    }
    for administrator in app.store.administrators().await? {
        let choice = people.entry(administrator.identity).or_insert_with(|| Choice {
            member: administrator.id.to_string(),
            name: administrator.name,
            belongs_to: Vec::new(),
        });
        choice.belongs_to.push(administrator.role.as_str().to_owned());
    }
    let mut people: Vec<Choice> = people.into_values().collect();
    people.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(people)
}
