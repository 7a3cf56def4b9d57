//! Root keys that are at hand: 32 bytes in a file or in the environment.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use portcullis_wire::digest::Digest;
use zeroize::Zeroizing;

use super::VaultError;
use super::root_key::{KeyBytes, RootKey, VERSION, XCHACHA20_POLY1305, associated_data, wrapped_by};
use crate::clock::{Entropy, random};

/// A root key that is at hand.
pub struct LocalRootKey {
    id: String,
    key: KeyBytes,
    entropy: Arc<dyn Entropy>,
}

/// Of its id, in characters.
pub(super) const ID_LENGTH: usize = 16;
const NONCE_LENGTH: usize = 24;

/// Why a text is no root key. Tells nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRootKey {
    #[error("it must be 32 bytes in standard Base64, as `openssl rand -base64 32` prints")]
    Malformed,
    #[error("it is one repeated byte; make a real one with `openssl rand -base64 32`")]
    Weak,
}

impl LocalRootKey {
    /// Reads the key from `path`.
    pub fn load(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, VaultError> {
        let text = Zeroizing::new(std::fs::read(path).map_err(|error| file_problem(path, &error))?);
        let key = key_in(&text);
        let key = key.map_err(|problem| VaultError::RootKeyFile { path: path.to_owned(), problem })?;
        Ok(Self::from_bytes(key, entropy))
    }

    /// The key that a text spells.
    pub fn parse(text: &[u8], entropy: Arc<dyn Entropy>) -> Result<Self, NoRootKey> {
        Ok(Self::from_bytes(key_in(text)?, entropy))
    }

    /// Makes a key, and a file that only its owner can read. Fails if there is a file.
    pub fn create(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, VaultError> {
        let key: KeyBytes = Zeroizing::new(random(entropy.as_ref()));
        let text = Zeroizing::new(STANDARD.encode(key.as_slice()));
        write_private_file(path, &text)?;
        Ok(Self::from_bytes(key, entropy))
    }

    fn from_bytes(key: KeyBytes, entropy: Arc<dyn Entropy>) -> Self {
        let digest = Digest::of("portcullis-root-key-id-v1", &[key.as_slice()]).to_string();
        // Naming a key needs no more than this; the digest of 256 random bits gives none of them away.
        let id = digest.chars().take(ID_LENGTH).collect();
        Self { id, key, entropy }
    }
}

/// What a text spells: standard Base64, space around it is skipped.
pub(crate) fn key_in(text: &[u8]) -> Result<KeyBytes, NoRootKey> {
    let bytes = Zeroizing::new(STANDARD.decode(text.trim_ascii()).map_err(|_| NoRootKey::Malformed)?);
    let key: KeyBytes = Zeroizing::new(bytes.as_slice().try_into().map_err(|_| NoRootKey::Malformed)?);
    if key.iter().all(|byte| *byte == key[0]) { Err(NoRootKey::Weak) } else { Ok(key) }
}

#[async_trait]
impl RootKey for LocalRootKey {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, data_key: u32, key: &KeyBytes) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE_LENGTH] = random(self.entropy.as_ref());
        let associated = associated_data(&self.id, data_key);
        let payload = Payload { msg: key.as_slice(), aad: &associated };
        let sealed = XChaCha20Poly1305::new((&*self.key).into())
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| VaultError::DataKeyDamaged { data_key })?;
        let mut wrapped = vec![VERSION, XCHACHA20_POLY1305];
        wrapped.extend(self.id.as_bytes());
        wrapped.extend(nonce);
        wrapped.extend(sealed);
        Ok(wrapped)
    }

    async fn unwrap(&self, data_key: u32, wrapped: &[u8]) -> Result<KeyBytes, VaultError> {
        let damaged = || VaultError::DataKeyDamaged { data_key };
        let id = wrapped_by(wrapped).ok_or_else(damaged)?;
        if id != self.id {
            return Err(VaultError::WrongRootKey { data_key, expected: id, given: self.id.clone() });
        }
        let rest = wrapped.get(2 + ID_LENGTH..).ok_or_else(damaged)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or_else(damaged)?;
        let associated = associated_data(&self.id, data_key);
        let payload = Payload { msg: sealed, aad: &associated };
        let key = XChaCha20Poly1305::new((&*self.key).into())
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| damaged())?;
        let key = Zeroizing::new(key);
        Ok(Zeroizing::new(key.as_slice().try_into().map_err(|_| damaged())?))
    }
}

/// Writes a new file that only its owner may read, and makes sure that it stays. Fails if there is one.
pub(super) fn write_private_file(path: &Path, text: &str) -> Result<(), VaultError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let attempt = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        // The name is in the directory, and has to survive a power cut as well.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    };
    attempt().map_err(|error| file_problem(path, &error))
}

pub(super) fn file_problem(path: &Path, error: &std::io::Error) -> VaultError {
    VaultError::File { path: PathBuf::from(path), problem: error.to_string() }
}

pub(super) fn warn_if_readable_by_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "this file of secrets can be read by others; set its mode to 0600");
    }
}

impl std::fmt::Debug for LocalRootKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "LocalRootKey({})", self.id)
    }
}
