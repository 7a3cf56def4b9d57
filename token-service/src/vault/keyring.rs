//! The data keys in memory, and what they do.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use portcullis_wire::digest::Digest;
use portcullis_wire::secret::SecretText;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::VaultError;
use super::place::Place;
use super::root_key::{KeyBytes, RootKeys};
use crate::clock::{Entropy, Timestamp, random};
use crate::domain::ids::ServerId;
use crate::domain::server::Sealed;
use crate::store::{DataKeyRow, DataKeyState, Store};

/// Seals and opens. Cheap to share; holds the data keys for as long as the service runs.
pub struct Vault {
    roots: RwLock<RootKeys>,
    ring: RwLock<Arc<Ring>>,
    entropy: Arc<dyn Entropy>,
    unknown: Notify,
}

/// The data keys that are known.
#[derive(Default)]
struct Ring {
    keys: BTreeMap<u32, Arc<KeyBytes>>,
    active: u32,
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
    /// Opens the vault: unwraps and checks every data key; makes the first one if there is none. Nothing is written if
    /// the root keys do not fit.
    pub async fn open(
        roots: RootKeys,
        store: &dyn Store,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        let mut rows = store.data_keys().await?;
        if rows.is_empty() {
            // If another replica was faster, its key is as good as ours.
            store.add_first_data_key(&first_data_key(&roots, entropy.as_ref()).await?).await?;
            rows = store.data_keys().await?;
        }
        Self::of(roots, &rows, entropy).await
    }

