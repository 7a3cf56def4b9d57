//! Secrets at rest: the root key wraps data keys, a data key seals each secret to the place where it is kept.
//!
//! ```text
//! root key (32 bytes, a file or a KMS)            never in the database
//!   └─ wraps data key 1, 2, …                     table data_keys
//!        └─ seals each secret column              version | algorithm | key id | nonce | ciphertext and tag
//! ```
//!
//! The database is not trusted: a sealed value that was changed, shortened, or moved to another row, column, owner or
//! generation does not open. A wrong root key is noticed at start, before anything is written.

pub mod admin_token;
pub mod api_key;
mod keyring;
pub mod place;
pub mod root_key;

pub use self::admin_token::AdminToken;
pub use self::keyring::{UnsealError, Vault};
pub use self::place::Place;
pub use self::root_key::{FileRootKey, RootKey};

use std::path::PathBuf;

use crate::store::StoreError;

/// Why the vault, or a file of secrets, cannot be used. No message holds key material.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error(
        "the root key file {path} is missing, but the database holds secrets sealed under root key {key_id}; put that key back"
    )]
    RootKeyMissing { path: PathBuf, key_id: String },
    #[error(
        "the root key file {path} must hold 32 bytes in standard Base64 (as `openssl rand -base64 32` prints)"
    )]
    RootKeyMalformed { path: PathBuf },
    #[error("the root key in {path} is one repeated byte; make a real one with `openssl rand -base64 32`")]
    RootKeyWeak { path: PathBuf },
    #[error(
        "data key {data_key} is wrapped under root key {expected}, but root key {given} was given; nothing was changed"
    )]
    WrongRootKey { data_key: u32, expected: String, given: String },
    #[error("data key {data_key} cannot be unwrapped: it was changed or its row is damaged")]
    DataKeyDamaged { data_key: u32 },
    #[error("the database has data keys, but none of them is active")]
    NoActiveDataKey,
    #[error(
        "the admin token in {path} must have 32 to 256 visible ASCII characters and at least 10 different ones"
    )]
    AdminTokenWeak { path: PathBuf },
    #[error("{path}: {problem}")]
    File { path: PathBuf, problem: String },
    #[error("the root key service failed: {problem}")]
    RootKeyUnavailable { problem: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests;
