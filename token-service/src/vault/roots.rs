//! From the configuration to root keys.

use std::path::Path;
use std::sync::Arc;

use super::local::{LocalRootKey, file_problem, warn_if_readable_by_others};
use super::root_key::{RootKey, RootKeys, wrapped_by};
use super::transit::TransitRootKey;
use super::{Vault, VaultError};
use crate::clock::Entropy;
use crate::config::{RootKeyConfig, RootKeysConfig};
use crate::store::Store;

impl RootKeys {
    /// The keys that the configuration names. Asks no service yet.
    pub fn load(config: &RootKeysConfig, entropy: &Arc<dyn Entropy>) -> Result<Self, VaultError> {
        let present = one(&config.present, entropy)?;
        let others = config.others.iter().map(|key| one(key, entropy)).collect::<Result<_, _>>()?;
        Ok(Self::new(present, others))
    }

    /// As [`RootKeys::load`], once, at the start: whoever could read a key is told of. The file of the present key is made on the very first start: if it is not there and nothing
    /// was ever written to the store.
    pub async fn establish(
        config: &RootKeysConfig,
        store: &dyn Store,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        if let RootKeyConfig::File(path) = &config.present
            && !path.try_exists().map_err(|error| file_problem(path, &error))?
        {
            if !store.is_fresh().await? {
                return Err(missing(path, store).await?);
            }
            LocalRootKey::create(path, Arc::clone(entropy))?;
        }
        let files = std::iter::once(&config.present).chain(&config.others).filter_map(|key| match key {
            RootKeyConfig::File(path) => Some(path),
            RootKeyConfig::Environment { .. } | RootKeyConfig::Transit(_) => None,
        });
        files.for_each(|path| warn_if_readable_by_others(path));
        Self::load(config, entropy)
    }
}

impl Vault {
    /// Opens the vault with a root key out of a file, which is made on the very first start.
    pub async fn open_with_file(
        path: &Path,
        store: &dyn Store,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        let config = RootKeysConfig { present: RootKeyConfig::File(path.to_owned()), others: Vec::new() };
        let roots = RootKeys::establish(&config, store, &entropy).await?;
        Self::open(roots, store, entropy).await
    }
}

async fn missing(path: &Path, store: &dyn Store) -> Result<VaultError, VaultError> {
    let keys = store.data_keys().await?;
    let key_id = keys.first().and_then(|row| wrapped_by(&row.wrapped));
    let key_id = key_id.unwrap_or_else(|| "unknown".into());
    Ok(VaultError::RootKeyMissing { path: path.to_owned(), key_id })
}

fn one(config: &RootKeyConfig, entropy: &Arc<dyn Entropy>) -> Result<Arc<dyn RootKey>, VaultError> {
    Ok(match config {
        RootKeyConfig::File(path) => Arc::new(LocalRootKey::load(path, Arc::clone(entropy))?),
        RootKeyConfig::Environment { name, key } => {
            let key = LocalRootKey::parse(key.expose().as_bytes(), Arc::clone(entropy));
            let key =
                key.map_err(|problem| VaultError::RootKeyEnvironment { name: name.clone(), problem })?;
            Arc::new(key)
        }
        RootKeyConfig::Transit(settings) => Arc::new(TransitRootKey::new(settings.clone())),
    })
}
