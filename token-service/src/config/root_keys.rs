//! The sections that say which keys wrap the data keys: `root_key` and `other_root_keys`.

use std::path::PathBuf;

use portcullis_wire::secret::SecretText;
use secrecy::ExposeSecret as _;
use url::Url;

use super::reader::{At, Fields};
use super::{RootKeyConfig, RootKeysConfig, secret};
use crate::domain::auth_text::is_loopback;
use crate::vault::local::key_in;
use crate::vault::transit::{TransitSettings, TransitToken};

const DEFAULT_MOUNT: &str = "transit";
/// Enough for every real name, and short enough for what names the key.
const LONGEST_NAME: usize = 64;

pub(super) fn read(sections: &Fields<'_>) -> Option<RootKeysConfig> {
    let present = sections.require("root_key").and_then(root_key);
    let others: Vec<Option<RootKeyConfig>> = sections.items("other_root_keys").iter().map(root_key).collect();
    let (present, others) = (present?, others.into_iter().collect::<Option<Vec<_>>>()?);
    if others.contains(&present) {
        sections.at().report("root_key is among other_root_keys too", "name each key once");
        return None;
    }
    Some(RootKeysConfig { present, others })
}

fn root_key(at: &At<'_>) -> Option<RootKeyConfig> {
    let fields = at.fields(&["file", "env", "vault"])?;
    match (fields.get("file"), fields.get("env"), fields.get("vault")) {
        (Some(file), None, None) => file.path().map(RootKeyConfig::File),
        (None, Some(name), None) => {
            let name = name.text()?.to_owned();
            // Whatever is wrong with the key itself is known now, and not only at the start.
            let check = |text: &str| key_in(text.as_bytes()).map(drop);
            let key = secret::read(at, check)?;
            Some(RootKeyConfig::Environment { name, key: SecretText::new(key.expose_secret().to_owned()) })
        }
        (None, None, Some(vault)) => transit(vault).map(RootKeyConfig::Transit),
        _ => {
            at.report(
                "a root key is in a file, in the environment or in HashiCorp Vault",
                "write one of {file: path}, {env: NAME} and {vault: {address, key, token}}",
            );
            None
        }
    }
}

fn transit(at: &At<'_>) -> Option<TransitSettings> {
    let fields = at.fields(&["address", "mount", "key", "namespace", "ca", "token"])?;
    let address = fields.require("address").and_then(|at| at.parsed("write https://host:port", address));
    let key = fields.require("key").and_then(name);
    let mount = match fields.get("mount") {
        Some(at) => name(at),
        None => Some(DEFAULT_MOUNT.to_owned()),
    };
    let namespace = match fields.get("namespace") {
        Some(at) => name(at).map(Some),
        None => Some(None),
    };
    let ca = match fields.get("ca") {
        Some(at) => readable(at, "name a readable PEM file").map(Some),
        None => Some(None),
    };
    let token = fields.require("token").and_then(token);
    Some(TransitSettings {
        address: address?,
        mount: mount?,
        key: key?,
        namespace: namespace?,
        ca: ca?,
        token: token?,
    })
}

fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err("it must be https, or http with a loopback host".to_owned());
    }
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if is_plain { Ok(url) } else { Err("it must be scheme, host and port only".to_owned()) }
}

/// Of a mount, key or namespace; those of mounts and namespaces may have several parts.
fn name(at: &At<'_>) -> Option<String> {
    at.parsed("write letters, digits, -, _ and . only, with / between parts", |text| {
        let good_part = |part: &str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !part.is_empty() && part.bytes().all(good) && !part.bytes().all(|byte| byte == b'.')
        };
        let is_good = text.len() <= LONGEST_NAME && text.split('/').all(good_part);
        if is_good { Ok(text.to_owned()) } else { Err("not a name in Vault") }
    })
}

fn token(at: &At<'_>) -> Option<TransitToken> {
    if !at.is_scalar()
        && let Some(file) = at.fields(&["file", "env"])?.get("file")
        && at.fields(&["file", "env"])?.get("env").is_none()
    {
        return readable(file, "name the file that Vault Agent writes its token to").map(TransitToken::File);
    }
    let check = |text: &str| if text.is_empty() { Err("it is empty") } else { Ok(()) };
    let token = secret::read(at, check)?;
    Some(TransitToken::Value(SecretText::new(token.expose_secret().to_owned())))
}

fn readable(at: &At<'_>, remedy: &str) -> Option<PathBuf> {
    let path = at.path()?;
    if let Err(error) = std::fs::File::open(&path) {
        at.report(format_args!("{} cannot be read: {error}", path.display()), remedy);
        return None;
    }
    Some(path)
}
