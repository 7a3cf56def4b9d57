//! The company's identity provider, as far as the gateway sees it: a public key, and tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{
    Claims, Duration, Ed25519KeyPair, EdDSAKeyPairLike as _, JWTClaims, NoCustomClaims,
};
use serde_json::{Value, json};

use crate::seed::{ISSUER, SUBJECT};

/// The audience of the gateway.
pub const AUDIENCE: &str = "portcullis";

/// Signs tokens with a key of its own.
#[derive(Debug)]
pub struct IdentityProvider {
    key: Ed25519KeyPair,
}

impl Default for IdentityProvider {
    fn default() -> Self {
        Self { key: Ed25519KeyPair::generate().with_key_id(KEY_ID) }
    }
}

const KEY_ID: &str = "key-1";

impl IdentityProvider {
    /// The `issuers` section of `portcullis.yaml` that trusts this provider.
    pub fn issuers(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key().to_bytes());
        let key =
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": x});
        json!([{"issuer": ISSUER, "audiences": [AUDIENCE], "jwks": {"keys": [key]}}])
    }

    /// The claims of a good token for the seeded member; spoil them before signing.
    pub fn claims(&self) -> JWTClaims<NoCustomClaims> {
        Claims::create(Duration::from_mins(5))
            .with_issuer(ISSUER)
            .with_subject(SUBJECT)
            .with_audience(AUDIENCE)
    }

    /// Signs a header and claims as they are written, which no library would.
    pub fn sign_written(&self, header: &[u8], claims: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.key_pair().as_ref().sk.sign(&signed, None);
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(*signature))
    }

    /// A token with claims beyond those of [`Self::claims`].
    pub fn sign_claims(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "kid": KEY_ID, "typ": "JWT"});
        self.sign_written(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// # Panics
    /// If signing fails.
    pub fn sign(&self, claims: JWTClaims<NoCustomClaims>) -> String {
        self.key.sign(claims).expect("a token")
    }
}
