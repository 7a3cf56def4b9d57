//! The key pairs that sign access tokens: made, sealed, opened, and shown to those who verify.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwt_simple::common::{HeaderOptions, VerificationOptions};
use jwt_simple::prelude::{
    Audiences, Claims, Duration, ECDSAP256KeyPairLike as _, ECDSAP256PublicKeyLike as _, ES256KeyPair,
    Ed25519KeyPair, EdDSAKeyPairLike as _, EdDSAPublicKeyLike as _, JWTClaims, UnixTimeStamp,
};
use portcullis_wire::secret::SecretText;
use portcullis_wire::watch::{Algorithm, IssuerEntry, VerificationKey};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::clock::{Entropy, Timestamp, random};
use crate::domain::signing::{SigningKeyRow, signer};
use crate::vault::{Place, Vault};

/// RFC 9068.
const TOKEN_TYPE: &str = "at+jwt";

/// The claims that RFC 7519 has no names for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The sign-in that the token comes from.
    pub sid: String,
    pub client_id: String,
    pub scope: String,
}

/// What an access token says.
#[derive(Clone, Debug)]
pub struct AccessToken {
    pub issuer: String,
    /// The one resource.
    pub audience: String,
    /// The member's id.
    pub subject: String,
    pub id: String,
    pub issued_at: Timestamp,
    /// Seconds.
    pub life: u64,
    pub claims: AccessClaims,
}

/// A key pair in memory. Cannot be printed.
pub struct KeyPair {
    id: String,
    pair: Pair,
}

enum Pair {
    Es256(Box<ES256KeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
}

/// A key cannot be opened, or does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing key is not what it was when it was sealed")]
pub struct BrokenKey;

/// RFC 8410, section 7: PKCS #8 around the 32 bytes of an Ed25519 key.
const ED25519_PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

impl KeyPair {
    /// A new pair, and how it is kept.
    pub fn make(
        vault: &Vault,
        algorithm: Algorithm,
        entropy: &dyn Entropy,
        now: Timestamp,
        active_from: Timestamp,
    ) -> SigningKeyRow {
        let id = URL_SAFE_NO_PAD.encode(random::<12>(entropy));
        // Of all 32 bytes, one in four billion is no P-256 key.
        let secret = loop {
            let secret = Zeroizing::new(random::<32>(entropy));
            if Pair::of(algorithm, secret.as_slice(), &id).is_some() {
                break SecretString::from(STANDARD.encode(secret.as_slice()));
            }
        };
        let private_key = vault.seal(&Place::signing_key(&id, algorithm), &secret);
        SigningKeyRow { id, algorithm, private_key, published_at: now, active_from }
    }

    pub fn open(vault: &Vault, row: &SigningKeyRow) -> Result<Self, BrokenKey> {
        let place = Place::signing_key(&row.id, row.algorithm);
        let secret = vault.unseal(&place, &row.private_key).map_err(|_| BrokenKey)?;
        let secret = Zeroizing::new(STANDARD.decode(secret.expose_secret()).map_err(|_| BrokenKey)?);
        let pair = Pair::of(row.algorithm, &secret, &row.id).ok_or(BrokenKey)?;
        Ok(Self { id: row.id.clone(), pair })
    }

    pub fn sign(&self, token: AccessToken) -> Result<SecretText, BrokenKey> {
        let claims = claims(token);
        let options = HeaderOptions { signature_type: Some(TOKEN_TYPE.to_owned()), content_type: None };
        let signed = match &self.pair {
            Pair::Es256(pair) => pair.sign_with_options(claims, &options),
            Pair::EdDsa(pair) => pair.sign_with_options(claims, &options),
        };
        signed.map(SecretText::new).map_err(|_| BrokenKey)
    }

