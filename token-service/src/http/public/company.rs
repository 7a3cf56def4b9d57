//! Signing in at the company's provider: off and back. A stranger who opens the sign-in page makes the service write
//! nothing: what has to come back is in a sealed cookie of the flow, for ten minutes.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use portcullis_wire::digest::Digest;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::cookies::{self, Cookies};
use super::next::Next;
use super::page;
use super::realm::Realm;
use super::sign_in::finish;
use super::trouble::PageError;
use super::trouble_signing_in::SignInTrouble;
use crate::clock::Timestamp;
use crate::company::{Arrival, Company, Departure, Outside};
use crate::domain::ids::{AdministratorId, MemberId};
use crate::domain::people::Identity;
use crate::domain::sign_in::{Mapped, map};
use crate::oauth::authorize::AuthorizationResponse;
use crate::state::Service;
use crate::store::{Actor, SignInFacts, StoreError};
use crate::unconnected::sealed;
use crate::vault::Place;

/// How long somebody may take at the provider.
const FLOW: Duration = Duration::from_mins(10);

/// What the flow's cookie holds.
#[derive(Serialize, Deserialize)]
struct Flow {
    departure: Departure,
    next: String,
    expires_at: Timestamp,
}

/// Off to the provider.
pub(super) async fn depart(
    app: &Service,
    company: &Company,
    realm: Realm,
    next: &Next,
) -> Result<Response, PageError> {
    let (url, departure) = company.depart(outside(app), &way_back(app, realm)).await?;
    let cookies = Cookies::in_realm(realm, &app.settings);
    let name = cookies.sign_in(&state_digest(departure.state.expose()));
    let flow = Flow { departure, next: next.path(), expires_at: app.clock.now().plus(FLOW) };
    let value = sealed::seal(&app.vault, &Place::sign_in(realm.prefix()), &flow);
    let mut response = page::see_other(url.as_str());
    response.headers_mut().append(header::SET_COOKIE, cookies.set(&name, &value, FLOW.as_secs()));
    Ok(response)
}

/// Back from the provider. The checks come in a fixed order, and the code is redeemed after the last of them only.
/// The flow's cookie is gone afterwards, however it ends.
pub(super) async fn arrive(
    app: &Service,
    company: &Company,
    realm: Realm,
    query: &str,
    headers: &HeaderMap,
) -> Response {
    let Some(answer) = AuthorizationResponse::read(query) else {
        return PageError::Unreadable.into_response();
    };
    let cookies = Cookies::in_realm(realm, &app.settings);
    let name = cookies.sign_in(&state_digest(&answer.state));
    let outcome = match returned(app, realm, &name, &answer, headers) {
        Ok(flow) => come_in(app, company, realm, &answer, &flow, headers).await,
        Err(trouble) => Err(trouble.into()),
    };
    let mut response = outcome.unwrap_or_else(PageError::into_response);
    response.headers_mut().append(header::SET_COOKIE, cookies.set(&name, "", 0));
    response
}

/// The flow that this browser has left in: its cookie is here, opens, is of this state, and not over.
fn returned(
    app: &Service,
    realm: Realm,
    name: &str,
    answer: &AuthorizationResponse,
    headers: &HeaderMap,
) -> Result<Flow, SignInTrouble> {
    let cookie = cookies::read(headers, name).ok_or(SignInTrouble::NotBegunHere)?;
    let flow: Flow = sealed::open(&app.vault, &Place::sign_in(realm.prefix()), cookie)
        .ok_or(SignInTrouble::NotBegunHere)?;
    let same = flow.departure.state.expose().as_bytes().ct_eq(answer.state.as_bytes());
    if !bool::from(same) || flow.expires_at <= app.clock.now() {
        return Err(SignInTrouble::NotBegunHere);
    }
    Ok(flow)
}

async fn come_in(
    app: &Service,
    company: &Company,
    realm: Realm,
    answer: &AuthorizationResponse,
    flow: &Flow,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    if !answer.is_from(company.issuer(), company.names_itself(outside(app)).await?) {
        return Err(SignInTrouble::OtherIssuer.into());
    }
    let code = answer.outcome.as_ref().map_err(|refusal| match refusal.error.as_str() {
        "server_error" | "temporarily_unavailable" => SignInTrouble::Down { cause: refusal.error.clone() },
        _ => SignInTrouble::Refused { cause: refusal.error.clone() },
    })?;
    let way_back = way_back(app, realm);
    let arrival = company.arrive(outside(app), &way_back, code.expose_secret(), &flow.departure).await?;
    take_over(app, company, &arrival).await?;
    if !is_somebody_here(app, &arrival.identity).await? {
        return Err(SignInTrouble::Nobody.into());
    }
    finish(app, realm, headers, arrival.identity, arrival.name, &Next::read(&flow.next)).await
}

/// Memberships and administration become what the groups say.
async fn take_over(app: &Service, company: &Company, arrival: &Arrival) -> Result<(), StoreError> {
    let Mapped { memberships, administration } = map(&company.config().rules, &arrival.groups);
    let mut facts = SignInFacts {
        identity: arrival.identity.clone(),
        name: arrival.name.clone(),
        memberships: std::collections::BTreeMap::new(),
        administrator: administration.map(|role| (AdministratorId::new(&*app.entropy), role)),
    };
    for (slug, role) in memberships {
        if let Some(workspace) = app.store.workspace_by_slug(&slug).await? {
            facts.memberships.insert(workspace.id, (MemberId::new(&*app.entropy), role));
        } else {
            let workspace = slug.as_str();
            tracing::warn!(workspace, "sign_in.oidc.memberships names a workspace that is gone");
        }
    }
    app.store.on_behalf_of(Actor::SignIn, app.clock.now()).sign_in(&facts).await.map(drop)
}

async fn is_somebody_here(app: &Service, identity: &Identity) -> Result<bool, StoreError> {
    let memberships = app.store.memberships(identity).await?;
    if memberships.iter().any(crate::domain::people::Member::is_active) {
        return Ok(true);
    }
    Ok(app.store.administrator_by_identity(identity).await?.is_some())
}

fn outside(app: &Service) -> Outside<'_> {
    Outside { egress: &app.egress, clock: &*app.clock, entropy: &*app.entropy }
}

/// The redirect URI that is registered with the provider.
fn way_back(app: &Service, realm: Realm) -> String {
    format!("{}/sign-in/callback", realm.url(&app.settings))
}

fn state_digest(state: &str) -> Digest {
    Digest::of("portcullis-sign-in-state-v1", &[state.as_bytes()])
}
