//! The company's identity providers, whose tokens are a gateway credential: their keys, and their word about tokens that only
//! they can read.
//!
//! - [`keys`] fetches the keys of issuers from time to time. They go to the filters with the registry, so that no token
//!   makes anybody fetch anything.
//! - [`introspection`] asks an issuer about a token (RFC 7662) and believes the answer for a while.

mod introspection;
mod keys;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError, RwLock};

use lru::LruCache;
use portcullis_wire::digest::Digest;
use secrecy::SecretString;

use self::introspection::Answer;
pub(crate) use self::introspection::Introspected;
pub(crate) use self::keys::follow_keys;
use crate::config::IssuerConfig;

/// How many answers about tokens are remembered.
const MOST_ANSWERS: NonZeroUsize = NonZeroUsize::new(10_000).expect("more than none");

/// What this process knows of them besides the store. Secrets come from `portcullis.yaml` and stay in memory.
pub struct IdentityProviders {
    /// By issuer.
    secrets: RwLock<BTreeMap<String, SecretString>>,
    answers: Mutex<LruCache<Digest, Answer>>,
}

impl Default for IdentityProviders {
    fn default() -> Self {
        Self { secrets: RwLock::default(), answers: Mutex::new(LruCache::new(MOST_ANSWERS)) }
    }
}

impl IdentityProviders {
    /// To be called when the configuration was applied.
    pub(crate) fn configure(&self, issuers: &[IssuerConfig]) {
        let secret = |config: &IssuerConfig| {
            Some((config.issuer.issuer.clone(), config.introspection_secret.clone()?))
        };
        *self.secrets.write().unwrap_or_else(PoisonError::into_inner) =
            issuers.iter().filter_map(secret).collect();
    }

    fn secret(&self, issuer: &str) -> Option<SecretString> {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned()
    }
}
