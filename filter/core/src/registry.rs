//! The registry as the filter looks things up in it: compiled once per change, read on every request.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_wire::digest::Digest;
use portcullis_wire::names::Slug;
use portcullis_wire::watch::{self, Algorithm, IssuerEntry, ServerEntry, Upstream, VerificationKey};

use crate::payload::Views;

/// Servers by slug and issuers by name.
#[derive(Clone, Debug)]
pub struct Registry {
    revision: u64,
    servers: HashMap<Slug, Rc<Server>>,
    issuers: HashMap<String, Issuer>,
    issuers_digest: Digest,
    accepts_opaque_tokens: bool,
}

/// A server that can be reached.
#[derive(Clone, Debug)]
pub struct Server {
    pub id: String,
    pub upstream: Upstream,
    /// What records show of its payloads.
    pub payload: Views,
    /// See [`ServerEntry::tools`].
    tools: Vec<String>,
}

impl Server {
    /// Whether it is known to have this tool, and so the name may become a label of metrics.
    pub fn knows_tool(&self, name: &str) -> bool {
        self.tools.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
    }
}

/// An issuer whose settings and keys are well-formed.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Without its keys.
    entry: Rc<IssuerEntry>,
    settings: Digest,
    keys: Vec<Rc<Key>>,
}

/// A verification key whose DER is decoded and of the algorithm it is declared for.
#[derive(Clone, Debug)]
pub struct Key {
    pub wire: VerificationKey,
    /// Of id, algorithm and DER: the same key under the same id has the same digest in every revision.
    pub digest: Digest,
}

/// An entry that was left out because it cannot be used. The token-service should never have sent it, or is of a later
/// version: log it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// `server linear`, `issuer https://idp.example`, `issuer https://idp.example, key 1`.
    pub entry: String,
    pub why: &'static str,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the registry's {} is left out: {}", self.entry, self.why)
    }
}

impl Registry {
    /// Compiles what a watch reply brought at `revision`, its cursor. An entry that cannot be used is left out alone:
    /// one bad row must not take every server down.
    pub fn compile(wire: watch::Registry, revision: u64) -> (Self, Vec<LeftOut>) {
        let mut left_out = Vec::new();
        let mut servers = HashMap::new();
        for server in wire.servers {
            let fault = match server_fault(&server) {
                None if servers.contains_key(&server.slug) => Some("another server has its slug"),
                fault => fault,
            };
            if let Some(why) = fault {
                left_out.push(LeftOut { entry: format!("server {}", server.slug), why });
                continue;
            }
            let payload = Views::of(&server);
            let ServerEntry { id, slug, upstream, tools, .. } = server;
            servers.insert(slug, Rc::new(Server { id, upstream, payload, tools }));
        }
        let why = "it holds something that this filter does not know; update the filter";
        left_out.extend(wire.unread.into_iter().map(|entry| LeftOut { entry, why }));
        let mut issuers = HashMap::new();
        let mut digests = Vec::new();
        for entry in wire.issuers {
            if entry.issuer.is_empty() || issuers.contains_key(&entry.issuer) {
                let why = "its name is empty or taken by another issuer";
                left_out.push(LeftOut { entry: format!("issuer {}", entry.issuer), why });
                continue;
            }
            let issuer = Issuer::compile(entry, &mut left_out);
            digests.extend(issuer.digests());
            issuers.insert(issuer.entry.issuer.clone(), issuer);
        }
        let parts: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
        let issuers_digest = Digest::of("issuers", &parts);
        let accepts_opaque_tokens = wire.accepts_opaque_tokens;
        (Self { revision, servers, issuers, issuers_digest, accepts_opaque_tokens }, left_out)
    }

    /// The cursor of the watch reply that brought it.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn server(&self, slug: &Slug) -> Option<&Rc<Server>> {
        self.servers.get(slug)
    }

    /// Whether `slug` is that of a server.
    pub fn has_server(&self, slug: &str) -> bool {
        self.servers.contains_key(slug)
    }

    /// Finds an issuer by the exact value of `iss`.
    pub fn issuer(&self, issuer: &str) -> Option<&Issuer> {
        self.issuers.get(issuer)
    }

    /// Equal in two registries whose issuers, with all settings and keys, are equal: what was verified under one is
    /// verified under the other.
    pub fn issuers_digest(&self) -> Digest {
        self.issuers_digest
    }

    /// Whether a bearer token that is no JWT may be one that an issuer can be asked about.
    pub fn accepts_opaque_tokens(&self) -> bool {
        self.accepts_opaque_tokens
    }
}

