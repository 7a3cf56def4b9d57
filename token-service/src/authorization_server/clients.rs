//! Finding a client by its id.

use super::document::DocumentError;
use crate::domain::oauth_client::{DYNAMIC_PREFIX, OAuthClient};
use crate::state::Service;
use crate::store::StoreError;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("there is no client with this id")]
    Unknown,
    #[error("the client's metadata document cannot be used")]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether the id is the address of a metadata document.
pub fn is_document(id: &str) -> bool {
    id.starts_with("https://")
}

impl Service {
    /// The client as it is now: whoever has an id may ask, so nothing of it is believed beyond what it says there.
    pub async fn oauth_client(&self, id: &str) -> Result<OAuthClient, ClientError> {
        if let Some(client) = self.configured_client(id) {
            return Ok(client.clone());
        }
        if is_document(id) {
            let fetched =
                self.client_documents.client(&self.egress, &self.settings.public_url, id, self.clock.now());
            return Ok(fetched.await?);
        }
        if id.starts_with(DYNAMIC_PREFIX) {
            let client = self.store.dynamic_client(id, self.clock.now()).await?;
            return client.map(Into::into).ok_or(ClientError::Unknown);
        }
        Err(ClientError::Unknown)
    }

    pub fn configured_client(&self, id: &str) -> Option<&OAuthClient> {
        self.settings.authorization.clients.iter().find(|client| client.id == id)
    }
}
