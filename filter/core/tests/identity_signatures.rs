//! Real signatures of all three algorithms, made and checked by `jwt-simple`; and tokens nobody thought of.
#![cfg(not(target_family = "wasm"))]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jwt_simple::prelude::*;
use portcullis_filter_core::exchange::SignatureVerifier;
use portcullis_filter_core::identity::bearer::find;
use portcullis_filter_core::identity::{Expectations, Fault, Identity, Presented, VerifiedTokens};
use portcullis_filter_core::registry::Registry;
use portcullis_wire::watch::{self, Algorithm, IssuerEntry, VerificationKey};
use proptest::prelude::*;

const NOW: u64 = 1_800_000_000;
const RESOURCE: &str = "https://gw.example/linear/mcp";

struct Keys {
    ed25519: Ed25519KeyPair,
    p256: ES256KeyPair,
    rsa: RS256KeyPair,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    ed25519: Ed25519KeyPair::generate().with_key_id("e"),
    p256: ES256KeyPair::generate().with_key_id("p"),
    rsa: RS256KeyPair::generate(2048).expect("a key").with_key_id("r"),
});

fn registry() -> Registry {
    let key = |id: &str, algorithm, der: Vec<u8>| VerificationKey {
        key_id: Some(id.into()),
        algorithm,
        spki: STANDARD.encode(der),
    };
    let keys = vec![
        key("e", Algorithm::EdDsa, KEYS.ed25519.public_key().to_der()),
        key("p", Algorithm::Es256, KEYS.p256.public_key().to_der().expect("DER")),
        key("r", Algorithm::Rs256, KEYS.rsa.public_key().to_der().expect("DER")),
    ];
    let issuer = IssuerEntry { issuer: "https://idp.example".into(), keys, ..IssuerEntry::default() };
    let (registry, left_out) =
        Registry::compile(watch::Registry { issuers: vec![issuer], ..Default::default() }, 1);
    assert_eq!(left_out, [], "real keys are taken");
    registry
}

fn claims() -> JWTClaims<NoCustomClaims> {
    let mut claims = Claims::create(Duration::from_secs(1))
        .with_issuer("https://idp.example")
        .with_subject("u1")
        .with_audience(RESOURCE);
    claims.issued_at = Some(Duration::from_secs(NOW));
    claims.invalid_before = Some(Duration::from_secs(NOW));
    claims.expires_at = Some(Duration::from_secs(NOW + 300));
    claims
}

struct Real;

impl SignatureVerifier for Real {
    fn verify(&self, token: &str, key: &VerificationKey) -> bool {
        let der = STANDARD.decode(&key.spki).expect("compiled before");
        let options =
            VerificationOptions { artificial_time: Some(Duration::from_secs(NOW)), ..Default::default() };
        let options = Some(options);
        match key.algorithm {
            Algorithm::EdDsa => Ed25519PublicKey::from_der(&der)
                .and_then(|key| key.verify_token::<NoCustomClaims>(token, options))
                .is_ok(),
            Algorithm::Es256 => ES256PublicKey::from_der(&der)
                .and_then(|key| key.verify_token::<NoCustomClaims>(token, options))
                .is_ok(),
            Algorithm::Rs256 => RS256PublicKey::from_der(&der)
                .and_then(|key| key.verify_token::<NoCustomClaims>(token, options))
                .is_ok(),
        }
    }
}

/// From the header to the verdict.
fn verdict(token: &str, registry: &Registry) -> Result<String, Fault> {
    let headers = vec![(b"authorization".to_vec(), format!("Bearer {token}").into_bytes())];
    let credential = find(&headers)?;
    let Presented::Token(text) = &credential.presented else { panic!("a token") };
    let expected = Expectations { registry, resource: RESOURCE, now_ms: NOW * 1_000 };
    let mut tokens = VerifiedTokens::new(10, 50);
    match tokens.verify(text, credential.digest, &expected, &Real)? {
        Identity::Verified(token) => Ok(token.subject.clone()),
        other => panic!("verified here, not {other:?}"),
    }
}

fn tokens() -> Vec<(&'static str, String)> {
    vec![
        ("EdDSA", KEYS.ed25519.sign(claims()).expect("signed")),
        ("ES256", KEYS.p256.sign(claims()).expect("signed")),
        ("RS256", KEYS.rsa.sign(claims()).expect("signed")),
    ]
}

#[test]
fn real_tokens_are_verified_and_changed_ones_are_not() {
    let registry = registry();
    for (algorithm, token) in tokens() {
        assert_eq!(verdict(&token, &registry), Ok("u1".into()), "{algorithm}");

        let mut parts: Vec<String> = token.split('.').map(ToOwned::to_owned).collect();
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(&parts[1]).expect("base64url")).expect("UTF-8");
        parts[1] = URL_SAFE_NO_PAD.encode(text.replace("u1", "u2"));
        assert_eq!(verdict(&parts.join("."), &registry), Err(Fault::BadSignature), "{algorithm}");
    }
}

#[test]
fn a_signature_of_another_key_or_algorithm_is_refused() {
    let registry = registry();
    let stranger = Ed25519KeyPair::generate().with_key_id("e").sign(claims()).expect("signed");
    assert_eq!(verdict(&stranger, &registry), Err(Fault::BadSignature));
    let confused = HS256Key::from_bytes(&KEYS.rsa.public_key().to_der().expect("DER"))
        .with_key_id("r")
        .authenticate(claims())
        .expect("signed");
    assert_eq!(verdict(&confused, &registry), Err(Fault::AlgorithmNotAllowed));
    let signatures: Vec<String> =
        tokens().into_iter().map(|(_, token)| token.rsplit_once('.').expect("parts").1.to_owned()).collect();
    let (input, _) =
        tokens().remove(0).1.rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("parts");
    for signature in &signatures[1..] {
        assert_eq!(verdict(&format!("{input}.{signature}"), &registry), Err(Fault::BadSignature));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_token_is_accepted(which in 0_usize..3, position in any::<prop::sample::Index>(), new in "[A-Za-z0-9_.-]") {
        static SIGNED: LazyLock<Vec<(&str, String)>> = LazyLock::new(tokens);
        let token = SIGNED[which].1.clone();
        let position = position.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(position..=position, &new);
        prop_assume!(changed != token);
        prop_assert!(verdict(&changed, &registry()).is_err());
    }

    #[test]
    fn any_text_is_judged_without_panic(header in ".{0,40}", claims in ".{0,40}", rest in "[ -~]{0,80}") {
        let registry = registry();
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.{}", encode(&header), encode(&claims), encode(&rest));
        prop_assert!(verdict(&token, &registry).is_err());
    }

    #[test]
    fn any_json_is_judged_without_panic(
        alg in prop::sample::select(vec!["\"EdDSA\"", "\"none\"", "null", "[]"]),
        aud in prop::sample::select(vec!["\"https://gw.example/linear/mcp\"", "[]", "[1]", "{}"]),
        exp in any::<i64>(),
        extra in "[a-zA-Z]{1,4}",
    ) {
        let header = format!(r#"{{"alg":{alg},"kid":"e","{extra}":1}}"#);
        let claims = format!(r#"{{"iss":"https://idp.example","sub":"u","aud":{aud},"exp":{exp},"{extra}":{{}}}}"#);
        let token = [header, claims].map(|text| URL_SAFE_NO_PAD.encode(text)).join(".");
        let token = format!("{token}.{}", URL_SAFE_NO_PAD.encode([0; 64]));
        prop_assert!(verdict(&token, &registry()).is_err());
    }
}