    /// Opens the vault with what is there, and writes nothing.
    pub async fn open_existing(
        roots: RootKeys,
        store: &dyn Store,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, VaultError> {
        Self::of(roots, &store.data_keys().await?, entropy).await
    }

    async fn of(roots: RootKeys, rows: &[DataKeyRow], entropy: Arc<dyn Entropy>) -> Result<Self, VaultError> {
        let ring = Ring::read(&roots, rows, &Ring::default()).await?;
        let (roots, ring) = (RwLock::new(roots), RwLock::new(Arc::new(ring)));
        Ok(Self { roots, ring, entropy, unknown: Notify::new() })
    }

    /// Takes up data keys that are new and the one that is active by now. Those that are known are not unwrapped again.
    pub(super) async fn take_up(&self, rows: &[DataKeyRow]) -> Result<(), VaultError> {
        let present = self.ring();
        let next = Ring::read(&self.roots(), rows, &present).await?;
        if next.active != present.active {
            tracing::info!(data_key = next.active, "secrets are sealed under another data key from now on");
        }
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }

    /// Uses other root keys from now on, if they can unwrap every data key there is.
    pub async fn use_root_keys(&self, roots: RootKeys, store: &dyn Store) -> Result<(), VaultError> {
        Ring::read(&roots, &store.data_keys().await?, &Ring::default()).await?;
        *self.roots.write().unwrap_or_else(PoisonError::into_inner) = roots;
        Ok(())
    }

    pub fn roots(&self) -> RootKeys {
        self.roots.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The id of the data key that seals.
    pub fn active(&self) -> u32 {
        self.ring().active
    }

    /// Until something is to be opened whose key is not known: another replica may have made it just now.
    pub(crate) async fn unknown_key_met(&self) {
        self.unknown.notified().await;
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A data key wrapped by the present root key.
    pub(super) async fn wrap(&self, data_key: u32) -> Result<Vec<u8>, VaultError> {
        let ring = self.ring();
        let key = ring.keys.get(&data_key).ok_or(VaultError::DataKeyDamaged { data_key })?;
        self.roots().wrap(data_key, key).await
    }

    /// A new data key, for everybody to know before anybody uses it.
    pub(super) async fn make_data_key(&self, id: u32, now: Timestamp) -> Result<DataKeyRow, VaultError> {
        let row = data_key(&self.roots(), self.entropy.as_ref(), id, DataKeyState::Published).await?;
        Ok(DataKeyRow { published_at: Some(now), ..row })
    }

    /// Seals `secret` for `place` under the active data key.
    ///
    /// # Panics
    ///
    /// If the secret is larger than 256 GiB, the cipher's limit.
    pub fn seal(&self, place: &Place, secret: &SecretString) -> Sealed {
        let nonce: [u8; NONCE_LENGTH] = random(self.entropy.as_ref());
        let ring = self.ring();
        let associated = place.associated_data(ring.active);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: &associated };
        let ciphertext = ring
            .cipher(ring.active)
            .and_then(|cipher| cipher.encrypt(&XNonce::from(nonce), payload).ok())
            .expect("the active key is in the ring, and no secret is that large");
        let mut blob = vec![VERSION, XCHACHA20_POLY1305];
        blob.extend(ring.active.to_be_bytes());
        blob.extend(nonce);
        blob.extend(ciphertext);
        Sealed::new(blob)
    }

    /// Opens what was sealed for this very place.
    pub fn unseal(&self, place: &Place, sealed: &Sealed) -> Result<SecretString, UnsealError> {
        let (key_id, rest) = split(sealed).ok_or(UnsealError::Malformed)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(UnsealError::Malformed)?;
        let cipher = self.ring().cipher(key_id).ok_or_else(|| {
            self.unknown.notify_one();
            UnsealError::UnknownKey(key_id)
        })?;
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
        let ring = self.ring();
        let (_, key) = ring.keys.first_key_value().expect("there is an active key");
        let info = Digest::of("portcullis-session-key-v1", &[caller.as_bytes(), server.as_str().as_bytes()]);
        let mut derived = [0; SESSION_KEY_LENGTH];
        Hkdf::<Sha256>::new(None, key.as_slice())
            .expand(info.as_bytes(), &mut derived)
            .expect("32 bytes are far below the limit of HKDF");
        SecretText::new(Digest::from_bytes(derived).to_string())
    }
}

impl Ring {
    /// Those of `known` that are among the rows, and the others unwrapped.
    async fn read(roots: &RootKeys, rows: &[DataKeyRow], known: &Self) -> Result<Self, VaultError> {
        let mut keys = BTreeMap::new();
        for row in rows {
            let key = match known.keys.get(&row.id) {
                Some(key) => Arc::clone(key),
                None => Arc::new(roots.unwrap(row.id, &row.wrapped).await?),
            };
            if !bool::from(check_value(&key).as_slice().ct_eq(&row.check)) {
                return Err(VaultError::DataKeyDamaged { data_key: row.id });
            }
            keys.insert(row.id, key);
        }
        let active = rows.iter().rev().find(|row| row.state == DataKeyState::Active);
        let active = active.ok_or(VaultError::NoActiveDataKey)?.id;
        Ok(Self { keys, active })
    }

    fn cipher(&self, key_id: u32) -> Option<XChaCha20Poly1305> {
        self.keys.get(&key_id).map(|key| XChaCha20Poly1305::new((&***key).into()))
    }
}

/// The key that sealed a value; `None` if it is in no form that this version knows.
pub(crate) fn sealed_under(sealed: &Sealed) -> Option<u32> {
    split(sealed).map(|(key_id, _)| key_id)
}

/// The number of the key, and what follows it.
fn split(sealed: &Sealed) -> Option<(u32, &[u8])> {
    let rest = sealed.as_bytes().strip_prefix(&[VERSION, XCHACHA20_POLY1305])?;
    let (key_id, rest) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*key_id), rest))
}

async fn first_data_key(roots: &RootKeys, entropy: &dyn Entropy) -> Result<DataKeyRow, VaultError> {
    data_key(roots, entropy, FIRST_KEY, DataKeyState::Active).await
}

async fn data_key(
    roots: &RootKeys,
    entropy: &dyn Entropy,
    id: u32,
    state: DataKeyState,
) -> Result<DataKeyRow, VaultError> {
    let key: KeyBytes = Zeroizing::new(random(entropy));
    let wrapped = roots.wrap(id, &key).await?;
    Ok(DataKeyRow {
        id,
        wrapped,
        check: check_value(&key).to_vec(),
        state,
        published_at: None,
        active_from: None,
        resealed_at: None,
    })
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
        formatter.debug_struct("Vault").field("active", &self.active()).finish_non_exhaustive()
    }
}
