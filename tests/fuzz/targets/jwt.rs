//! JSON Web Tokens: header and claims on a line each, or a token as it is; the signature always fits, so that all of the
//! claims are read. Nobody is known by what no issuer says.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use portcullis_filter_core::exchange::SignatureVerifier;
use portcullis_filter_core::identity::bearer::find;
use portcullis_filter_core::identity::{Expectations, Identity, Presented, VerifiedTokens};
use portcullis_filter_core::registry::Registry;
use portcullis_wire::watch::{self, Algorithm, IssuerEntry, VerificationKey};

const NOW_MS: u64 = 1_800_000_000_000;
const RESOURCE: &str = "https://gw.example/linear/mcp";
const ISSUER: &str = "https://idp.example";
/// The `SubjectPublicKeyInfo` of an Ed25519 key, up to the key.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

struct Everything;

impl SignatureVerifier for Everything {
    fn verify(&self, _token: &str, _key: &VerificationKey) -> bool {
        true
    }
}

fn registry() -> Registry {
    let mut spki = SPKI.to_vec();
    spki.extend([0x58]);
    spki.extend([0x66; 31]);
    let key = VerificationKey {
        key_id: Some("e".into()),
        algorithm: Algorithm::EdDsa,
        spki: STANDARD.encode(spki),
    };
    let issuer = IssuerEntry { issuer: ISSUER.into(), keys: vec![key], ..IssuerEntry::default() };
    Registry::compile(watch::Registry { issuers: vec![issuer], ..Default::default() }, 1).0
}

fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let token = match (lines.next(), lines.next()) {
        (Some(header), Some(claims)) => {
            let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            format!("{}.{}.{}", part(header), part(claims), part(&[0; 64])).into_bytes()
        }
        _ => data.to_vec(),
    };
    let headers = vec![(b"authorization".to_vec(), [b"Bearer ", &token[..]].concat())];
    let Ok(credential) = find(&headers) else { return };
    let Presented::Token(text) = &credential.presented else { return };
    let registry = registry();
    let expected = Expectations { registry: &registry, resource: RESOURCE, now_ms: NOW_MS };
    let mut tokens = VerifiedTokens::new(10, 50);
    if let Ok(Identity::Verified(token)) = tokens.verify(text, credential.digest, &expected, &Everything) {
        assert_eq!(token.issuer.issuer, ISSUER);
        assert!(!token.subject.is_empty());
    }
});
