//! The data keys in memory, and what they do.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use portcullis_wire::digest::Digest;
use portcullis_wire::secret::SecretText;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::VaultError;
use super::place::Place;
use super::root_key::{FileRootKey, KeyBytes, RootKey, wrapped_by};
use crate::clock::{Entropy, random};
use crate::domain::ids::ServerId;
use crate::domain::server::Sealed;
use crate::store::{DataKeyRow, DataKeyState, Store};

/// Seals and opens. Cheap to share; holds the data keys for as long as the service runs.
pub struct Vault {
    keys: BTreeMap<u32, KeyBytes>,
    active: u32,
    entropy: Arc<dyn Entropy>,
}

/// Why a sealed value does not open. Which of the reasons it is, is for operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    #[error("the sealed value is not in a form that this version knows")]
    Malformed,
    #[error("the sealed value needs data key {0}, which is not in the database")]
    UnknownKey(u32),
    #[error("the sealed value was changed, or was moved here from another place")]
    Tampered,
}

const VERSION: u8 = 1;
const XCHACHA20_POLY1305: u8 = 1;
const NONCE_LENGTH: usize = 24;
const CHECK_LENGTH: usize = 16;
const FIRST_KEY: u32 = 1;
const SESSION_KEY_LENGTH: usize = 32;

impl Vault {
    /// Opens the vault with a root key out of a file. The file is made on the very first start: if it is not there and
    /// nothing was ever written to the store.
    ///
    /// Nothing is written if the root key does not fit.
    pub async fn open_with_file(
        path: &Path,
        store: &dyn Store,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        let missing = !path.try_exists().map_err(|error| super::root_key::file_problem(path, &error))?;
        let root = if !missing {
            FileRootKey::load(path, Arc::clone(&entropy))?
        } else if store.is_fresh().await? {
            FileRootKey::create(path, Arc::clone(&entropy))?
        } else {
            let keys = store.data_keys().await?;
            let key_id = keys.first().and_then(|row| wrapped_by(&row.wrapped));
            let key_id = key_id.unwrap_or_else(|| "unknown".into());
            return Err(VaultError::RootKeyMissing { path: path.to_owned(), key_id });
        };
        Self::open(&root, store, entropy).await
    }

    /// Opens the vault: unwraps and checks every data key; makes the first one if there is none.
    pub async fn open(
        root: &dyn RootKey,
        store: &dyn Store,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        let mut rows = store.data_keys().await?;
        if rows.is_empty() {
            // If another replica was faster, its key is as good as ours.
            store.add_first_data_key(&first_data_key(root, entropy.as_ref()).await?).await?;
            rows = store.data_keys().await?;
        }
        let mut keys = BTreeMap::new();
        for row in &rows {
            let key = root.unwrap(row.id, &row.wrapped).await?;
            if !bool::from(check_value(&key).as_slice().ct_eq(&row.check)) {
                return Err(VaultError::DataKeyDamaged { data_key: row.id });
            }
            keys.insert(row.id, key);
        }
        let active = rows.iter().rev().find(|row| row.state == DataKeyState::Active);
        let active = active.ok_or(VaultError::NoActiveDataKey)?.id;
        Ok(Self { keys, active, entropy })
    }

    /// Seals `secret` for `place` under the active data key.
    ///
    /// # Panics
    ///
    /// If the secret is larger than 256 GiB, the cipher's limit.
    pub fn seal(&self, place: &Place, secret: &SecretString) -> Sealed {
        let nonce: [u8; NONCE_LENGTH] = random(self.entropy.as_ref());
        let associated = place.associated_data(self.active);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: &associated };
        let ciphertext = self
            .cipher(self.active)
            .and_then(|cipher| cipher.encrypt(&XNonce::from(nonce), payload).ok())
            .expect("the active key is in the ring, and no secret is that large");
        let mut blob = vec![VERSION, XCHACHA20_POLY1305];
        blob.extend(self.active.to_be_bytes());
        blob.extend(nonce);
        blob.extend(ciphertext);
        Sealed::new(blob)
    }

    /// Opens what was sealed for this very place.
    pub fn unseal(&self, place: &Place, sealed: &Sealed) -> Result<SecretString, UnsealError> {
        let rest = sealed.as_bytes().strip_prefix(&[VERSION, XCHACHA20_POLY1305]);
        let (key_id, rest) = rest.and_then(<[u8]>::split_first_chunk).ok_or(UnsealError::Malformed)?;
        let key_id = u32::from_be_bytes(*key_id);
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(UnsealError::Malformed)?;
        let cipher = self.cipher(key_id).ok_or(UnsealError::UnknownKey(key_id))?;
        let associated = place.associated_data(key_id);
        let payload = Payload { msg: ciphertext, aad: &associated };
        let plain = cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| UnsealError::Tampered)?;
        let plain = Zeroizing::new(plain);
        let text = std::str::from_utf8(&plain).map_err(|_| UnsealError::Malformed)?;
        Ok(SecretString::from(text))
    }

    /// The key that binds sessions of one caller at one server ([`portcullis_wire::session`]). The same in every replica,
    /// and also after another data key has become the active one.
    ///
    /// # Panics
    ///
    /// If the ring is empty, which [`Self::open`] rules out.
    pub fn session_key(&self, caller: &str, server: &ServerId) -> SecretText {
        let (_, key) = self.keys.first_key_value().expect("there is an active key");
        let info = Digest::of("portcullis-session-key-v1", &[caller.as_bytes(), server.as_str().as_bytes()]);
        let mut derived = [0; SESSION_KEY_LENGTH];
        Hkdf::<Sha256>::new(None, key.as_slice())
            .expand(info.as_bytes(), &mut derived)
            .expect("32 bytes are far below the limit of HKDF");
        SecretText::new(Digest::from_bytes(derived).to_string())
    }

    fn cipher(&self, key_id: u32) -> Option<XChaCha20Poly1305> {
        self.keys.get(&key_id).map(|key| XChaCha20Poly1305::new((&**key).into()))
    }
}

async fn first_data_key(root: &dyn RootKey, entropy: &dyn Entropy) -> Result<DataKeyRow, VaultError> {
    let key: KeyBytes = Zeroizing::new(random(entropy));
    let wrapped = root.wrap(FIRST_KEY, &key).await?;
    Ok(DataKeyRow { id: FIRST_KEY, wrapped, check: check_value(&key).to_vec(), state: DataKeyState::Active })
}

/// Tells one key from another before anything is opened: the cipher alone does not commit to its key.
fn check_value(key: &KeyBytes) -> [u8; CHECK_LENGTH] {
    let mut value = [0; CHECK_LENGTH];
    Hkdf::<Sha256>::new(None, key.as_slice())
        .expand(b"portcullis/v1 data key check", &mut value)
        .expect("16 bytes are far below the limit of HKDF");
    value
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Vault").field("active", &self.active).finish_non_exhaustive()
    }
}
