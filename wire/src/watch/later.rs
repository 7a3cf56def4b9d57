//! Reading a watch reply that a later version has written.
//!
//! What is not known here is taken for the most that it could take away: an issuer or a key is left out, a payload is not
//! shown, everything is forgotten.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Invalidation, IssuerEntry, PayloadPolicy, Registry, ServerEntry};
use crate::payload::{Capture, DEFAULT_LIMIT, Redaction};

/// A [`Registry`] whose issuers have yet to be read, each for itself.
#[derive(Deserialize)]
pub(super) struct ReadRegistry {
    servers: Vec<ServerEntry>,
    issuers: Vec<Value>,
    #[serde(default)]
    accepts_opaque_tokens: bool,
}

impl From<ReadRegistry> for Registry {
    fn from(read: ReadRegistry) -> Self {
        let mut unread = Vec::new();
        let issuers = read.issuers.into_iter().filter_map(|entry| issuer(entry, &mut unread)).collect();
        let ReadRegistry { servers, accepts_opaque_tokens, .. } = read;
        Self { servers, issuers, accepts_opaque_tokens, unread }
    }
}

/// One issuer with the keys that are known as a whole; `None` if it is not.
fn issuer(mut entry: Value, unread: &mut Vec<String>) -> Option<IssuerEntry> {
    let name = format!("issuer {}", entry.get("issuer").and_then(Value::as_str).unwrap_or_default());
    if let Some(keys) = entry.get_mut("keys").and_then(Value::as_array_mut) {
        let mut index = 0_usize;
        keys.retain(|key| {
            let is_known = super::VerificationKey::deserialize(key).is_ok();
            if !is_known {
                unread.push(format!("{name}, key {index}"));
            }
            index = index.saturating_add(1);
            is_known
        });
    }
    let read = IssuerEntry::deserialize(entry).ok();
    if read.is_none() {
        unread.push(name);
    }
    read
}

pub(super) fn payload<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PayloadPolicy, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(PayloadPolicy::deserialize(value).unwrap_or(PayloadPolicy::Off))
}

pub(super) fn capture<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Capture>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let nothing = Capture { policy: PayloadPolicy::Off, limit: DEFAULT_LIMIT, redact: Redaction::default() };
    Ok(Option::<Capture>::deserialize(value).unwrap_or(Some(nothing)))
}

/// An [`Invalidation`] of any kind.
#[derive(Deserialize)]
pub(super) struct ReadInvalidation {
    kind: String,
    #[serde(default)]
    id: Value,
}

impl TryFrom<ReadInvalidation> for Invalidation {
    type Error = &'static str;

    fn try_from(read: ReadInvalidation) -> Result<Self, Self::Error> {
        let named: fn(String) -> Self = match read.kind.as_str() {
            "member" => Self::Member,
            "key" => Self::Key,
            "session" => Self::Session,
            "workspace" => Self::Workspace,
            "server" => Self::Server,
            "connection" => Self::Connection,
            _ => return Ok(Self::All),
        };
        match read.id {
            Value::String(id) => Ok(named(id)),
            _ => Err("an invalidation names no id"),
        }
    }
}
