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
    #[serde(rename = "key_ops")]
    operations: Option<Vec<String>>,
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
    let (keys, errors) = read_some(set).map_err(|error| vec![error])?;
    match (keys.is_empty(), errors.is_empty()) {
        (_, false) => Err(errors),
        (true, true) => {
            let problem = "the key set has no key for EdDSA, ES256 or RS256 signatures";
            Err(vec![JwksError { position: None, problem }])
        }
        (false, true) => Ok(keys),
    }
}

/// As [`read`], for a set that somebody else keeps: the keys that can be used, and what is wrong with others. An error
/// only if the whole is no key set.
pub fn read_some(set: Value) -> Result<(Vec<VerificationKey>, Vec<JwksError>), JwksError> {
    let whole = |problem| JwksError { position: None, problem };
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
    Ok((keys, errors))
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
        && key.operations.as_ref().is_none_or(|operations| operations.iter().any(|one| one == "verify"));
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
    let key = RS256PublicKey::from_components(&modulus, &exponent)
        .map_err(|_| "`n` and `e` are not an RSA key with the exponent 65537")?;
    key.to_der().map_err(|_| "the key cannot be written as DER")
}

fn decode(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

fn bit_length(number: &[u8]) -> usize {
    let significant = number.iter().position(|byte| *byte != 0).map_or(&[][..], |start| &number[start..]);
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_simple::prelude::*;
    use serde_json::json;

    // Made by OpenSSL 3: each key's parts as a JWK has them, and the `SubjectPublicKeyInfo` that it wrote.
    const ED25519_X: &str = "YTMO0nndzWDuhAmjQVyW3-A2z_g8EnufdjEe1tl-_l4";
    const ED25519_SPKI: &str = "MCowBQYDK2VwAyEAYTMO0nndzWDuhAmjQVyW3+A2z/g8EnufdjEe1tl+/l4=";
    const P256_X: &str = "oBzQ7qv1yNieq72qqBRcaF8mDd3W2PBzAdQKwYpE-3Y";
    const P256_Y: &str = "giqZA_eGco1MqR19_dE_Eit0yQ5z2Vwe1Nc-VANIGIw";
    const P256_SPKI: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEoBzQ7qv1yNieq72qqBRcaF8mDd3W2PBzAdQKwYpE+3aCKpkD94ZyjUypHX390T8SK3TJDnPZXB7U1z5UA0gYjA==";
    const RSA_N: &str = "nvTZ3EPff9_S7-xTOqAKkdlJOVsiXik0OwGWsFFiq8xO_VHkr5mQWgF3k5b26SJGAP0n--QnqAsMSRPIhYqARTaSa8IfyaJmJnxwBEDJrG_iQbvXHhuzdPeIbs__Dpkz5xSNZyUJEXkAiGK767WrzHYknN2PM1fykolwQbG5oYs24z42TLVNCll3LaAQac4Oa9LZK7ETknY2ZsPm2Wqd5O-qm8mDSlP3TOft7x0vc62D-jIpZ18xUPfAgmxSdpuLy7kfLavBl9jQOPEfv-CjD2aYiDbjJE7n6qH6-38_oo7iaEVoE4xsSvCLDa5davc3UYRakTjjD5o9YOO9FehmXw";
    const RSA_SPKI: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAnvTZ3EPff9/S7+xTOqAKkdlJOVsiXik0OwGWsFFiq8xO/VHkr5mQWgF3k5b26SJGAP0n++QnqAsMSRPIhYqARTaSa8IfyaJmJnxwBEDJrG/iQbvXHhuzdPeIbs//Dpkz5xSNZyUJEXkAiGK767WrzHYknN2PM1fykolwQbG5oYs24z42TLVNCll3LaAQac4Oa9LZK7ETknY2ZsPm2Wqd5O+qm8mDSlP3TOft7x0vc62D+jIpZ18xUPfAgmxSdpuLy7kfLavBl9jQOPEfv+CjD2aYiDbjJE7n6qH6+38/oo7iaEVoE4xsSvCLDa5davc3UYRakTjjD5o9YOO9FehmXwIDAQAB";
    const SHORT_RSA_N: &str = "-TgqxrVu9V-RVNhZeuNCtna4BOT56Fm0telgV2SV07pYYQmNoKl3bwiZ2_no2eh95AbViQNLT_GTaOeIL2lvpp62uKLyYuiVqfua4VRI0FSf4uNh-V5uDEv2CtJCfiaZAvoRHm6J6g61kG3oSLr0qYAw2PWi4-yAWojnCoS9XcM";

    fn problem(key: &Value) -> String {
        let errors = read(json!({ "keys": [key] })).expect_err("has a problem");
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn keys_are_written_as_openssl_writes_them() {
        let set = json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "x": ED25519_X, "kid": "one", "use": "sig", "x5t": "ignored" },
            { "kty": "EC", "crv": "P-256", "x": P256_X, "y": P256_Y, "alg": "ES256", "key_ops": ["verify"] },
            { "kty": "RSA", "n": RSA_N, "e": "AQAB", "alg": "RS256", "kid": "one" },
        ] });
        let key = |key_id: Option<&str>, algorithm, spki: &str| VerificationKey {
            key_id: key_id.map(str::to_owned),
            algorithm,
            spki: spki.to_owned(),
        };
        let expected = vec![
            key(Some("one"), Algorithm::EdDsa, ED25519_SPKI),
            key(None, Algorithm::Es256, P256_SPKI),
            key(Some("one"), Algorithm::Rs256, RSA_SPKI),
        ];
        assert_eq!(read(set), Ok(expected));
    }

    /// The very library that the filter verifies with reads the result.
    #[test]
    fn a_token_verifies_with_the_key_as_the_filter_gets_it() {
        let pair = Ed25519KeyPair::generate();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().to_bytes());
        let keys = read(json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }] })).expect("a key");
        let der = STANDARD.decode(&keys[0].spki).expect("Base64");
        let token = pair.sign(Claims::create(Duration::from_mins(1))).expect("signs");
        Ed25519PublicKey::from_der(&der)
            .expect("a key")
            .verify_token::<NoCustomClaims>(&token, None)
            .expect("verifies");
        let other = Ed25519KeyPair::generate().public_key();
        assert!(other.verify_token::<NoCustomClaims>(&token, None).is_err());
    }

    #[test]
    fn keys_for_other_uses_are_left_out() {
        let good = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_X });
        let others = [
            json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB", "use": "enc" }),
            json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB", "alg": "PS256" }),
            json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB", "key_ops": ["encrypt"] }),
            json!({ "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA" }),
            json!({ "kty": "OKP", "crv": "X25519", "x": ED25519_X }),
            json!({ "kty": "later" }),
        ];
        for other in others {
            let keys = read(json!({ "keys": [other, good] })).expect("one good key");
            assert_eq!(keys.len(), 1, "{other}");
            assert_eq!(problem(&other), "the key set has no key for EdDSA, ES256 or RS256 signatures");
        }
    }

    #[test]
    fn bad_keys_are_named() {
        for (key, expected) in [
            (
                json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_X, "d": "x" }),
                "keys[0]: this is a private key",
            ),
            (json!({ "kty": "oct", "k": "AAAA" }), "keys[0]: this is a symmetric key"),
            (json!({ "kty": "RSA", "n": SHORT_RSA_N, "e": "AQAB" }), "keys[0]: an RSA key must have 2048"),
            (json!({ "kty": "RSA", "n": RSA_N, "e": "Aw" }), "keys[0]: `n` and `e` are not"),
            (json!({ "kty": "RSA", "n": RSA_N }), "keys[0]: `n` and `e` must both"),
            (
                json!({ "kty": "EC", "crv": "P-256", "x": P256_X, "y": P256_X }),
                "keys[0]: (`x`, `y`) is not a point",
            ),
            (
                json!({ "kty": "EC", "crv": "P-256", "x": P256_X, "y": "AA" }),
                "keys[0]: `x` and `y` must both",
            ),
            (json!({ "kty": "OKP", "crv": "Ed25519", "x": "AA" }), "keys[0]: `x` is not an Ed25519"),
            (json!({ "kty": "OKP", "crv": "Ed25519", "x": "+/==" }), "keys[0]: `x` is missing or not"),
            (json!({ "kty": 1 }), "keys[0]: this is not a key"),
            (json!("key"), "keys[0]: this is not a key"),
        ] {
            let found = problem(&key);
            assert!(found.starts_with(expected), "{key}: {found}");
        }
        let good = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_X, "kid": "same" });
        let errors = read(json!({ "keys": [good, good] })).expect_err("the same id twice");
        assert_eq!(errors, [JwksError { position: Some(1), problem: "another key has the same `kid`" }]);
        for whole in [json!([]), json!({}), json!({ "keys": {} }), json!({ "keys": [] })] {
            assert_eq!(read(whole).expect_err("no keys")[0].position, None);
        }
        let crowd = json!({ "keys": vec![good; 65] });
        assert_eq!(read(crowd).expect_err("too many")[0].problem, "the key set has more than 64 keys");
    }
}
