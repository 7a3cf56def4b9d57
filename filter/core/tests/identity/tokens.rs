//! Hostile tokens, one by one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use portcullis_filter_core::identity::Fault;
use portcullis_wire::lease::CallerProof;
use portcullis_wire::secret::SecretText;
use portcullis_wire::watch::Algorithm;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::stand::{
    HEADER, NOW, RESOURCE, Worker, claims, good_claims, sign, verdict, with_claims, with_header,
};

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
            verified.proof(&SecretText::new(token.clone())),
            CallerProof::Jwt {
                issuer: "https://idp.example".into(),
                subject: "u1".into(),
                workspace_claim: None,
                audiences: vec![RESOURCE.into()],
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
