//! Judging tokens: hostile ones one by one, and good ones over their life. Signatures are made up here, so that the
//! same tests run natively and on wasm32; `identity_signatures.rs` has real ones.

use std::cell::Cell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use portcullis_filter_core::exchange::SignatureVerifier;
use portcullis_filter_core::identity::{Expectations, Fault, VerifiedToken, VerifiedTokens};
use portcullis_filter_core::registry::Registry;
use std::collections::BTreeMap;

use portcullis_wire::digest::Digest;
use portcullis_wire::lease::CallerProof;
use portcullis_wire::secret::SecretText;
use portcullis_wire::watch::{self, Algorithm, IssuerEntry, VerificationKey};
use wasm_bindgen_test::wasm_bindgen_test;

const NOW: u64 = 1_800_000_000;
const RESOURCE: &str = "https://gw.example/linear/mcp";
const HEADER: &str = r#"{"alg":"EdDSA","kid":"k1","typ":"JWT"}"#;

fn spki(algorithm: Algorithm, filler: u8) -> Vec<u8> {
    let (start, length): (&[u8], usize) = match algorithm {
        Algorithm::EdDsa => (b"\x30\x2A\x30\x05\x06\x03\x2B\x65\x70\x03\x21\x00", 44),
        Algorithm::Es256 => (
            b"\x30\x59\x30\x13\x06\x07\x2A\x86\x48\xCE\x3D\x02\x01\x06\x08\x2A\x86\x48\xCE\x3D\x03\x01\x07\x03\x42\x00\x04",
            91,
        ),
        Algorithm::Rs256 => (
            b"\x30\x82\x01\x22\x30\x0D\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01\x05\x00\x03\x82\x01\x0F\x00",
            294,
        ),
    };
    let mut der = start.to_vec();
    der.resize(length, filler);
    der
}

fn key(key_id: Option<&str>, algorithm: Algorithm, filler: u8) -> VerificationKey {
    VerificationKey {
        key_id: key_id.map(str::to_owned),
        algorithm,
        spki: STANDARD.encode(spki(algorithm, filler)),
    }
}

fn issuer(name: &str, keys: Vec<VerificationKey>) -> IssuerEntry {
    IssuerEntry {
        issuer: name.into(),
        audiences: vec![],
        require_at_jwt: false,
        workspace_claim: None,
        claims: vec![],
        accepts_resource: false,
        clock_tolerance: None,
        introspected: false,
        gateway: false,
        keys,
    }
}

/// Tokens for one resource come from `idp`, tokens for an audience from `corp`; `two` has two keys of one algorithm.
fn issuers() -> Vec<IssuerEntry> {
    vec![
        issuer(
            "https://idp.example",
            vec![
                key(Some("k1"), Algorithm::EdDsa, 1),
                key(Some("k2"), Algorithm::Es256, 2),
                key(Some("k3"), Algorithm::Rs256, 3),
            ],
        ),
        IssuerEntry {
            audiences: vec!["portcullis".into(), "gateway".into()],
            require_at_jwt: true,
            workspace_claim: Some("team".into()),
            ..issuer("https://corp.example", vec![key(None, Algorithm::EdDsa, 4)])
        },
        issuer(
            "https://two.example",
            vec![key(Some("a"), Algorithm::EdDsa, 5), key(Some("b"), Algorithm::EdDsa, 6)],
        ),
    ]
}

fn registry(issuers: Vec<IssuerEntry>, revision: u64) -> Registry {
    let (registry, left_out) = Registry::compile(watch::Registry { issuers, ..Default::default() }, revision);
    assert_eq!(left_out, []);
    registry
}

/// A signature that only the holder of `filler` could make, if this were cryptography.
fn signature(input: &str, algorithm: Algorithm, filler: u8) -> Vec<u8> {
    let length = if algorithm == Algorithm::Rs256 { 256 } else { 64 };
    let digest = Digest::of("signature", &[input.as_bytes(), &spki(algorithm, filler)]);
    digest.as_bytes().repeat(length / 32)
}

