//! The root key, and the one thing it does: wrapping data keys.
//!
//! A wrapped key says who wrapped it: version, algorithm, the root key's id, then what that one makes of it.

use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::VaultError;
use super::local::ID_LENGTH;
use super::place::length_prefixed;

/// 32 bytes of key, wiped when dropped.
pub type KeyBytes = Zeroizing<[u8; 32]>;

/// Whatever wraps data keys: 32 bytes out of a file or the environment, or a key management service. Asked at start and
/// when keys rotate, never for a request.
#[async_trait]
pub trait RootKey: Send + Sync {
    /// Names the key in messages and in what it wraps, at most 255 bytes; tells nothing about it.
    fn id(&self) -> &str;
    async fn wrap(&self, data_key: u32, key: &KeyBytes) -> Result<Vec<u8>, VaultError>;
    /// What this very key has wrapped.
    async fn unwrap(&self, data_key: u32, wrapped: &[u8]) -> Result<KeyBytes, VaultError>;
}

pub(super) const VERSION: u8 = 1;
/// Of a key that is at hand. Its id has a fixed length.
pub(super) const XCHACHA20_POLY1305: u8 = 1;
/// Of HashiCorp Vault's transit engine. Its id is preceded by its length, one byte.
pub(super) const TRANSIT: u8 = 2;

/// The id of the root key that a wrapping names; `None` if it is none that this version knows.
pub(crate) fn wrapped_by(wrapped: &[u8]) -> Option<String> {
    let (id, _) = match wrapped.strip_prefix(&[VERSION])? {
        [XCHACHA20_POLY1305, rest @ ..] => rest.split_at_checked(ID_LENGTH)?,
        [TRANSIT, length, rest @ ..] => rest.split_at_checked(usize::from(*length))?,
        _ => return None,
    };
    let id = std::str::from_utf8(id).ok()?;
    id.bytes().all(|byte| byte.is_ascii_graphic()).then(|| id.to_owned())
}

/// What a wrapping is bound to.
pub(super) fn associated_data(root_key: &str, data_key: u32) -> Vec<u8> {
    length_prefixed(&[
        b"portcullis/v1",
        b"data_keys",
        b"wrapped",
        root_key.as_bytes(),
        &data_key.to_be_bytes(),
    ])
}

/// The root key that wraps, and others that may have wrapped what is there, or will wrap it: while one takes the place of
/// another, every replica has both.
#[derive(Clone)]
pub struct RootKeys {
    present: Arc<dyn RootKey>,
    others: Vec<Arc<dyn RootKey>>,
}

impl RootKeys {
    pub fn new(present: Arc<dyn RootKey>, others: Vec<Arc<dyn RootKey>>) -> Self {
        Self { present, others }
    }

    /// The id of the one that wraps.
    pub fn id(&self) -> &str {
        self.present.id()
    }

    /// All of them, the one that wraps first.
    pub fn ids(&self) -> Vec<&str> {
        self.all().map(RootKey::id).collect()
    }

    fn all(&self) -> impl Iterator<Item = &dyn RootKey> {
        std::iter::once(&self.present).chain(&self.others).map(|key| &**key)
    }

    pub(super) async fn wrap(&self, data_key: u32, key: &KeyBytes) -> Result<Vec<u8>, VaultError> {
        self.present.wrap(data_key, key).await
    }

    /// [`VaultError::WrongRootKey`] if none of them wrapped it.
    pub(super) async fn unwrap(&self, data_key: u32, wrapped: &[u8]) -> Result<KeyBytes, VaultError> {
        let expected = wrapped_by(wrapped).ok_or(VaultError::DataKeyDamaged { data_key })?;
        match self.all().find(|key| key.id() == expected) {
            Some(key) => key.unwrap(data_key, wrapped).await,
            None => Err(VaultError::WrongRootKey { data_key, expected, given: self.ids().join(", ") }),
        }
    }
}

impl std::fmt::Debug for RootKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.ids()).finish()
    }
}
