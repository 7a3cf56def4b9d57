//! JSON Web Key Sets (RFC 7517) into the keys that filters verify tokens with.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwt_simple::prelude::{ES256PublicKey, Ed25519PublicKey, RS256PublicKey};
use portcullis_wire::watch::{Algorithm, VerificationKey};
use serde::Deserialize;
use serde_json::Value;

/// What is wrong with a key set: the key's position in it, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct JwksError {
    /// `None` for the set as a whole.
    pub position: Option<usize>,
    pub problem: &'static str,
}

impl fmt::Display for JwksError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(formatter, "keys[{position}]: {}", self.problem),
            None => formatter.write_str(self.problem),
        }
    }
}

/// A modulus shorter than this can be factored; a longer one than the other costs the filter more than it can spend.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
const P256_COORDINATE: usize = 32;
const MAX_KEYS: usize = 64;

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// The members of RFC 7517 and RFC 7518 that matter here. Others are ignored, as section 4 of RFC 7517 asks.
#[derive(Deserialize)]
struct Key {
    kty: String,
    crv: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<Value>,
    k: Option<Value>,
}

/// The keys of a set that can verify signatures: Ed25519, P-256, and RSA with PKCS #1 v1.5 and SHA-256.
///
/// Keys for encryption and for other algorithms are left out, as sets hold them side by side. A private or symmetric
/// key, a weak one, a malformed one, two with the same id, and a set without any usable key are errors.
pub fn read(set: Value) -> Result<Vec<VerificationKey>, Vec<JwksError>> {
    let whole = |problem| vec![JwksError { position: None, problem }];
    let set: KeySet = serde_json::from_value(set)
        .map_err(|_| whole("this is not a key set: an object with a list `keys`"))?;
    if set.keys.len() > MAX_KEYS {
        return Err(whole("the key set has more than 64 keys"));
    }
    let mut keys: Vec<VerificationKey> = Vec::new();
    let mut errors = Vec::new();
    let mut key_ids = BTreeSet::new();
    for (position, key) in set.keys.into_iter().enumerate() {
        match read_key(key) {
            Ok(Some(key))
                if key.key_id.is_some() && !key_ids.insert((key.algorithm.as_str(), key.key_id.clone())) =>
            {
                errors
                    .push(JwksError { position: Some(position), problem: "another key has the same `kid`" });
            }
            Ok(Some(key)) => keys.push(key),
            Ok(None) => {}
            Err(problem) => errors.push(JwksError { position: Some(position), problem }),
        }
    }
    match (keys.is_empty(), errors.is_empty()) {
        (_, false) => Err(errors),
        (true, true) => Err(whole("the key set has no key for EdDSA, ES256 or RS256 signatures")),
        (false, true) => Ok(keys),
    }
}

/// `None` for a key that is sound but of no use here.
fn read_key(key: Value) -> Result<Option<VerificationKey>, &'static str> {
    let key: Key = serde_json::from_value(key).map_err(|_| "this is not a key (RFC 7517)")?;
    if key.d.is_some() {
        return Err("this is a private key; give the public part only, and treat the private one as stolen");
    }
    if key.k.is_some() || key.kty == "oct" {
        return Err("this is a symmetric key; only public keys can be used");
    }
    let signs = key.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
        && key.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|one| one == "verify"));
    if !signs {
        return Ok(None);
    }
    let named = |names: &[&str]| key.alg.as_deref().is_none_or(|algorithm| names.contains(&algorithm));
    let (algorithm, der) = match (key.kty.as_str(), key.crv.as_deref()) {
        // RFC 9864 calls the same algorithm by the name of its curve.
        ("OKP", Some("Ed25519")) if named(&["EdDSA", "Ed25519"]) => (Algorithm::EdDsa, ed25519(&key)?),
        ("EC", Some("P-256")) if named(&["ES256"]) => (Algorithm::Es256, p256(&key)?),
        ("RSA", _) if named(&["RS256"]) => (Algorithm::Rs256, rsa(&key)?),
        _ => return Ok(None),
    };
    Ok(Some(VerificationKey { key_id: key.kid, algorithm, spki: STANDARD.encode(der) }))
}

fn ed25519(key: &Key) -> Result<Vec<u8>, &'static str> {
    let point = decode(key.x.as_deref()).ok_or("`x` is missing or not Base64url (RFC 8037)")?;
    let key = Ed25519PublicKey::from_bytes(&point).map_err(|_| "`x` is not an Ed25519 public key")?;
    Ok(key.to_der())
}

fn p256(key: &Key) -> Result<Vec<u8>, &'static str> {
    let coordinate = |text: Option<&str>| decode(text).filter(|bytes| bytes.len() == P256_COORDINATE);
    let (Some(x), Some(y)) = (coordinate(key.x.as_deref()), coordinate(key.y.as_deref())) else {
        return Err("`x` and `y` must both be 32 bytes in Base64url (RFC 7518, 6.2)");
    };
    let uncompressed: Vec<u8> = std::iter::once(4).chain(x).chain(y).collect();
    let key = ES256PublicKey::from_bytes(&uncompressed).map_err(|_| "(`x`, `y`) is not a point of P-256")?;
    key.to_der().map_err(|_| "the key cannot be written as DER")
}

fn rsa(key: &Key) -> Result<Vec<u8>, &'static str> {
    let (Some(modulus), Some(exponent)) = (decode(key.n.as_deref()), decode(key.e.as_deref())) else {
        return Err("`n` and `e` must both be numbers in Base64url (RFC 7518, 6.3)");
    };
    let bits = bit_length(&modulus);
    if !RSA_BITS.contains(&bits) {
        return Err("an RSA key must have 2048 to 4096 bits");
    }
    let key =
        RS256PublicKey::from_components(&modulus, &exponent).map_err(|_| "`n` and `e` are not an RSA key")?;
    key.to_der().map_err(|_| "the key cannot be written as DER")
}

fn decode(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

fn bit_length(number: &[u8]) -> usize {
    let significant = number.iter().position(|byte| *byte != 0).map_or(&[][..], |start| &number[start..]);
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}
