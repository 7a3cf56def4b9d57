//! The gateway's own access tokens: for one server, of one sign-in, with scopes.

use portcullis_filter_core::identity::{Fault, Grant};
use portcullis_wire::lease::CallerProof;
use portcullis_wire::secret::SecretText;
use portcullis_wire::watch::{Algorithm, IssuerEntry};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::stand::{NOW, RESOURCE, Worker, issuer, issuers, key, registry_with_opaque_tokens, sign};

const GATEWAY: &str = "https://gw.example";
const HEADER: &str = r#"{"alg":"ES256","kid":"g1","typ":"at+jwt"}"#;

fn gateway() -> IssuerEntry {
    IssuerEntry {
        require_at_jwt: true,
        accepts_resource: true,
        gateway: true,
        ..issuer(GATEWAY, vec![key(Some("g1"), Algorithm::Es256, 7)])
    }
}

fn worker() -> Worker {
    let mut all = issuers();
    all.push(gateway());
    Worker::trusting(all)
}

fn claims() -> Value {
    json!({
        "iss": GATEWAY, "sub": "m1", "aud": RESOURCE, "sid": "ses_1", "client_id": "c1", "jti": "j1",
        "scope": "mcp:read mcp:write", "iat": NOW, "exp": NOW + 300,
    })
}

fn token(claims: &Value) -> String {
    sign(HEADER, &claims.to_string(), Algorithm::Es256, 7)
}

/// The verdict on a token with this claim in place of a good one; `null` leaves it out.
fn with(name: &str, value: Value) -> Result<(), Fault> {
    let mut changed = claims();
    match value {
        Value::Null => drop(changed.as_object_mut().expect("an object").remove(name)),
        value => changed[name] = value,
    }
    let mut worker = worker();
    let verdict = worker.verify(&token(&changed)).map(|_| ());
    assert_eq!(
        worker.checks(),
        u32::from(verdict.is_ok()),
        "{name}: no signature is checked of what is refused"
    );
    verdict
}

