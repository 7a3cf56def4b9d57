//! A root key that stays in HashiCorp Vault, or OpenBao: its transit engine wraps and unwraps.
//!
//! Source: <https://developer.hashicorp.com/vault/api-docs/secret/transit>. Asked for are `POST encrypt/<key>` and
//! `POST decrypt/<key>` of the mount, each with associated data, so the key has to be of an AEAD type such as
//! `aes256-gcm96`, the usual one. Which version of the key wrapped something stands in what Vault answers.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_wire::secret::SecretText;
use url::Url;
use vaultrs::api::transit::requests::{DecryptDataRequest, EncryptDataRequest};
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;
use vaultrs::transit::data;
use zeroize::Zeroizing;

use super::VaultError;
use super::root_key::{KeyBytes, RootKey, TRANSIT, VERSION, associated_data, wrapped_by};

/// How long one request may take; several make a start.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which key, where, and how to ask for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitSettings {
    /// `https`, or `http` with a loopback host.
    pub address: Url,
    /// Of the transit engine, without slashes at the ends.
    pub mount: String,
    pub key: String,
    pub namespace: Option<String>,
    /// PEM file of an authority to trust besides those of the system.
    pub ca: Option<PathBuf>,
    pub token: TransitToken,
}

/// What Vault lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransitToken {
    /// Read again for each request: Vault Agent puts a new one there.
    File(PathBuf),
    Value(SecretText),
}

/// A key of a transit engine.
#[derive(Debug)]
pub struct TransitRootKey {
    id: String,
    settings: TransitSettings,
}

impl TransitRootKey {
    /// Asks nobody yet.
    pub fn new(settings: TransitSettings) -> Self {
        // Where Vault is may change; the key is the same.
        let namespace = settings.namespace.as_deref().map(|name| format!("{name}/")).unwrap_or_default();
        let id = format!("vault:{namespace}{}/{}", settings.mount, settings.key);
        Self { id, settings }
    }

    fn client(&self) -> Result<VaultClient, VaultError> {
        choose_cryptography();
        let token = self.token()?;
        let certificates = self.settings.ca.iter().map(|path| path.display().to_string()).collect();
        let mut settings = VaultClientSettingsBuilder::default();
        settings
            .address(self.settings.address.as_str())
            .token(token.as_str())
            .namespace(self.settings.namespace.clone())
            .ca_certs(certificates)
            .identity(None)
            .verify(true)
            .timeout(Some(TIMEOUT));
        let settings = settings.build().map_err(|error| self.unavailable(&error.to_string()))?;
        VaultClient::new(settings).map_err(|error| self.failed("be asked", &error))
    }

    fn token(&self) -> Result<Zeroizing<String>, VaultError> {
        match &self.settings.token {
            TransitToken::Value(token) => Ok(Zeroizing::new(token.expose().to_owned())),
            TransitToken::File(path) => read_token(path),
        }
    }

    /// What went wrong, in words that hold neither token nor key.
    fn failed(&self, what: &str, error: &ClientError) -> VaultError {
        let problem = match error {
            ClientError::APIError { code, errors } => {
                let said: Vec<&str> = errors.iter().map(|error| error.trim()).collect();
                let hint = match code {
                    403 => "; its token needs update on encrypt and decrypt of this key",
                    404 => "; is there a transit engine at this mount?",
                    _ => "",
                };
                format!("answered {code}: {}{hint}", said.join("; "))
            }
            error => crate::http::error::error_chain(error),
        };
        self.unavailable(&format!("it could not {what}: {problem}"))
    }

    fn unavailable(&self, problem: &str) -> VaultError {
        VaultError::RootKeyUnavailable {
            key_id: self.id.clone(),
            problem: format!("{}: {problem}", self.settings.address),
        }
    }
}

fn read_token(path: &Path) -> Result<Zeroizing<String>, VaultError> {
    let text = std::fs::read_to_string(path).map_err(|error| super::local::file_problem(path, &error))?;
    let text = Zeroizing::new(text);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Whether a ciphertext, `vault:v1:<Base64>`, is spelt as Vault writes it. Vault itself overlooks stray bits at the end,
/// and takes version 0 for 1; here a changed byte is a damaged row.
fn is_as_written(ciphertext: &str) -> bool {
    let Some((version, encoded)) = ciphertext.strip_prefix("vault:v").and_then(|rest| rest.split_once(':'))
    else {
        return false;
    };
    let number: Option<u32> = version.parse().ok();
    number.is_some_and(|number| number > 0 && number.to_string() == version)
        && STANDARD.decode(encoded).is_ok()
}

/// The client takes the process's own, and there is none unless somebody has chosen.
fn choose_cryptography() {
    static CHOSEN: Once = Once::new();
    CHOSEN.call_once(|| {
        // Whoever was faster has chosen as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[async_trait]
impl RootKey for TransitRootKey {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, data_key: u32, key: &KeyBytes) -> Result<Vec<u8>, VaultError> {
        let length = u8::try_from(self.id.len()).map_err(|_| self.unavailable("its name is too long"))?;
        let plain = Zeroizing::new(STANDARD.encode(key.as_slice()));
        let associated = STANDARD.encode(associated_data(&self.id, data_key));
        let mut request = EncryptDataRequest::builder();
        request.associated_data(associated);
        let TransitSettings { mount, key, .. } = &self.settings;
        let answer = data::encrypt(&self.client()?, mount, key, &plain, Some(&mut request))
            .await
            .map_err(|error| self.failed("wrap a data key", &error))?;
        let mut wrapped = vec![VERSION, TRANSIT, length];
        wrapped.extend(self.id.as_bytes());
        wrapped.extend(answer.ciphertext.as_bytes());
        Ok(wrapped)
    }

    async fn unwrap(&self, data_key: u32, wrapped: &[u8]) -> Result<KeyBytes, VaultError> {
        let damaged = || VaultError::DataKeyDamaged { data_key };
        let id = wrapped_by(wrapped).ok_or_else(damaged)?;
        if id != self.id {
            return Err(VaultError::WrongRootKey { data_key, expected: id, given: self.id.clone() });
        }
        let ciphertext = wrapped.get(3 + id.len()..).ok_or_else(damaged)?;
        let ciphertext = std::str::from_utf8(ciphertext).map_err(|_| damaged())?;
        if !is_as_written(ciphertext) {
            return Err(damaged());
        }
        let associated = STANDARD.encode(associated_data(&self.id, data_key));
        let mut request = DecryptDataRequest::builder();
        request.associated_data(associated);
        let TransitSettings { mount, key, .. } = &self.settings;
        let answer = data::decrypt(&self.client()?, mount, key, ciphertext, Some(&mut request))
            .await
            .map_err(|error| self.failed("unwrap a data key", &error))?;
        let plain = Zeroizing::new(answer.plaintext);
        let key = Zeroizing::new(STANDARD.decode(plain.as_bytes()).map_err(|_| damaged())?);
        Ok(Zeroizing::new(key.as_slice().try_into().map_err(|_| damaged())?))
    }
}
