//! Making, rotating and forgetting signing keys.

use crate::authorization_server::keys::{KeyPair, open_signer};
use crate::clock::Timestamp;
use crate::domain::signing::{PUBLISHED_AHEAD, SigningKeyRow, is_due, outlived};
use crate::state::Service;
use crate::store::{Store, StoreError};

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The key before does not sign yet. A client that asks again and again would otherwise fill the key sets.
    #[error("the newest key does not sign yet")]
    TooSoon,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Service {
    /// Makes the first key, the next one when it is due, and forgets what nobody needs. Replicas may do so at once.
    pub async fn keep_signing_keys(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let keys = self.store.signing_keys().await?;
        let algorithm = self.settings.authorization.signing_algorithm;
        if open_signer(&self.vault, &keys, now).is_err() && keys.iter().all(|key| key.active_from <= now) {
            // The first one, or one in place of a key that was tampered with: there is nothing to overlap with.
            self.publish(&*self.store, &keys, now).await?;
        } else if is_due(&keys, algorithm, now) {
            self.publish(&*self.store, &keys, now.plus(PUBLISHED_AHEAD)).await?;
        }
        for key in outlived(&keys, now) {
            self.store.forget_signing_key(&key.id).await?;
        }
        Ok(())
    }

    /// A new key, which signs in ten minutes. The one before signs until then and verifies for as long as anything that
    /// it has signed could be valid.
    pub async fn rotate_signing_keys(&self, store: &dyn Store) -> Result<(), RotationError> {
        let now = self.clock.now();
        let keys = store.signing_keys().await?;
        if keys.last().is_some_and(|newest| newest.active_from > now) {
            return Err(RotationError::TooSoon);
        }
        self.publish(store, &keys, now.plus(PUBLISHED_AHEAD)).await?;
        Ok(())
    }

    /// A new key that signs at once, in place of all others: for when one is in the wrong hands. Access tokens are
    /// refused from then on, and clients refresh.
    pub async fn replace_signing_keys(&self, store: &dyn Store) -> Result<(), RotationError> {
        let now = self.clock.now();
        let keys = store.signing_keys().await?;
        self.publish(store, &keys, now).await?;
        for key in keys {
            store.forget_signing_key(&key.id).await?;
        }
        Ok(())
    }

    /// Adds a key, unless somebody else has just done so.
    async fn publish(
        &self,
        store: &dyn Store,
        keys: &[SigningKeyRow],
        active_from: Timestamp,
    ) -> Result<(), StoreError> {
        let algorithm = self.settings.authorization.signing_algorithm;
        let key = KeyPair::make(&self.vault, algorithm, &*self.entropy, self.clock.now(), active_from);
        let newest = keys.last().map(|newest| newest.id.as_str());
        if store.publish_signing_key(&key, newest).await? {
            tracing::info!(key = key.id, algorithm = algorithm.as_str(), "a new signing key is published");
        }
        Ok(())
    }
}