#[wasm_bindgen_test(unsupported = test)]
fn it_stands_for_a_sign_in_and_its_scopes() {
    let text = token(&claims());
    let verified = worker().verify(&text).expect("good");
    let scopes = vec!["mcp:read".to_owned(), "mcp:write".to_owned()];
    assert_eq!(verified.grant, Some(Grant { session: "ses_1".into(), scopes: scopes.clone() }));
    assert_eq!(
        verified.proof(&SecretText::new(text)),
        CallerProof::AccessToken { session: "ses_1".into(), scopes, expires_at: NOW + 300 }
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn it_is_for_one_server_and_says_so_in_one_form() {
    let mut worker = worker();
    let text = token(&claims());
    for resource in ["https://gw.example/github/mcp", RESOURCE, "https://gw.example/core/linear/mcp"] {
        let expected = if resource == RESOURCE { Ok(()) } else { Err(Fault::WrongAudience) };
        assert_eq!(worker.verify_at(&text, resource).map(|_| ()), expected, "{resource}");
    }
    for aud in [
        json!([RESOURCE]),
        json!([RESOURCE, RESOURCE]),
        json!([RESOURCE, "https://gw.example/github/mcp"]),
        json!([]),
        json!(GATEWAY),
        json!(format!("{RESOURCE}/")),
        json!("https://gw.example/linear/mc"),
        json!("https://gw.example/LINEAR/mcp"),
        json!("portcullis"),
    ] {
        assert_eq!(with("aud", aud.clone()), Err(Fault::WrongAudience), "{aud}");
    }
    for aud in [json!(1), json!({}), Value::Null] {
        assert_eq!(with("aud", aud.clone()), Err(Fault::BadTokenClaims), "{aud}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn sign_in_scope_and_member_have_to_be_there() {
    for name in ["sid", "scope", "sub", "exp", "iss"] {
        for value in [Value::Null, json!(""), json!(1.5), json!(["x"]), json!({}), json!(true)] {
            assert_eq!(with(name, value.clone()), Err(Fault::BadTokenClaims), "{name}: {value}");
        }
    }
    for (twin, of) in [("Sid", "sid"), ("SID", "sid"), ("Scope", "scope"), ("SUB", "sub")] {
        assert_eq!(with(twin, json!("x")), Err(Fault::BadTokenClaims), "{twin} beside {of}");
    }
    let twice = claims().to_string().replacen('{', r#"{"sid":"ses_2","#, 1);
    let twice = sign(HEADER, &twice, Algorithm::Es256, 7);
    assert_eq!(worker().verify(&twice), Err(Fault::BadTokenClaims));
}

#[wasm_bindgen_test(unsupported = test)]
fn scopes_are_words_with_one_space_between() {
    for good in ["mcp:read", "mcp:write mcp:read", "mcp:read custom", "!"] {
        assert_eq!(with("scope", json!(good)), Ok(()), "{good:?}");
    }
    for bad in [
        " ",
        " mcp:read",
        "mcp:read ",
        "mcp:read  mcp:write",
        "mcp:read\tmcp:write",
        "mcp:read\nmcp:write",
        "mcp:read mcp:read",
        "mcp:read \"",
        "mcp:read \\",
        "mcp:read caf\u{e9}",
        "mcp:read\u{0}",
    ] {
        assert_eq!(with("scope", json!(bad)), Err(Fault::BadTokenClaims), "{bad:?}");
    }
    assert_eq!(with("scope", json!("x".repeat(65_000))), Err(Fault::CredentialTooLong));
}

#[wasm_bindgen_test(unsupported = test)]
fn without_the_scope_to_read_nothing_is_allowed() {
    for (scope, expected) in [
        ("mcp:read", Ok(())),
        ("mcp:read mcp:write", Ok(())),
        ("mcp:write", Err(Fault::InsufficientScope)),
        ("mcp:reader mcp:write", Err(Fault::InsufficientScope)),
        ("MCP:READ", Err(Fault::InsufficientScope)),
    ] {
        let mut changed = claims();
        changed["scope"] = scope.into();
        let identity = worker().identify_at(&token(&changed), RESOURCE).expect("good");
        assert_eq!(identity.judge_scope(), expected, "{scope}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_else_that_the_gateway_signs_or_hands_out_is_an_access_token() {
    for typ in [r#","typ":"JWT""#, "", r#","typ":"logout+jwt""#, r#","typ":"rt+jwt""#, r#","typ":"at+jwtx""#]
    {
        let header = format!(r#"{{"alg":"ES256","kid":"g1"{typ}}}"#);
        let text = sign(&header, &claims().to_string(), Algorithm::Es256, 7);
        assert_eq!(worker().verify(&text), Err(Fault::WrongTokenType), "{typ}");
    }
    let mut with_opaque = worker();
    let mut all = issuers();
    all.push(gateway());
    with_opaque.registry = registry_with_opaque_tokens(all);
    for worker in [&mut worker(), &mut with_opaque] {
        for text in ["pca_YWRtaW4", "pcr_cmVmcmVzaA", "pcc_Y29kZQ", "pcs-c2Vzc2lvbg", "pcl-session.eyJh.eyJi"]
        {
            assert_eq!(
                worker.identify_at(text, RESOURCE),
                Err(Fault::NotAToken),
                "{text} is shown to nobody"
            );
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn only_the_gateways_own_keys_and_name_make_one() {
    for iss in
        ["https://gw.example/", "https://GW.example", "https://other-gw.example", "https://gw.example:443"]
    {
        assert_eq!(with("iss", json!(iss)), Err(Fault::UnknownIssuer), "{iss}");
    }
    let forged = sign(HEADER, &claims().to_string(), Algorithm::Es256, 8);
    assert_eq!(worker().verify(&forged), Err(Fault::BadSignature));
    // What the identity provider says of sign-ins and scopes is its own matter.
    let mut of_provider = claims();
    of_provider["iss"] = "https://idp.example".into();
    let text = sign(r#"{"alg":"ES256","kid":"k2"}"#, &of_provider.to_string(), Algorithm::Es256, 2);
    let verified = worker().verify(&text).expect("good");
    assert_eq!(verified.grant, None);
    assert!(matches!(verified.proof(&SecretText::new(text)), CallerProof::Jwt { .. }));
}
