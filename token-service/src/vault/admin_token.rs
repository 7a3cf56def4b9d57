//! The admin token: whoever shows it may use the admin API.
//!
//! It is made at the first start and written to a file once. The service keeps its digest only, so the file may be
//! moved away afterwards. To change the token, put another into the file and start again.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_wire::digest::Digest;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::VaultError;
use super::local::{file_problem, warn_if_readable_by_others, write_private_file};
use crate::clock::{Entropy, random};
use crate::store::Store;

/// The digest of the admin token: enough to recognise it.
#[derive(Clone, Debug)]
pub struct AdminToken {
    digest: Digest,
}

impl AdminToken {
    /// Finds out what the admin token is: what the file holds, else what was kept before, else a new one, which is
    /// written to the file with mode 0600.
    pub async fn establish(
        path: &Path,
        store: &dyn Store,
        entropy: &dyn Entropy,
    ) -> Result<Self, VaultError> {
        let kept = store.admin_token_digest().await?;
        let digest = match (read(path)?, kept) {
            (Some(given), _) => given,
            (None, Some(kept)) => return Ok(Self { digest: kept }),
            (None, None) => {
                let text = Zeroizing::new(format!("pca_{}", URL_SAFE_NO_PAD.encode(random::<32>(entropy))));
                write_private_file(path, &text)?;
                digest_of(&text)
            }
        };
        if kept != Some(digest) && !store.set_admin_token_digest(kept, digest).await? {
            // Another replica starts at the same time; it reads the same file or has written its own.
            let kept = store.admin_token_digest().await?.unwrap_or(digest);
            return Ok(Self { digest: kept });
        }
        Ok(Self { digest })
    }

    /// Whether `presented` is the token; takes the same time for every wrong one.
    pub fn accepts(&self, presented: &str) -> bool {
        digest_of(presented).as_bytes().ct_eq(self.digest.as_bytes()).into()
    }
}

fn digest_of(text: &str) -> Digest {
    Digest::of("portcullis-admin-token-v1", &[text.as_bytes()])
}

fn read(path: &Path) -> Result<Option<Digest>, VaultError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_problem(path, &error)),
    };
    warn_if_readable_by_others(path);
    let token = text.trim();
    let long_enough = (32..=256).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    let varied = token.bytes().collect::<BTreeSet<u8>>().len() >= 10;
    if !long_enough || !varied {
        return Err(VaultError::AdminTokenWeak { path: path.to_owned() });
    }
    Ok(Some(digest_of(token)))
}