fn sign(header: &str, claims: &str, algorithm: Algorithm, filler: u8) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(signature(&input, algorithm, filler));
    format!("{input}.{signature}")
}

fn claims(aud: &str, exp: u64, more: &str) -> String {
    format!(r#"{{"iss":"https://idp.example","sub":"u1","aud":{aud},"exp":{exp}{more}}}"#)
}

fn good_claims() -> String {
    claims(&format!("\"{RESOURCE}\""), NOW + 300, "")
}

#[derive(Default)]
struct Checker {
    checks: Cell<u32>,
}

impl SignatureVerifier for Checker {
    fn verify(&self, token: &str, key: &VerificationKey) -> bool {
        self.checks.set(self.checks.get() + 1);
        let (input, signature_part) = token.rsplit_once('.').expect("judged before");
        let spki = STANDARD.decode(&key.spki).expect("compiled before");
        let filler = *spki.last().expect("not empty");
        URL_SAFE_NO_PAD.encode(signature(input, key.algorithm, filler)) == signature_part
    }
}

/// A worker's part in all this, with a clock that tests set.
struct Worker {
    tokens: VerifiedTokens,
    registry: Registry,
    checker: Checker,
    now_ms: u64,
}

impl Worker {
    fn new() -> Self {
        Self {
            tokens: VerifiedTokens::new(100, 50),
            registry: registry(issuers(), 1),
            checker: Checker::default(),
            now_ms: NOW * 1_000,
        }
    }

    fn verify_at(&mut self, token: &str, resource: &str) -> Result<Rc<VerifiedToken>, Fault> {
        let digest = Digest::of("credential", &[token.as_bytes()]);
        let expected = Expectations { registry: &self.registry, resource, now_ms: self.now_ms };
        self.tokens.verify(&SecretText::new(token.to_owned()), digest, &expected, &self.checker)
    }

    fn verify(&mut self, token: &str) -> Result<Rc<VerifiedToken>, Fault> {
        self.verify_at(token, RESOURCE)
    }

    fn checks(&self) -> u32 {
        self.checker.checks.get()
    }
}

/// The verdict on a token that has the signature of k1, and that it was reached without a look at the signature if it
/// is a refusal.
fn verdict(header: &str, claims: &str) -> Result<Rc<VerifiedToken>, Fault> {
    let mut worker = Worker::new();
    let verdict = worker.verify(&sign(header, claims, Algorithm::EdDsa, 1));
    if verdict.is_err() {
        assert_eq!(worker.checks(), 0, "{header} {claims} cost a verification");
    }
    verdict
}

fn with_header(header: &str) -> Option<Fault> {
    verdict(header, &good_claims()).err()
}

fn with_claims(claims: &str) -> Option<Fault> {
    verdict(HEADER, claims).err()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_good_token_of_every_algorithm() {
    for (alg, kid, algorithm, filler) in [
        ("EdDSA", "k1", Algorithm::EdDsa, 1),
        ("ES256", "k2", Algorithm::Es256, 2),
        ("RS256", "k3", Algorithm::Rs256, 3),
    ] {
        let header = format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#);
        let token = sign(&header, &good_claims(), algorithm, filler);
        let verified = Worker::new().verify(&token).expect(alg);
        assert_eq!(
            verified.proof(),
            CallerProof::Jwt {
                issuer: "https://idp.example".into(),
                subject: "u1".into(),
                workspace_claim: None,
                audiences: vec![],
                issued_at: None,
                claims: BTreeMap::new(),
                expires_at: NOW + 300
            }
        );
        let forged = sign(&header, &good_claims(), algorithm, filler + 1);
        assert_eq!(Worker::new().verify(&forged), Err(Fault::BadSignature), "{alg}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn algorithms_are_the_keys_own() {
    for alg in ["none", "None", "nOnE", "HS256", "RS512", "ES256K", "eddsa", "Ed25519"] {
        let header = format!(r#"{{"alg":"{alg}","kid":"k1"}}"#);
        assert_eq!(with_header(&header), Some(Fault::AlgorithmNotAllowed), "{alg}");
    }
    for alg in [r#"["EdDSA"]"#, "1", "null", "{}", r#""""#] {
        assert_eq!(
            with_header(&format!(r#"{{"alg":{alg},"kid":"k1"}}"#)),
            Some(Fault::BadTokenHeader),
            "{alg}"
        );
    }
    assert_eq!(with_header(r#"{"kid":"k1"}"#), Some(Fault::BadTokenHeader));
    assert_eq!(with_header(r#"{"alg":"ES256","kid":"k1"}"#), Some(Fault::UnknownKey));
    assert_eq!(with_header(r#"{"alg":"EdDSA","kid":"k2"}"#), Some(Fault::UnknownKey));
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_that_ask_for_more() {
    for more in [
        r#""crit":["exp"]"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
        r#""enc":"A256GCM""#,
        r#""Alg":"none""#,
        r#""KID":"k2""#,
        r#""alg":"none""#,
        r#""\u0061lg":"none""#,
        r#""kid":"k2""#,
    ] {
        let header = format!(r#"{{"alg":"EdDSA","kid":"k1",{more}}}"#);
        assert_eq!(with_header(&header), Some(Fault::BadTokenHeader), "{more}");
    }
    for offer in [r#""jku":"https://evil.example/jwks""#, r#""x5u":"u""#, r#""x5c":["c"]"#, r#""jwk":{}"#] {
        let header = |kid| format!(r#"{{"alg":"EdDSA","kid":"{kid}",{offer}}}"#);
        assert_eq!(with_header(&header("k1")), None, "{offer} is ignored");
        assert_eq!(with_header(&header("k9")), Some(Fault::UnknownKey), "{offer} offers no key");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn key_ids_are_looked_up_exactly() {
    for kid in ["k9", "K1", "k1 ", "../../k1", "k1' OR '1'='1", "https://evil.example/k1", &"k".repeat(3_000)]
    {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#);
        assert_eq!(with_header(&header), Some(Fault::UnknownKey), "{kid}");
    }
    for kid in ["1", "null", "[]", r#""""#] {
        let header = format!(r#"{{"alg":"EdDSA","kid":{kid}}}"#);
        assert_eq!(with_header(&header), Some(Fault::BadTokenHeader), "{kid}");
    }
    assert_eq!(with_header(r#"{"alg":"EdDSA"}"#), None, "the issuer has one EdDSA key");
    let two = good_claims().replace("idp", "two");
    assert_eq!(verdict(r#"{"alg":"EdDSA"}"#, &two).err(), Some(Fault::UnknownKey));
    let token = sign(r#"{"alg":"EdDSA","kid":"b"}"#, &two, Algorithm::EdDsa, 6);
    assert!(Worker::new().verify(&token).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn shapes() {
    let token = sign(HEADER, &good_claims(), Algorithm::EdDsa, 1);
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let (header, payload) = input.split_once('.').expect("three parts");
    let padded = format!("{}.{payload}.{signature}", URL_SAFE.encode(HEADER));
    assert!(padded.contains('='));
    // The last character of 64 bytes in base64url carries four bits that have to be 0.
    let mut not_canonical = token.clone();
    let last = not_canonical.pop().expect("not empty");
    not_canonical.push(char::from(last as u8 + 1));
    for (text, expected) in [
        (String::new(), Fault::NotAToken),
        ("opaque-token".into(), Fault::NotAToken),
        (".".repeat(100), Fault::NotAToken),
        ("..".into(), Fault::NotAToken),
        (input.into(), Fault::NotAToken),
        (format!("{token}."), Fault::NotAToken),
        (format!("{header}..iv.{payload}.{signature}"), Fault::NotAToken),
        (format!("{token}="), Fault::NotAToken),
        (padded, Fault::NotAToken),
        (not_canonical, Fault::NotAToken),
        (format!("{token} "), Fault::NotAToken),
        (token.replace(header, &format!("{header}+")), Fault::NotAToken),
        (format!(r#"{{"payload":"{payload}","signature":"{signature}"}}"#), Fault::NotAToken),
        (format!("{input}."), Fault::BadSignature),
        (format!("{input}.{}", &signature[..84]), Fault::BadSignature),
        (format!("{input}.{signature}AAAA"), Fault::BadSignature),
        (format!("{input}.{}", URL_SAFE_NO_PAD.encode([0; 65])), Fault::BadSignature),
        ("a".repeat(8 * 1024 + 1), Fault::CredentialTooLong),
        (sign("[]", &good_claims(), Algorithm::EdDsa, 1), Fault::BadTokenHeader),
        (sign("\"x\"", &good_claims(), Algorithm::EdDsa, 1), Fault::BadTokenHeader),
        (sign(HEADER, &token, Algorithm::EdDsa, 1), Fault::BadTokenClaims),
        (sign(HEADER, "[]", Algorithm::EdDsa, 1), Fault::BadTokenClaims),
        (sign(HEADER, "", Algorithm::EdDsa, 1), Fault::NotAToken),
    ] {
        let mut worker = Worker::new();
        assert_eq!(worker.verify(&text), Err(expected), "{text}");
        assert_eq!(worker.checks(), 0, "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn claims_are_read_strictly() {
    for more in [
        r#","sub":"u2""#,
        r#","\u0073ub":"u2""#,
        r#","Sub":"u2""#,
        r#","SUB":"u2""#,
        r#","Aud":"x""#,
        r#","EXP":1"#,
        r#","Iss":"x""#,
        r#","x":{"a":1,"a":2}"#,
        r#","nbf":"1""#,
        r#","nbf":1.5"#,
        r#","nbf":null"#,
        r#","nbf":-1"#,
        r#","iat":"1""#,
        r#","iat":true"#,
    ] {
        let claims = claims(&format!("\"{RESOURCE}\""), NOW + 300, more);
        assert_eq!(with_claims(&claims), Some(Fault::BadTokenClaims), "{more}");
    }
    for sub in ["", "1", "null", "[]", "{}", r#""""#, r#"["u1"]"#] {
        let claims = good_claims().replace(
            r#""sub":"u1","#,
            &if sub.is_empty() { String::new() } else { format!(r#""sub":{sub},"#) },
        );
        assert_eq!(with_claims(&claims), Some(Fault::BadTokenClaims), "{sub}");
    }
    let bound = claims(&format!("\"{RESOURCE}\""), NOW + 300, r#","cnf":{"jkt":"x"}"#);
    assert_eq!(with_claims(&bound), Some(Fault::BoundToken));
    let harmless = claims(&format!("\"{RESOURCE}\""), NOW + 300, r#","groups":["a","b"],"x":{"deep":[[1]]}"#);
    assert_eq!(with_claims(&harmless), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn times_of_wrong_types_and_at_their_edges() {
    let with_exp = |exp: &str| good_claims().replace(&(NOW + 300).to_string(), exp);
    for exp in [
        "\"9999999999\"",
        "1800000300.0",
        "1.8e9",
        "-1",
        "null",
        "true",
        "9223372036854775808",
        "18446744073709551616",
        "253402300800",
    ] {
        assert_eq!(with_claims(&with_exp(exp)), Some(Fault::BadTokenClaims), "{exp}");
    }
    assert_eq!(with_claims(&with_exp("NaN")), Some(Fault::BadTokenClaims));
    let without = good_claims().replace(&format!(r#","exp":{}"#, NOW + 300), "");
    assert_eq!(with_claims(&without), Some(Fault::BadTokenClaims));

    for (exp, expected) in [(NOW - 1, None), (NOW - 29, None), (NOW - 30, Some(Fault::Expired))] {
        assert_eq!(with_claims(&with_exp(&exp.to_string())), expected, "expired {} s ago", NOW - exp);
    }
    for name in ["nbf", "iat"] {
        for (ahead, expected) in [(0, None), (30, None), (31, Some(Fault::NotYetValid))] {
            let more = format!(r#","{name}":{}"#, NOW + ahead);
            let claims = claims(&format!("\"{RESOURCE}\""), NOW + 300, &more);
            assert_eq!(with_claims(&claims), expected, "{name} {ahead} s ahead");
        }
    }
    let both = format!(r#","nbf":{},"iat":{}"#, NOW - 5, NOW + 31);
    assert_eq!(with_claims(&claims(&format!("\"{RESOURCE}\""), NOW + 300, &both)), Some(Fault::NotYetValid));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_for_one_resource_is_for_no_other() {
    for aud in [
        r#""https://gw.example/github/mcp""#,
        r#""https://gw.example/core/linear/mcp""#,
        r#""https://gw.example/linear/mcp/""#,
        r#""https://gw.example/linear/mc""#,
        r#""https://gw.example/Linear/mcp""#,
        r#""https://gw.example""#,
        r#""""#,
        "[]",
        r#"["https://gw.example/linear/mcp","https://other.example"]"#,
        r#"["https://gw.example/linear/mcp","https://gw.example/linear/mcp"]"#,
        r#"["https://other.example"]"#,
    ] {
        assert_eq!(with_claims(&claims(aud, NOW + 300, "")), Some(Fault::WrongAudience), "{aud}");
    }
    for aud in ["1", "null", "{}", r#"[["https://gw.example/linear/mcp"]]"#, r#"["a",1]"#] {
        assert_eq!(with_claims(&claims(aud, NOW + 300, "")), Some(Fault::BadTokenClaims), "{aud}");
    }
    assert_eq!(with_claims(&claims(&format!("[\"{RESOURCE}\"]"), NOW + 300, "")), None);
    let without = good_claims().replace(&format!(r#""aud":"{RESOURCE}","#), "");
    assert_eq!(with_claims(&without), Some(Fault::BadTokenClaims));
}

/// What `corp` issues: access tokens for an audience, with the caller's team.
fn corp_token(typ: &str, aud: &str, more: &str) -> String {
    let header = format!(r#"{{"alg":"EdDSA"{typ}}}"#);
    let claims =
        format!(r#"{{"iss":"https://corp.example","sub":"u1","aud":{aud},"exp":{}{more}}}"#, NOW + 300);
    sign(&header, &claims, Algorithm::EdDsa, 4)
}

const AT_JWT: &str = r#","typ":"at+jwt""#;

#[wasm_bindgen_test(unsupported = test)]
fn an_issuers_own_audiences_and_workspace_claim() {
    for aud in [r#""portcullis""#, r#"["gateway"]"#, r#"["other","gateway"]"#] {
        let token = corp_token(AT_JWT, aud, r#","team":"core""#);
        for resource in [RESOURCE, "https://gw.example/github/mcp"] {
            let verified = Worker::new().verify_at(&token, resource).expect(aud);
            assert_eq!(verified.workspace_claim.as_deref(), Some("core"));
        }
    }
    for aud in [format!("\"{RESOURCE}\""), "\"Portcullis\"".into(), "[]".into()] {
        let token = corp_token(AT_JWT, &aud, "");
        assert_eq!(Worker::new().verify(&token), Err(Fault::WrongAudience), "{aud}");
    }
    for (more, expected) in [
        ("", Ok(None)),
        (r#","team":1"#, Err(Fault::BadTokenClaims)),
        (r#","team":["core"]"#, Err(Fault::BadTokenClaims)),
        (r#","team":"""#, Err(Fault::BadTokenClaims)),
        (r#","team":"core","Team":"other""#, Err(Fault::BadTokenClaims)),
    ] {
        let verified = Worker::new().verify(&corp_token(AT_JWT, "\"gateway\"", more));
        assert_eq!(verified.map(|token| token.workspace_claim.clone()), expected, "{more}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn token_types() {
    for (typ, at_jwt_required, otherwise) in [
        ("", false, true),
        (r#","typ":"JWT""#, false, true),
        (r#","typ":"jwt""#, false, true),
        (r#","typ":"at+jwt""#, true, true),
        (r#","typ":"AT+JWT""#, true, true),
        (r#","typ":"application/at+jwt""#, true, true),
        (r#","typ":"logout+jwt""#, false, false),
        (r#","typ":"dpop+jwt""#, false, false),
        (r#","typ":"at+jwt ""#, false, false),
    ] {
        let verdict = |accepted| if accepted { None } else { Some(Fault::WrongTokenType) };
        let token = corp_token(typ, "\"gateway\"", "");
        assert_eq!(Worker::new().verify(&token).err(), verdict(at_jwt_required), "required: {typ}");
        let header = format!(r#"{{"alg":"EdDSA","kid":"k1"{typ}}}"#);
        assert_eq!(with_header(&header), verdict(otherwise), "not required: {typ}");
    }
    assert_eq!(with_header(r#"{"alg":"EdDSA","kid":"k1","typ":1}"#), Some(Fault::BadTokenHeader));
}

#[wasm_bindgen_test(unsupported = test)]
fn issuers_are_compared_byte_for_byte() {
    for iss in ["https://idp.example/", "https://IDP.example", "http://idp.example", "idp.example", "x"] {
        let claims = good_claims().replace("https://idp.example", iss);
        assert_eq!(with_claims(&claims), Some(Fault::UnknownIssuer), "{iss}");
    }
    assert_eq!(
        with_claims(&good_claims().replace(r#""https://idp.example""#, "1")),
        Some(Fault::BadTokenClaims)
    );
    let other_issuers_key = sign(HEADER, &good_claims().replace("idp", "two"), Algorithm::EdDsa, 1);
    assert_eq!(Worker::new().verify(&other_issuers_key), Err(Fault::UnknownKey));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_is_verified_once_and_judged_every_time() {
    let mut worker = Worker::new();
    let token = sign(HEADER, &good_claims(), Algorithm::EdDsa, 1);
    for _ in 0..3 {
        assert!(worker.verify(&token).is_ok());
    }
    assert_eq!(worker.verify_at(&token, "https://gw.example/github/mcp"), Err(Fault::WrongAudience));
    worker.now_ms = (NOW + 330) * 1_000 - 1;
    assert!(worker.verify(&token).is_ok());
    worker.now_ms += 1;
    assert_eq!(worker.verify(&token), Err(Fault::Expired));
    assert_eq!(worker.checks(), 1);

    let early = sign(
        HEADER,
        &claims(&format!("\"{RESOURCE}\""), NOW + 900, &format!(r#","nbf":{NOW}"#)),
        Algorithm::EdDsa,
        1,
    );
    assert!(worker.verify(&early).is_ok());
    worker.now_ms = (NOW - 31) * 1_000;
    assert_eq!(worker.verify(&early), Err(Fault::NotYetValid), "by a clock that was put right");
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_that_begin_alike_are_different_tokens() {
    let mut worker = Worker::new();
    let one = sign(HEADER, &good_claims(), Algorithm::EdDsa, 1);
    let other = sign(HEADER, &good_claims().replace("u1", "u2"), Algorithm::EdDsa, 1);
    assert_eq!(one[..80], other[..80]);
    assert_eq!(worker.verify(&one).expect("good").subject, "u1");
    assert_eq!(worker.verify(&other).expect("good").subject, "u2");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_removed_key_takes_effect_at_once_and_others_cost_nothing() {
    let mut worker = Worker::new();
    let token = sign(HEADER, &good_claims(), Algorithm::EdDsa, 1);
    assert!(worker.verify(&token).is_ok());

    let mut changed = issuers();
    changed[0].keys.remove(1);
    changed[0].keys.push(key(Some("k4"), Algorithm::EdDsa, 9));
    changed.remove(2);
    worker.registry = registry(changed.clone(), 2);
    assert!(worker.verify(&token).is_ok());
    assert_eq!(worker.checks(), 1, "its own key is the same");

    let mut removed = changed.clone();
    removed[0].keys.retain(|key| key.key_id.as_deref() != Some("k1"));
    worker.registry = registry(removed, 3);
    assert_eq!(worker.verify(&token), Err(Fault::UnknownKey));

    worker.registry = registry(changed.clone(), 4);
    assert!(worker.verify(&token).is_ok());
    assert_eq!(worker.checks(), 2);

    let mut replaced = changed.clone();
    replaced[0].keys[0] = key(Some("k1"), Algorithm::EdDsa, 8);
    worker.registry = registry(replaced, 5);
    assert_eq!(worker.verify(&token), Err(Fault::BadSignature), "another key under the old id");

    changed[0].audiences = vec!["other".into()];
    worker.registry = registry(changed, 6);
    assert_eq!(worker.verify(&token), Err(Fault::WrongAudience), "settings count too");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_without_key_id_is_judged_anew_when_a_second_key_comes() {
    let mut worker = Worker::new();
    let token = sign(r#"{"alg":"EdDSA"}"#, &good_claims(), Algorithm::EdDsa, 1);
    assert!(worker.verify(&token).is_ok());
    let mut changed = issuers();
    changed[0].keys.push(key(Some("k4"), Algorithm::EdDsa, 9));
    worker.registry = registry(changed, 2);
    assert_eq!(worker.verify(&token), Err(Fault::UnknownKey));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_wrong_signature_is_checked_once() {
    let mut worker = Worker::new();
    let forged = sign(HEADER, &good_claims(), Algorithm::EdDsa, 8);
    for _ in 0..3 {
        assert_eq!(worker.verify(&forged), Err(Fault::BadSignature));
    }
    assert_eq!(worker.checks(), 1);
    let mut changed = issuers();
    changed[0].keys[0] = key(Some("k1"), Algorithm::EdDsa, 8);
    worker.registry = registry(changed, 2);
    assert!(worker.verify(&forged).is_ok(), "it was early, not forged: its key is known now");
}

#[wasm_bindgen_test(unsupported = test)]
fn strangers_run_dry_and_known_callers_do_not() {
    let mut worker = Worker::new();
    worker.tokens.set_bounds(100, 2);
    let known = sign(HEADER, &good_claims(), Algorithm::EdDsa, 1);
    assert!(worker.verify(&known).is_ok());
    let forged =
        |number: u32| sign(HEADER, &good_claims().replace("u1", &format!("f{number}")), Algorithm::EdDsa, 7);
    assert_eq!(worker.verify(&forged(0)), Err(Fault::BadSignature));
    for number in 1..20 {
        assert_eq!(worker.verify(&forged(number)), Err(Fault::Busy));
    }
    assert!(worker.verify(&known).is_ok());
    assert_eq!(worker.checks(), 2);
    worker.now_ms += 500;
    assert_eq!(worker.verify(&forged(20)), Err(Fault::BadSignature));
    assert_eq!(worker.verify(&forged(21)), Err(Fault::Busy));
}

#[wasm_bindgen_test(unsupported = test)]
fn memory_is_bounded() {
    let mut worker = Worker::new();
    worker.tokens.set_bounds(3, 1_000);
    for number in 0..10 {
        let claims = good_claims().replace("u1", &format!("u{number}"));
        assert!(worker.verify(&sign(HEADER, &claims, Algorithm::EdDsa, 1)).is_ok());
    }
    assert_eq!(worker.tokens.len(), 3);
    worker.tokens.set_bounds(1, 1_000);
    assert_eq!(worker.tokens.len(), 1);
    worker.tokens.forget_all();
    assert!(worker.tokens.is_empty());
}
