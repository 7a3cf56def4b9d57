//! Secrets at rest: the root key wraps data keys, a data key seals each secret to the place where it is kept.
//!
//! ```text
//! root key (file, environment, HashiCorp Vault)    never in the database
//!   └─ wraps data key 1, 2, …                     table data_keys
//!        └─ seals each secret column              version | algorithm | key id | nonce | ciphertext and tag
//! ```
//!
//! The database is not trusted: a sealed value that was changed, shortened, or moved to another row, column, owner or
//! generation does not open. A wrong root key is noticed at start, before anything is written.
//!
//! All keys can be replaced while the service runs: see [`rotation`].

pub mod admin_token;
pub mod api_key;
mod keyring;
pub mod local;
pub mod place;
pub mod root_key;
mod roots;
pub mod rotation;
pub mod transit;
pub mod verify;

pub use self::admin_token::AdminToken;
pub(crate) use self::keyring::sealed_under;
pub use self::keyring::{UnsealError, Vault};
pub use self::local::{LocalRootKey, NoRootKey};
pub use self::place::Place;
pub use self::root_key::{RootKey, RootKeys};

use std::path::PathBuf;

use crate::store::StoreError;

/// Why the vault, or a file of secrets, cannot be used. No message holds key material.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error(
        "the root key file {path} is missing, but the database holds secrets sealed under root key {key_id}; put that key back"
    )]
    RootKeyMissing { path: PathBuf, key_id: String },
    #[error("the root key in {path} cannot be used: {problem}")]
    RootKeyFile { path: PathBuf, problem: NoRootKey },
    #[error("the root key in the variable {name} cannot be used: {problem}")]
    RootKeyEnvironment { name: String, problem: NoRootKey },
    #[error(
        "data key {data_key} is wrapped under root key {expected}, but root key {given} was given; nothing was changed. Give that one back, or name it in other_root_keys while another takes its place"
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
    #[error("root key {key_id} cannot be asked: {problem}")]
    RootKeyUnavailable { key_id: String, problem: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests;
