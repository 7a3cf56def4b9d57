//! How the gateway shows a token endpoint who it is.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwt_simple::prelude::{
    Audiences, Claims, Duration, ECDSAP256KeyPairLike as _, ES256KeyPair, Ed25519KeyPair,
    EdDSAKeyPairLike as _, JWTClaims, NoCustomClaims, RS256KeyPair, RSAKeyPairLike as _, UnixTimeStamp,
};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Url, form_urlencoded};

use super::{Authentication, Client};
use crate::clock::{Entropy, Timestamp, random};
use crate::egress::EgressRequest;

/// How long a client assertion can be used, in seconds.
const ASSERTION_LIFETIME: u64 = 60;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The private key is none that can sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is not a private key in PEM of P-256, Ed25519, or RSA with at least 2048 bits")]
pub struct UnreadableKey;

/// A private key of the kinds that `private_key_jwt` signs with.
pub struct SigningKey(Key);

enum Key {
    Es256(Box<ES256KeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
    Rs256(Box<RS256KeyPair>),
}

impl SigningKey {
    /// Reads PKCS #8 in PEM (for RSA also PKCS #1).
    pub fn read(pem: &SecretString) -> Result<Self, UnreadableKey> {
        let pem = pem.expose_secret();
        let key = ES256KeyPair::from_pem(pem).map(|key| Key::Es256(Box::new(key)));
        let key = key.or_else(|_| Ed25519KeyPair::from_pem(pem).map(|key| Key::EdDsa(Box::new(key))));
        let key = key.or_else(|_| RS256KeyPair::from_pem(pem).map(|key| Key::Rs256(Box::new(key))));
        key.map(Self).map_err(|_| UnreadableKey)
    }

    fn sign(self, claims: JWTClaims<NoCustomClaims>, key_id: Option<&str>) -> Result<String, UnreadableKey> {
        let signed = match (self.0, key_id) {
            (Key::Es256(key), None) => key.sign(claims),
            (Key::Es256(key), Some(id)) => key.with_key_id(id).sign(claims),
            (Key::EdDsa(key), None) => key.sign(claims),
            (Key::EdDsa(key), Some(id)) => key.with_key_id(id).sign(claims),
            (Key::Rs256(key), None) => key.sign(claims),
            (Key::Rs256(key), Some(id)) => key.with_key_id(id).sign(claims),
        };
        signed.map_err(|_| UnreadableKey)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Key::Es256(_) => "[ES256 key]",
            Key::EdDsa(_) => "[EdDSA key]",
            Key::Rs256(_) => "[RS256 key]",
        })
    }
}

/// A form on its way to an endpoint that clients authenticate to.
#[derive(Default)]
pub(super) struct Form {
    body: String,
    headers: HeaderMap,
}

impl Form {
    pub(super) fn add(&mut self, name: &str, value: &str) {
        let mut body = form_urlencoded::Serializer::new(std::mem::take(&mut self.body));
        self.body = body.append_pair(name, value).finish();
    }

    /// Adds what `client` is known by to the server of `issuer`.
    pub(super) fn authenticate(
        &mut self,
        client: &Client,
        issuer: &str,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<(), UnreadableKey> {
        let client_id = client.client_id.as_str();
        match &client.authentication {
            Authentication::SecretBasic(secret) => {
                self.headers.insert(header::AUTHORIZATION, basic(client_id, secret));
                return Ok(());
            }
            Authentication::None => {}
            Authentication::SecretPost(secret) => self.add("client_secret", secret.expose_secret()),
            Authentication::PrivateKeyJwt { key, key_id } => {
                let claims = claims(client_id, issuer, entropy, now);
                let assertion = SigningKey::read(key)?.sign(claims, key_id.as_deref())?;
                self.add("client_assertion_type", ASSERTION_TYPE);
                self.add("client_assertion", &assertion);
            }
        }
        self.add("client_id", client_id);
        Ok(())
    }

    pub(super) fn post(self, url: &Url, limit: usize) -> EgressRequest {
        let mut headers = self.headers;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, form);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        EgressRequest { method: Method::POST, url: url.clone(), headers, body: self.body.into(), limit }
    }
}

/// RFC 6749, section 2.3.1: name and password are encoded as in a form before they are put together.
fn basic(client_id: &str, secret: &SecretString) -> HeaderValue {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(client_id), encode(secret.expose_secret()));
    let value = format!("Basic {}", STANDARD.encode(pair));
    let mut value = HeaderValue::try_from(value).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// RFC 7523, section 3, with the issuer as the one audience: a server that names somebody else's token endpoint as