    /// What a token says, if this key has signed it for `issuer` and it has not expired.
    pub fn verify(&self, token: &str, issuer: &str, now: Timestamp) -> Option<JWTClaims<AccessClaims>> {
        let options = VerificationOptions {
            required_signature_type: Some(TOKEN_TYPE.to_owned()),
            allowed_issuers: Some([issuer.to_owned()].into()),
            time_tolerance: Some(Duration::from_secs(0)),
            artificial_time: Some(UnixTimeStamp::from_secs(now.as_millis() / 1000)),
            ..VerificationOptions::default()
        };
        let verified = match &self.pair {
            Pair::Es256(pair) => pair.public_key().verify_token(token, Some(options)),
            Pair::EdDsa(pair) => pair.public_key().verify_token(token, Some(options)),
        };
        verified.ok()
    }

    /// RFC 7517.
    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().public_key().to_bytes_uncompressed();
                let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y),
                    "use": "sig", "alg": "ES256", "kid": self.id})
            }
            Pair::EdDsa(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&pair.public_key().to_bytes()),
                "use": "sig", "alg": "EdDSA", "kid": self.id})
            }
        }
    }

    fn verification_key(&self) -> Option<VerificationKey> {
        let (algorithm, der) = match &self.pair {
            Pair::Es256(pair) => (Algorithm::Es256, pair.public_key().to_der().ok()?),
            Pair::EdDsa(pair) => (Algorithm::EdDsa, pair.public_key().to_der()),
        };
        Some(VerificationKey { key_id: Some(self.id.clone()), algorithm, spki: STANDARD.encode(der) })
    }
}

impl Pair {
    fn of(algorithm: Algorithm, secret: &[u8], id: &str) -> Option<Self> {
        match algorithm {
            Algorithm::Es256 => {
                let pair = ES256KeyPair::from_bytes(secret).ok()?;
                Some(Self::Es256(Box::new(pair.with_key_id(id))))
            }
            Algorithm::EdDsa => {
                let der = Zeroizing::new([ED25519_PKCS8.as_slice(), secret].concat());
                let pair = Ed25519KeyPair::from_der(&der).ok()?;
                Some(Self::EdDsa(Box::new(pair.with_key_id(id))))
            }
            Algorithm::Rs256 => None,
        }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[signing key {}]", self.id)
    }
}

/// Every key that can be opened. One that cannot verifies nothing, which is logged: its tokens are refused.
pub fn open_all(vault: &Vault, rows: &[SigningKeyRow]) -> Vec<KeyPair> {
    rows.iter()
        .filter_map(|row| {
            let opened = KeyPair::open(vault, row);
            if let Err(error) = &opened {
                tracing::error!(key = row.id, %error, "a signing key cannot be opened");
            }
            opened.ok()
        })
        .collect()
}

/// The key that signs at `now`.
pub fn open_signer(vault: &Vault, rows: &[SigningKeyRow], now: Timestamp) -> Result<KeyPair, BrokenKey> {
    KeyPair::open(vault, signer(rows, now).ok_or(BrokenKey)?)
}

/// The document at `/oauth/jwks`.
pub fn key_set(keys: &[KeyPair]) -> Value {
    json!({"keys": keys.iter().map(KeyPair::jwk).collect::<Vec<_>>()})
}

/// The gateway as an issuer, as filters are told about it.
pub fn issuer_entry(public_url: &str, keys: &[KeyPair]) -> IssuerEntry {
    IssuerEntry {
        issuer: public_url.to_owned(),
        audiences: Vec::new(),
        require_at_jwt: true,
        workspace_claim: None,
        claims: Vec::new(),
        accepts_resource: true,
        clock_tolerance: None,
        introspected: false,
        gateway: true,
        keys: keys.iter().filter_map(KeyPair::verification_key).collect(),
    }
}

fn claims(token: AccessToken) -> JWTClaims<AccessClaims> {
    let issued_at = token.issued_at.as_millis() / 1000;
    let mut claims = Claims::with_custom_claims(token.claims, Duration::from_secs(token.life));
    claims.issued_at = Some(UnixTimeStamp::from_secs(issued_at));
    claims.invalid_before = None;
    claims.expires_at = Some(UnixTimeStamp::from_secs(issued_at.saturating_add(token.life)));
    claims.issuer = Some(token.issuer);
    claims.subject = Some(token.subject);
    claims.audiences = Some(Audiences::AsString(token.audience));
    claims.jwt_id = Some(token.id);
    claims
}
