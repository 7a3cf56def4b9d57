//! Tokens that only their issuer can judge: those that are no JWT, and JWTs of issuers that are to be asked.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use portcullis_filter_core::identity::bearer::find;
use portcullis_filter_core::identity::{Fault, Identity};
use portcullis_wire::lease::CallerProof;
use portcullis_wire::watch::{Algorithm, IssuerEntry};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::stand::{
    HEADER, NOW, RESOURCE, Worker, good_claims, issuer, issuers, registry_with_opaque_tokens, sign,
};

fn accepting() -> Worker {
    Worker { registry: registry_with_opaque_tokens(issuers()), ..Worker::new() }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_jwt_is_shown_only_where_an_issuer_can_be_asked() {
    let jwe = format!("{}.a2V5.aXY.dGV4dA.dGFn", URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM"}"#));
    for token in [
        "opaque-token",
        "8c6f1f0e-4bcb-4f1c-9d0d-2f0c6f3b6a11",
        "2YotnFZFEjr1zCsicMWpAA",
        "gho_16C7e42F292c6912E7710c838347Ae178B4a",
        "a.b",
        "a.b.c",
        "AAAA.BBBB.CCCC",
        "pc",
        "pcl",
        "pc1_x",
        &jwe,
    ] {
        assert_eq!(accepting().identify_at(token, RESOURCE), Ok(Identity::Opaque), "{token}");
        let alone = Worker::new().identify_at(token, RESOURCE);
        assert!(matches!(alone, Err(Fault::NotAToken | Fault::BadTokenHeader)), "{token}: {alone:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_bad_jwt_is_a_bad_jwt() {
    let token = sign(HEADER, &good_claims(), Algorithm::EdDsa, 1);
    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let (_, payload) = input.split_once('.').expect("three parts");
    let encode = |header: &str| URL_SAFE_NO_PAD.encode(header);
    for (text, fault) in [
        (format!("{}.{payload}.{signature}", URL_SAFE.encode(HEADER)), Fault::NotAToken),
        (format!("{input}.{signature}="), Fault::NotAToken),
        (format!("{input}."), Fault::BadSignature),
        (format!("{}.{payload}.", encode(r#"{"alg":"none"}"#)), Fault::AlgorithmNotAllowed),
        (format!("{}.{payload}.{signature}", encode("{")), Fault::BadTokenHeader),
        (format!("{}.{payload}.{signature}", encode(r#"{"alg":"HS256"}"#)), Fault::AlgorithmNotAllowed),
        (sign(HEADER, "{", Algorithm::EdDsa, 1), Fault::BadTokenClaims),
        (sign(HEADER, &good_claims(), Algorithm::EdDsa, 9), Fault::BadSignature),
        (sign(HEADER, &good_claims().replace("idp", "evil"), Algorithm::EdDsa, 1), Fault::UnknownIssuer),
    ] {
        assert_eq!(accepting().identify_at(&text, RESOURCE), Err(fault), "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_token_service_gets_the_text_and_nothing_prints_it() {
    let headers = vec![(b"authorization".to_vec(), b"Bearer opaque-token".to_vec())];
    let credential = find(&headers).expect("one");
    let proof = Identity::Opaque.proof(&credential);
    assert!(matches!(&proof, CallerProof::Opaque { token } if token.expose() == "opaque-token"));
    assert!(!format!("{proof:?}{credential:?}").contains("opaque-token"));
}

/// An issuer that is to be asked about each of its tokens.
fn asked() -> Vec<IssuerEntry> {
    vec![IssuerEntry {
        introspected: true,
        audiences: vec!["gateway".into()],
        ..issuer("https://idp.example", vec![])
    }]
}

fn introspected(header: &str, claims: &str) -> Result<Identity, Fault> {
    let mut worker = Worker::trusting(asked());
    let verdict = worker.identify_at(&sign(header, claims, Algorithm::EdDsa, 1), RESOURCE);
    assert_eq!((worker.checks(), worker.tokens.len()), (0, 0), "nothing is verified, and nothing remembered");
    verdict
}

#[wasm_bindgen_test(unsupported = test)]
fn a_jwt_of_an_issuer_that_is_to_be_asked_has_to_speak_for_itself_as_far_as_it_speaks() {
    let claims = |more: &str| format!(r#"{{"iss":"https://idp.example"{more}}}"#);
    for (header, more, expected) in [
        (HEADER, "", Ok(Identity::Opaque)),
        (r#"{"alg":"PS256","kid":"any"}"#, "", Ok(Identity::Opaque)),
        (r#"{"alg":"HS256"}"#, r#","aud":["gateway"],"sub":"u1""#, Ok(Identity::Opaque)),
        (HEADER, r#","aud":"other""#, Err(Fault::WrongAudience)),
        (HEADER, r#","aud":1"#, Err(Fault::BadTokenClaims)),
        (HEADER, &format!(r#","exp":{}"#, NOW - 30), Err(Fault::Expired)),
        (HEADER, &format!(r#","exp":{}"#, NOW - 29), Ok(Identity::Opaque)),
        (HEADER, &format!(r#","exp":{},"nbf":{}"#, NOW + 90, NOW + 31), Err(Fault::NotYetValid)),
        (HEADER, r#","exp":"9999999999""#, Err(Fault::BadTokenClaims)),
        (HEADER, r#","cnf":{"jkt":"x"}"#, Err(Fault::BoundToken)),
        (HEADER, r#","sub":"a","sub":"b""#, Err(Fault::BadTokenClaims)),
        (r#"{"alg":"none"}"#, "", Err(Fault::AlgorithmNotAllowed)),
        (r#"{"alg":"nOnE"}"#, "", Err(Fault::AlgorithmNotAllowed)),
        (r#"{"alg":"EdDSA","crit":["x"]}"#, "", Err(Fault::BadTokenHeader)),
        (r#"{"alg":"EdDSA","typ":"logout+jwt"}"#, "", Err(Fault::WrongTokenType)),
    ] {
        assert_eq!(introspected(header, &claims(more)), expected, "{header} {more}");
    }
    assert_eq!(introspected(HEADER, &claims("").replace("idp", "other")), Err(Fault::UnknownIssuer));
}

#[wasm_bindgen_test(unsupported = test)]
fn questions_and_signatures_are_paid_from_one_purse() {
    let mut worker = accepting();
    worker.tokens.set_bounds(100, 3);
    let now_ms = worker.now_ms;
    assert!(worker.tokens.may_ask(now_ms) && worker.tokens.may_ask(now_ms));
    assert!(worker.verify(&sign(HEADER, &good_claims(), Algorithm::EdDsa, 1)).is_ok());
    assert!(!worker.tokens.may_ask(now_ms));
    let another = sign(HEADER, &good_claims().replace("u1", "u2"), Algorithm::EdDsa, 1);
    assert_eq!(worker.verify(&another), Err(Fault::Busy));
    assert!(worker.tokens.may_ask(now_ms + 334));
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_one_or_the_other(text in "[ -~]{1,60}") {
            let shown = accepting().identify_at(&text, RESOURCE);
            let alone = Worker::new().identify_at(&text, RESOURCE);
            let is_no_jwt = matches!(alone, Err(Fault::NotAToken | Fault::BadTokenHeader));
            prop_assert!(alone.is_err());
            // Only what is no JWT at all is ever shown to an issuer.
            prop_assert!(shown == Ok(Identity::Opaque) && is_no_jwt || shown == alone);
        }
    }
}