/// its own gets nothing that is of use there.
fn claims(client_id: &str, issuer: &str, entropy: &dyn Entropy, now: Timestamp) -> JWTClaims<NoCustomClaims> {
    let seconds = now.as_millis() / 1000;
    let mut claims = Claims::create(Duration::from_secs(ASSERTION_LIFETIME));
    claims.issued_at = Some(UnixTimeStamp::from_secs(seconds));
    claims.invalid_before = None;
    claims.expires_at = Some(UnixTimeStamp::from_secs(seconds.saturating_add(ASSERTION_LIFETIME)));
    claims.issuer = Some(client_id.to_owned());
    claims.subject = Some(client_id.to_owned());
    claims.audiences = Some(Audiences::AsString(issuer.to_owned()));
    claims.jwt_id = Some(URL_SAFE_NO_PAD.encode(random::<16>(entropy)));
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;
    use serde_json::{Value, json};

    fn authenticated(authentication: Authentication) -> (Option<String>, Vec<(String, String)>) {
        let client = Client { client_id: "a:b c&é".to_owned(), authentication };
        let mut form = Form::default();
        form.add("grant_type", "client_credentials");
        let now = Timestamp::from_seconds(1_000);
        form.authenticate(&client, "https://as.example", &SystemEntropy, now).expect("authenticated");
        let request = form.post(&Url::parse("https://as.example/token").expect("a URL"), 1);
        let header = request.headers.get(header::AUTHORIZATION);
        assert!(header.is_none_or(HeaderValue::is_sensitive));
        let header = header.map(|value| value.to_str().expect("ASCII").to_owned());
        (header, form_urlencoded::parse(&request.body).into_owned().collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn shared_secrets_and_none() {
        let grant = ("grant_type", "client_credentials");
        let (header, body) = authenticated(Authentication::SecretBasic("p:w+/ %".to_owned().into()));
        let expected = STANDARD.encode("a%3Ab+c%26%C3%A9:p%3Aw%2B%2F+%25");
        assert_eq!((header, body), (Some(format!("Basic {expected}")), pairs(&[grant])));
        let (header, body) = authenticated(Authentication::SecretPost("p:w".to_owned().into()));
        assert_eq!(header, None);
        assert_eq!(body, pairs(&[grant, ("client_secret", "p:w"), ("client_id", "a:b c&é")]));
        let (header, body) = authenticated(Authentication::None);
        assert_eq!((header, body), (None, pairs(&[grant, ("client_id", "a:b c&é")])));
    }

    fn assertion(pem: String) -> (Value, Value) {
        let key_id = Some("k1".to_owned());
        let (_, body) = authenticated(Authentication::PrivateKeyJwt { key: pem.into(), key_id });
        let field = |name: &str| body.iter().find(|pair| pair.0 == name).expect(name).1.clone();
        assert_eq!(field("client_assertion_type"), ASSERTION_TYPE);
        let assertion = field("client_assertion");
        let part = |text: &str| {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64")).expect("JSON")
        };
        let mut parts = assertion.split('.');
        (part(parts.next().expect("header")), part(parts.next().expect("claims")))
    }

    #[test]
    fn assertions_are_for_the_issuer_and_for_a_minute() {
        let pem = ES256KeyPair::generate().to_pem().expect("PEM");
        let (header, claims) = assertion(pem.clone());
        assert_eq!((&header["alg"], &header["kid"]), (&json!("ES256"), &json!("k1")));
        assert_eq!(claims["aud"], json!("https://as.example"));
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!("a:b c&é"), &json!("a:b c&é")));
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_000), &json!(1_060)));
        assert!(claims.get("nbf").is_none());
        assert_ne!(claims["jti"], assertion(pem).1["jti"]);
    }

    #[test]
    fn every_kind_of_key() {
        let ed25519 = Ed25519KeyPair::generate().to_pem();
        assert_eq!(assertion(ed25519).0["alg"], json!("EdDSA"));
        let rsa = RS256KeyPair::generate(2048).expect("a key").to_pem().expect("PEM");
        assert_eq!(assertion(rsa).0["alg"], json!("RS256"));
        for bad in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            let error = SigningKey::read(&bad.to_owned().into()).expect_err("no key");
            assert!(!error.to_string().contains("hunter2"));
        }
        let public = ES256KeyPair::generate().public_key().to_pem().expect("PEM");
        assert!(SigningKey::read(&public.into()).is_err());
    }
}