impl Issuer {
    fn compile(mut entry: IssuerEntry, left_out: &mut Vec<LeftOut>) -> Self {
        let mut keys: Vec<Rc<Key>> = Vec::new();
        for (index, wire) in std::mem::take(&mut entry.keys).iter().enumerate() {
            let fault = match Key::compile(wire) {
                Ok(key) if keys.iter().any(|other| other.same_name(&key)) => {
                    Some("another key of its algorithm has its id")
                }
                Ok(key) => {
                    keys.push(Rc::new(key));
                    None
                }
                Err(why) => Some(why),
            };
            if let Some(why) = fault {
                left_out.push(LeftOut { entry: format!("issuer {}, key {index}", entry.issuer), why });
            }
        }
        // As JSON, so that no setting can be forgotten. A plain struct of strings and numbers: it cannot fail.
        let settings = Digest::of("issuer", &[&serde_json::to_vec(&entry).unwrap_or_default()]);
        Self { entry: Rc::new(entry), settings, keys }
    }

    /// All settings, without the keys.
    pub fn entry(&self) -> &Rc<IssuerEntry> {
        &self.entry
    }

    /// Of [`Self::entry`].
    pub fn settings(&self) -> Digest {
        self.settings
    }

    /// The key that a token names. One that names none means the only key of its algorithm.
    pub fn key(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<&Rc<Key>> {
        let mut fitting = self.keys.iter().filter(|key| {
            key.wire.algorithm == algorithm && key_id.is_none_or(|id| key.wire.key_id.as_deref() == Some(id))
        });
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(key),
            _ => None,
        }
    }

    fn digests(&self) -> impl Iterator<Item = Digest> {
        std::iter::once(self.settings).chain(self.keys.iter().map(|key| key.digest))
    }
}

impl Key {
    fn compile(wire: &VerificationKey) -> Result<Self, &'static str> {
        let der = STANDARD.decode(&wire.spki).map_err(|_| "its spki is not standard Base64")?;
        if !is_key_of(wire.algorithm, &der) {
            return Err("its spki is not a public key of its algorithm (RS256 needs 2048 bits or more)");
        }
        let key_id = wire.key_id.as_deref();
        let digest = Digest::of(
            "verification-key",
            &[
                &[u8::from(key_id.is_some())],
                key_id.unwrap_or_default().as_bytes(),
                wire.algorithm.as_str().as_bytes(),
                &der,
            ],
        );
        Ok(Self { wire: wire.clone(), digest })
    }

    fn same_name(&self, other: &Self) -> bool {
        self.wire.key_id == other.wire.key_id && self.wire.algorithm == other.wire.algorithm
    }
}

/// Whether `der` begins as a `SubjectPublicKeyInfo` of this algorithm does and has its length. The rest is for the
/// library that verifies with it; this keeps a key from being used for an algorithm that is not its own.
fn is_key_of(algorithm: Algorithm, der: &[u8]) -> bool {
    match algorithm {
        // SEQUENCE { SEQUENCE { id-Ed25519 }, BIT STRING of 32 bytes } (RFC 8410)
        Algorithm::EdDsa => {
            der.len() == 44 && der.starts_with(b"\x30\x2A\x30\x05\x06\x03\x2B\x65\x70\x03\x21\x00")
        }
        // SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING with an uncompressed point } (RFC 5480)
        Algorithm::Es256 => {
            let start = b"\x30\x59\x30\x13\x06\x07\x2A\x86\x48\xCE\x3D\x02\x01\
                          \x06\x08\x2A\x86\x48\xCE\x3D\x03\x01\x07\x03\x42\x00\x04";
            der.len() == 91 && der.starts_with(start)
        }
        // SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING } (RFC 3279); 294 bytes at 2048 bits with e = 65537,
        // 292 with e = 3
        Algorithm::Rs256 => {
            let inner = b"\x30\x0D\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01\x05\x00\x03\x82";
            der.len() >= 292
                && der.starts_with(b"\x30\x82")
                && der.get(4..).is_some_and(|rest| rest.starts_with(inner))
        }
    }
}

fn server_fault(server: &ServerEntry) -> Option<&'static str> {
    if server.id.is_empty() {
        return Some("it has no id");
    }
    upstream_fault(&server.upstream)
}

fn upstream_fault(upstream: &Upstream) -> Option<&'static str> {
    let host_characters = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let is_authority = upstream.authority.bytes().all(host_characters)
        && url::Url::parse(&format!("http://{}/", upstream.authority))
            .is_ok_and(|url| url.has_host() && url.path() == "/");
    let path_is_clean = upstream.path.starts_with('/')
        && upstream.path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    match (is_authority, path_is_clean) {
        (false, _) => Some("its upstream authority is not `host` or `host:port`"),
        (_, false) => Some("its upstream path does not start with `/` or holds characters to be escaped"),
        _ => None,
    }
}
