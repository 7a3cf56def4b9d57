//! The keys that sign access tokens. Never their private halves.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::acting::Acting;
use super::commit::{Wait, WaitFor};
use super::time;
use crate::authorization_server::RotationError;
use crate::domain::access::Operation;
use crate::domain::signing::{KeyState, SigningKeyRow, states};
use crate::http::error::ApiError;
use crate::http::read::StrictQuery;
use crate::state::Service;

#[derive(Debug, Serialize, ToSchema)]
pub struct SigningKeyView {
    /// `kid` in tokens.
    pub id: String,
    /// `ES256` or `EdDSA`.
    pub algorithm: &'static str,
    /// `published`: it will sign; `active`: it signs; `retired`: what it has signed may still be valid.
    pub state: &'static str,
    /// RFC 3339, as the other.
    pub published_at: String,
    pub active_from: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SigningKeyList {
    /// Oldest first.
    pub signing_keys: Vec<SigningKeyView>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Rotate {
    /// `true`: the new key signs at once, and all others are forgotten. For when one is in the wrong hands; every client
    /// has to refresh its token.
    #[serde(default)]
    pub replace: bool,
    #[param(inline)]
    pub wait: Option<WaitFor>,
}

impl Service {
    async fn signing_key_list(&self) -> Result<SigningKeyList, ApiError> {
        let keys = self.store.signing_keys().await?;
        let states = states(&keys, self.clock.now());
        let view = |(key, state): (SigningKeyRow, KeyState)| SigningKeyView {
            id: key.id,
            algorithm: key.algorithm.as_str(),
            state: state.as_str(),
            published_at: time::spell(key.published_at),
            active_from: time::spell(key.active_from),
        };
        Ok(SigningKeyList { signing_keys: keys.into_iter().zip(states).map(view).collect() })
    }
}

impl From<RotationError> for ApiError {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::TooSoon => Self::Conflict {
                detail: "the newest key does not sign yet".to_owned(),
                remedy: "wait until it does; a new key signs ten minutes after it was published".to_owned(),
            },
            RotationError::Store(error) => error.into(),
        }
    }
}

/// Lists the keys that sign access tokens.
#[utoipa::path(
    get, path = "/v1/signing-keys", tag = "signing_keys", responses((status = OK, body = SigningKeyList))
)]
pub async fn list(app: Acting) -> Result<Json<SigningKeyList>, ApiError> {
    app.may_in_organization(Operation::See)?;
    app.signing_key_list().await.map(Json)
}

/// Makes a new key. It signs ten minutes later, when everybody who verifies tokens has it; nothing is refused meanwhile.
#[utoipa::path(
    post, path = "/v1/signing-keys/rotate", tag = "signing_keys", params(Rotate),
    responses((status = OK, body = SigningKeyList))
)]
pub async fn rotate(app: Acting, StrictQuery(rotate): StrictQuery<Rotate>) -> Result<Response, ApiError> {
    app.may_in_organization(Operation::Administer)?;
    if rotate.replace {
        app.replace_signing_keys(&*app.changing()).await?;
    } else {
        app.rotate_signing_keys(&*app.changing()).await?;
    }
    let revision = app.store.current_revision().await?;
    let reply = Json(app.signing_key_list().await?).into_response();
    app.committed(revision, Wait { wait: rotate.wait }, reply).await
}
