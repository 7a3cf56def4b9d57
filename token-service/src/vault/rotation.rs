//! Replacing keys while the service runs, on however many replicas.
//!
//! ```text
//! data key   published ──15 s──▶ active ──▶ retired when the next one is; opens for ever what browsers and agents hold
//!              every replica      seals        30 s later everything in the database is sealed anew
//!              takes it up
//! root key   wraps every data key anew as soon as it is the present one of the configuration
//! ```
//!
//! Every replica does the same, and each step is one that nobody can take twice. So whichever of them is there finishes
//! what another has begun.

use std::time::Duration;

use super::root_key::wrapped_by;
use super::{UnsealError, VaultError};
use crate::clock::Timestamp;
use crate::http::error::error_chain;
use crate::state::Service;
use crate::store::{DataKeyRow, DataKeyState, SealedColumn, SealedRow, Store, StoreError};

/// How long a data key is known before it seals. Replicas look for new keys every two seconds.
pub const PUBLISHED_AHEAD: Duration = Duration::from_secs(15);

/// How long after a change of keys something may still be sealed under the one before: a renewal that was under way.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// How many values are sealed anew in one transaction, while others wait for their turn.
const BATCH: u32 = 100;

/// Why there is no new data key.
#[derive(Debug, thiserror::Error)]
pub enum DataKeyError {
    #[error("the newest data key does not seal yet")]
    TooSoon,
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<StoreError> for DataKeyError {
    fn from(error: StoreError) -> Self {
        Self::Vault(error.into())
    }
}

/// What one pass over the database has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pass {
    found: u64,
    resealed: u64,
    unreadable: u64,
}

impl Service {
    /// Makes a new data key. It seals soon, when every replica has it, and everything is sealed anew under it.
    pub async fn rotate_data_key(&self, store: &dyn Store) -> Result<(), DataKeyError> {
        let keys = store.data_keys().await?;
        let newest = keys.last().ok_or(VaultError::NoActiveDataKey)?;
        if newest.state != DataKeyState::Active {
            return Err(DataKeyError::TooSoon);
        }
        let id = newest.id.checked_add(1).ok_or(DataKeyError::TooSoon)?;
        let key = self.vault.make_data_key(id, self.clock.now()).await?;
        if !store.publish_data_key(&key).await? {
            return Err(DataKeyError::TooSoon);
        }
        tracing::info!(data_key = id, "a new data key is published");
        self.vault.take_up(&store.data_keys().await?).await?;
        Ok(())
    }

    /// Takes up what other replicas have done, and whatever step is due.
    pub async fn keep_data_keys(&self) -> Result<(), VaultError> {
        let mut keys = self.store.data_keys().await?;
        self.vault.take_up(&keys).await?;
        self.rewrap(&keys).await?;
        if self.activate_due(&keys).await? {
            keys = self.store.data_keys().await?;
            self.vault.take_up(&keys).await?;
        }
        self.reseal_due(&keys).await
    }

    /// Has the present root key wrap what another has wrapped.
    async fn rewrap(&self, keys: &[DataKeyRow]) -> Result<(), VaultError> {
        let roots = self.vault.roots();
        for key in keys {
            let before = wrapped_by(&key.wrapped);
            if before.as_deref() == Some(roots.id()) {
                continue;
            }
            let wrapped = self.vault.wrap(key.id).await?;
            if self.store.rewrap_data_key(key.id, &key.wrapped, &wrapped).await? {
                tracing::info!(
                    data_key = key.id,
                    root_key = roots.id(),
                    before,
                    "wrapped under another root key"
                );
            }
        }
        Ok(())
    }

    async fn activate_due(&self, keys: &[DataKeyRow]) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let Some(newest) = keys.last().filter(|key| is_due(key, now)) else { return Ok(false) };
        self.store.activate_data_key(newest.id, now).await?;
        Ok(true)
    }

    /// Seals anew what retired keys have sealed; notes when nothing of that is left.
    async fn reseal_due(&self, keys: &[DataKeyRow]) -> Result<(), VaultError> {
        let unfinished = |key: &&DataKeyRow| key.state == DataKeyState::Retired && key.resealed_at.is_none();
        let Some(active) = keys.iter().rev().find(|key| key.state == DataKeyState::Active) else {
            return Err(VaultError::NoActiveDataKey);
        };
        let settled = active.active_from.map(|time| time.plus(SETTLED_AFTER));
        if !keys.iter().any(|key| unfinished(&key)) || settled.is_some_and(|time| self.clock.now() < time) {
            return Ok(());
        }
        let pass = self.reseal(active.id).await?;
        if pass.resealed > 0 {
            tracing::info!(data_key = active.id, values = pass.resealed, "sealed anew");
        }
        // Whatever another replica was faster with, or somebody has changed meanwhile, is looked at once more.
        if pass.found > pass.unreadable {
            return Ok(());
        }
        if pass.unreadable > 0 {
            tracing::error!(
                values = pass.unreadable,
                "sealed values cannot be opened; `portcullis verify` names them"
            );
        }
        for key in keys.iter().filter(unfinished) {
            self.store.note_resealed(key.id, self.clock.now()).await?;
            tracing::info!(data_key = key.id, "nothing is left that this data key has sealed");
        }
        Ok(())
    }

    async fn reseal(&self, active: u32) -> Result<Pass, StoreError> {
        let mut pass = Pass::default();
        for column in SealedColumn::ALL {
            let mut after: Option<Vec<String>> = None;
            loop {
                let rows = self.store.sealed_rows(column, Some(active), after.as_deref(), BATCH).await?;
                let Some(last) = rows.last() else { break };
                after = Some(last.key.clone());
                self.reseal_rows(rows, &mut pass).await?;
            }
        }
        Ok(pass)
    }

    async fn reseal_rows(&self, rows: Vec<SealedRow>, pass: &mut Pass) -> Result<(), StoreError> {
        let mut renewed = Vec::with_capacity(rows.len());
        for row in rows {
            pass.found += 1;
            match self.vault.unseal(&row.place, &row.sealed) {
                Ok(secret) => {
                    let sealed = self.vault.seal(&row.place, &secret);
                    renewed.push((row, sealed));
                }
                // Of a key that this replica is about to take up.
                Err(UnsealError::UnknownKey(_)) => {}
                Err(error @ (UnsealError::Malformed | UnsealError::Tampered)) => {
                    pass.unreadable += 1;
                    tracing::debug!(row = ?row.key, error = error_chain(&error), "not sealed anew");
                }
            }
        }
        pass.resealed += self.store.reseal(&renewed).await?;
        Ok(())
    }
}

fn is_due(key: &DataKeyRow, now: Timestamp) -> bool {
    key.state == DataKeyState::Published
        && key.published_at.is_none_or(|time| time.plus(PUBLISHED_AHEAD) <= now)
}
