//! Who asks the admin API: somebody who has signed in on the admin side, or whoever shows the admin token.
//!
//! Roles are read from the database at each request, so what is taken away is gone at once.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use portcullis_wire::digest::Digest;

use super::error::ApiError;
use super::public::guard::{SignedIn, is_from_us};
use super::public::realm::Realm;
use super::read::is_json;
use crate::domain::access::Principal;
use crate::domain::connecting::BrowserSession;
use crate::state::{Service, Shared};
use crate::store::{Actor, StoreError};

/// On each change by somebody signed in: the token that `GET /v1/me` shows.
pub const CSRF_HEADER: HeaderName = HeaderName::from_static("x-portcullis-csrf");

/// Who asks, and how that is known.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    /// Of somebody signed in.
    pub session: Option<CallerSession>,
}

#[derive(Clone, Debug)]
pub struct CallerSession {
    pub digest: Digest,
    /// What to call the person.
    pub name: String,
    pub csrf: String,
}

impl Caller {
    /// Whoever has signed in on the admin side, with what they are at this moment.
    pub(super) async fn of_browser(app: &Service, browser: &SignedIn) -> Result<Self, StoreError> {
        let BrowserSession { digest, identity, name, .. } = browser.session.clone();
        let role =
            app.store.administrator_by_identity(&identity).await?.map(|administrator| administrator.role);
        let memberships = app.store.memberships(&identity).await?;
        let session = CallerSession { digest, name, csrf: browser.csrf() };
        Ok(Self { principal: Principal::Person { identity, role, memberships }, session: Some(session) })
    }

    /// As the audit log names it.
    pub fn actor(&self) -> Actor {
        self.principal.identity().map_or(Actor::AdminToken, |identity| Actor::Person(identity.clone()))
    }
}

/// Lets a request through only if it is known who asks.
pub async fn authenticate(
    State(app): State<Shared>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = caller(&app, request.method(), request.headers()).await.inspect_err(|error| {
        if !matches!(error, ApiError::Unavailable) {
            let presented = request.headers().contains_key(header::AUTHORIZATION);
            tracing::warn!(presented, "admin request refused");
        }
    })?;
    request.extensions_mut().insert(Arc::new(caller));
    Ok(next.run(request).await)
}

async fn caller(app: &Service, method: &Method, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let unauthorized = || ApiError::Unauthorized { sign_in: app.admin_sign_in() };
    if headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(headers).filter(|token| app.admin_token.accepts(token));
        return match token {
            Some(_) if app.takes_admin_token().await? => {
                Ok(Caller { principal: Principal::AdminToken, session: None })
            }
            Some(_) => Err(ApiError::AdminTokenOver { admin_url: app.settings.admin_url.clone() }),
            None => Err(unauthorized()),
        };
    }
    let browser = SignedIn::in_realm(app, Realm::Admin, headers).await?.ok_or_else(unauthorized)?;
    if !method.is_safe() {
        is_meant(app, headers, &browser)?;
    }
    Ok(Caller::of_browser(app, &browser).await?)
}

/// A browser sends cookies also with what other pages make it send. Those can set neither the header nor our origin.
fn is_meant(app: &Service, headers: &HeaderMap, browser: &SignedIn) -> Result<(), ApiError> {
    let mut tokens = headers.get_all(CSRF_HEADER).iter();
    let token = match (tokens.next(), tokens.next()) {
        (Some(token), None) => token.to_str().ok(),
        _ => None,
    };
    let from_us = is_from_us(headers, Realm::Admin.url(&app.settings));
    if from_us && is_json(headers) && token.is_some_and(|token| browser.holds(token)) {
        Ok(())
    } else {
        Err(ApiError::Forged)
    }
}

impl Service {
    /// The admin token is for the beginning: until there is an owner who can sign in at the company's provider.
    async fn takes_admin_token(&self) -> Result<bool, StoreError> {
        match &self.company {
            Some(company) if !self.settings.admin_token_always => {
                Ok(!self.store.has_owner(company.issuer()).await?)
            }
            _ => Ok(true),
        }
    }

    /// Where people sign in on the admin side, if they can.
    fn admin_sign_in(&self) -> Option<String> {
        self.can_sign_in().then(|| format!("{}/sign-in", self.settings.admin_url))
    }

    /// Whether there is a way for people to sign in.
    pub(super) fn can_sign_in(&self) -> bool {
        self.company.is_some() || self.settings.development_sign_in
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &Shared) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Arc<Self>>().map(|caller| Self::clone(caller));
        caller.ok_or_else(|| ApiError::Internal("a route of the admin API is not behind the door".into()))
    }
}

/// The credential of the one `Authorization` header; two of them say nothing clear.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_credential() {
        let headers = |values: &[&str]| {
            let pairs = values.iter().map(|value| (header::AUTHORIZATION, value.parse().expect("a value")));
            pairs.collect::<HeaderMap>()
        };
        assert_eq!(bearer(&headers(&["Bearer x"])), Some("x"));
        assert_eq!(bearer(&headers(&["bearer x"])), Some("x"));
        assert_eq!(bearer(&headers(&[])), None);
        assert_eq!(bearer(&headers(&["Basic x"])), None);
        assert_eq!(bearer(&headers(&["Bearer"])), None);
    }

    #[test]
    fn two_headers_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, "Bearer a".parse().expect("a value"));
        headers.append(header::AUTHORIZATION, "Bearer b".parse().expect("a value"));
        assert_eq!(bearer(&headers), None);
    }
}
