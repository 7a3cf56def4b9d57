//! What the settings of an issuer ask for: its audiences, its workspace claim, the type of its tokens, its clock.

use portcullis_filter_core::identity::Fault;
use portcullis_wire::watch::{Algorithm, IssuerEntry};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::stand::{
    AT_JWT, HEADER, NOW, RESOURCE, Worker, claims, corp_token, good_claims, issuers, sign, with_claims,
    with_header,
};

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
fn an_issuer_may_accept_the_resource_besides_its_audiences() {
    let mut changed = issuers();
    changed[1].accepts_resource = true;
    for (aud, here, elsewhere) in [
        (format!("\"{RESOURCE}\""), Ok(()), Err(Fault::WrongAudience)),
        ("\"gateway\"".into(), Ok(()), Ok(())),
        (format!("[\"gateway\",\"{RESOURCE}\"]"), Ok(()), Ok(())),
        (format!("[\"other\",\"{RESOURCE}\"]"), Err(Fault::WrongAudience), Err(Fault::WrongAudience)),
    ] {
        let token = corp_token(AT_JWT, &aud, "");
        let mut worker = Worker::trusting(changed.clone());
        // In both orders: what is remembered of one server says nothing of another.
        for resource in [RESOURCE, "https://gw.example/github/mcp", RESOURCE] {
            let expected = if resource == RESOURCE { here } else { elsewhere };
            assert_eq!(worker.verify_at(&token, resource).map(|_| ()), expected, "{aud} at {resource}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_clock_of_an_issuer_may_be_off_as_far_as_its_settings_say() {
    for (tolerance, seconds) in [(None, 30), (Some(0), 0), (Some(5), 5), (Some(300), 300)] {
        let changed = || {
            let mut all = issuers();
            all[0].clock_tolerance = tolerance;
            all
        };
        let verdict = |claims: &str| {
            Worker::trusting(changed()).verify(&sign(HEADER, claims, Algorithm::EdDsa, 1)).map(|_| ())
        };
        let aud = format!("\"{RESOURCE}\"");
        assert_eq!(verdict(&claims(&aud, NOW - seconds, "")), Err(Fault::Expired), "{tolerance:?}");
        assert_eq!(verdict(&claims(&aud, NOW - seconds + 1, "")), Ok(()), "{tolerance:?}");
        let issued = |ahead: u64| claims(&aud, NOW + 900, &format!(r#","iat":{}"#, NOW + ahead));
        assert_eq!(verdict(&issued(seconds)), Ok(()), "{tolerance:?}");
        assert_eq!(verdict(&issued(seconds + 1)), Err(Fault::NotYetValid), "{tolerance:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn every_setting_of_an_issuer_makes_its_tokens_be_judged_anew() {
    let edits: [fn(&mut IssuerEntry); 6] = [
        |issuer| issuer.claims = vec!["sub".into()],
        |issuer| issuer.accepts_resource = true,
        |issuer| issuer.clock_tolerance = Some(31),
        |issuer| issuer.workspace_claim = Some("team".into()),
        |issuer| issuer.audiences = vec![RESOURCE.into()],
        |issuer| issuer.require_at_jwt = true,
    ];
    let token = sign(r#"{"alg":"EdDSA","kid":"k1","typ":"at+jwt"}"#, &good_claims(), Algorithm::EdDsa, 1);
    for (index, edit) in edits.into_iter().enumerate() {
        let mut worker = Worker::new();
        assert!(worker.verify(&token).is_ok());
        let mut changed = issuers();
        edit(&mut changed[0]);
        worker.registry = crate::stand::registry(changed, 2);
        assert!(worker.verify(&token).is_ok());
        assert_eq!(worker.checks(), 2, "edit {index}");
    }
}
