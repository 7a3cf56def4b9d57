//! `GET /oauth/authorize`: a client sends somebody to sign in. Changes nothing.
//!
//! Who the client is and where it may send people back to comes first; without both there is a page and nobody is sent
//! anywhere. Everything else that is wrong goes back to the client.

use axum::extract::{RawQuery, State};
use axum::response::Response;

use crate::authorization_server::request::{AuthorizationRequest, MAX_QUERY, Parameters, Refusal};
use crate::http::public::next::Next;
use crate::http::public::page;
use crate::http::public::trouble::PageError;
use crate::state::Shared;

pub(super) async fn authorize(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let query = query.unwrap_or_default();
    if query.len() > MAX_QUERY {
        return Err(PageError::Unreadable);
    }
    let parameters = Parameters::read(&query);
    let opening = parameters.opening().ok_or(PageError::UnknownClient)?;
    let client = app.oauth_client(opening.0).await?;
    if !client.redirects_to(opening.1) {
        return Err(PageError::WrongRedirect);
    }
    let issuer = &app.settings.public_url;
    let request = AuthorizationRequest::read(&parameters, opening, issuer, &*app.entropy, app.clock.now());
    let refusal = match request.map(|request| request.seal(&app.vault)) {
        Ok(Some(sealed)) => return Ok(page::see_other(&Next::Authorize(sealed).path())),
        Ok(None) => Refusal::TOO_LONG,
        Err(refusal) => refusal,
    };
    tracing::debug!(
        error = refusal.error,
        description = refusal.description,
        "an authorization request was refused"
    );
    let back = refusal.response(opening.1, parameters.state(), issuer).ok_or(PageError::WrongRedirect)?;
    Ok(page::see_other(back.as_str()))
}
