//! The keys that seal secrets in the database. Never the keys themselves.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::acting::Acting;
use super::time;
use crate::domain::access::Operation;
use crate::http::error::ApiError;
use crate::state::Service;
use crate::store::DataKeyRow;
use crate::vault::root_key::wrapped_by;
use crate::vault::rotation::DataKeyError;
use crate::vault::{RootKeys, VaultError};

#[derive(Debug, Serialize, ToSchema)]
pub struct DataKeyView {
    /// Counts from 1.
    pub id: u32,
    /// `published`: it will seal; `active`: it seals; `retired`: it opens only.
    pub state: &'static str,
    /// The id of the root key that wraps it.
    pub root_key: String,
    /// RFC 3339, as the others; absent for the first key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<String>,
    /// Absent for the first key, and for one that does not seal yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_from: Option<String>,
    /// When nothing was left in the database that a retired key has sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resealed_at: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DataKeyList {
    /// The id of the root key that this service wraps data keys with.
    pub root_key: String,
    /// Those that it knows besides, for as long as one takes the place of another.
    pub other_root_keys: Vec<String>,
    /// Oldest first.
    pub data_keys: Vec<DataKeyView>,
}

impl DataKeyView {
    fn of(key: &DataKeyRow) -> Self {
        Self {
            id: key.id,
            state: key.state.as_str(),
            root_key: wrapped_by(&key.wrapped).unwrap_or_else(|| "unknown".to_owned()),
            published_at: key.published_at.map(time::spell),
            active_from: key.active_from.map(time::spell),
            resealed_at: key.resealed_at.map(time::spell),
        }
    }
}

impl Service {
    async fn data_key_list(&self) -> Result<DataKeyList, ApiError> {
        let keys = self.store.data_keys().await?;
        let roots: RootKeys = self.vault.roots();
        let others = roots.ids().into_iter().skip(1).map(str::to_owned).collect();
        Ok(DataKeyList {
            root_key: roots.id().to_owned(),
            other_root_keys: others,
            data_keys: keys.iter().map(DataKeyView::of).collect(),
        })
    }
}

impl From<DataKeyError> for ApiError {
    fn from(error: DataKeyError) -> Self {
        match error {
            DataKeyError::TooSoon => Self::Conflict {
                detail: "the newest data key does not seal yet".to_owned(),
                remedy: "wait until it does, 15 seconds after it was published".to_owned(),
            },
            DataKeyError::Vault(VaultError::Store(error)) => error.into(),
            DataKeyError::Vault(error @ VaultError::RootKeyUnavailable { .. }) => {
                tracing::error!(%error, "no data key was made");
                Self::RootKeyUnavailable
            }
            DataKeyError::Vault(error) => Self::Internal(Box::new(error)),
        }
    }
}

/// Lists the keys that seal secrets, and which root keys wrap them.
#[utoipa::path(get, path = "/v1/data-keys", tag = "data_keys", responses((status = OK, body = DataKeyList)))]
pub async fn list(app: Acting) -> Result<Json<DataKeyList>, ApiError> {
    app.may_in_organization(Operation::Administer)?;
    app.data_key_list().await.map(Json)
}

/// Makes a new key. It seals 15 seconds later, when every replica has it; half a minute after that everything in the
/// database is sealed anew under it. Nothing is refused meanwhile.
#[utoipa::path(
    post, path = "/v1/data-keys/rotate", tag = "data_keys", responses((status = OK, body = DataKeyList))
)]
pub async fn rotate(app: Acting) -> Result<Response, ApiError> {
    app.may_in_organization(Operation::Administer)?;
    app.rotate_data_key(&*app.changing()).await?;
    Ok(Json(app.data_key_list().await?).into_response())
}
