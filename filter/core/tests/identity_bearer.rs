//! Finding the one credential among a request's headers, and saying what is wrong with it.

use portcullis_filter_core::identity::bearer::find;
use portcullis_filter_core::identity::{Fault, Presented};
use portcullis_wire::api_key::ApiKey;
use portcullis_wire::secret::SecretText;
use wasm_bindgen_test::wasm_bindgen_test;

fn headers(list: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    list.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn fault(list: &[(&str, &str)]) -> Fault {
    find(&headers(list)).expect_err(&format!("{list:?} must be refused"))
}

fn api_key() -> (SecretText, ApiKey) {
    ApiKey::spell("test", &(0..128).collect::<Vec<u8>>()).expect("enough entropy")
}

#[wasm_bindgen_test(unsupported = test)]
fn an_api_key_is_found_in_both_headers_and_known_by_the_same_digest() {
    let (text, key) = api_key();
    let bearer = format!("Bearer {}", text.expose());
    let one = find(&headers(&[(":path", "/"), ("authorization", &bearer)])).expect("found");
    let other = find(&headers(&[("x-portcullis-api-key", text.expose())])).expect("found");
    assert_eq!(one.presented, Presented::ApiKey(key));
    assert_eq!(one, other);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_scheme_has_no_case_and_anything_else_is_a_token() {
    for value in ["Bearer abc", "bearer abc", "BEARER abc", "bEaReR abc"] {
        let found = find(&headers(&[("authorization", value)])).expect("found");
        assert_eq!(found.presented, Presented::Token(SecretText::new("abc".into())), "{value}");
        assert!(!format!("{found:?}").contains("abc"), "a credential is never printed");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_credential() {
    for list in [
        vec![],
        vec![(":path", "/linear/mcp?access_token=x"), ("cookie", "token=x")],
        vec![("x-api-key", "x"), ("proxy-authorization", "Bearer x")],
    ] {
        assert_eq!(fault(&list), Fault::NoCredential);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn several_credentials() {
    let (text, _) = api_key();
    let key = text.expose();
    let twice = format!("{key},{key}");
    for list in [
        vec![("authorization", "Bearer a"), ("authorization", "Bearer a")],
        vec![("authorization", "Bearer a"), ("x-portcullis-api-key", key)],
        vec![("x-portcullis-api-key", key), ("x-portcullis-api-key", key)],
        vec![("x-portcullis-api-key", &twice)],
        vec![("authorization", "Bearer a,Bearer b")],
        vec![("authorization", "Bearer a,")],
        vec![("authorization", "Basic a, Bearer b")],
    ] {
        assert_eq!(fault(&list), Fault::SeveralCredentials, "{list:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn malformed_credentials() {
    for (value, expected) in [
        ("", Fault::MalformedCredential),
        (" ", Fault::MalformedCredential),
        ("Bearer", Fault::MalformedCredential),
        ("Bearer ", Fault::MalformedCredential),
        ("Bearer  a", Fault::MalformedCredential),
        ("Bearer\ta", Fault::MalformedCredential),
        ("Bearer a b", Fault::MalformedCredential),
        ("Bearer a ", Fault::MalformedCredential),
        (" Bearer a", Fault::MalformedCredential),
        ("Bearer:a", Fault::MalformedCredential),
        ("Bearer é", Fault::MalformedCredential),
        ("Bearer a\0", Fault::MalformedCredential),
        ("Basic YTpi", Fault::UnsupportedScheme),
        ("Bearerr a", Fault::UnsupportedScheme),
        ("DPoP a", Fault::UnsupportedScheme),
        (&format!("Bearer {}", "a".repeat(8 * 1024 + 1)), Fault::CredentialTooLong),
    ] {
        assert_eq!(fault(&[("authorization", value)]), expected, "{value:?}");
    }
    let high_byte = vec![(b"authorization".to_vec(), b"Bearer a\xff".to_vec())];
    assert_eq!(find(&high_byte), Err(Fault::MalformedCredential));
    assert!(find(&headers(&[("authorization", &format!("Bearer {}", "a".repeat(8 * 1024)))])).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn misspelt_api_keys_are_refused_without_asking_anybody() {
    let (text, _) = api_key();
    let key = text.expose();
    for bad in [
        &key[..key.len() - 1],
        &key.to_uppercase().replace("PCL_", "pcl_"),
        &key.replace("test", "live"),
        "pcl_",
        "pcl_test_x",
    ] {
        assert_eq!(fault(&[("authorization", &format!("Bearer {bad}"))]), Fault::MisspeltApiKey, "{bad}");
        assert_eq!(fault(&[("x-portcullis-api-key", bad)]), Fault::MisspeltApiKey, "{bad}");
    }
    assert_eq!(fault(&[("x-portcullis-api-key", "eyJh.eyJp.c2ln")]), Fault::MisspeltApiKey);
    assert_eq!(fault(&[("x-portcullis-api-key", &format!("Bearer {key}"))]), Fault::MalformedCredential);
}

const ALL: [Fault; 22] = [
    Fault::NoCredential,
    Fault::UnsupportedScheme,
    Fault::SeveralCredentials,
    Fault::MalformedCredential,
    Fault::CredentialTooLong,
    Fault::MisspeltApiKey,
    Fault::NotAToken,
    Fault::BadTokenHeader,
    Fault::BadTokenClaims,
    Fault::AlgorithmNotAllowed,
    Fault::WrongTokenType,
    Fault::BoundToken,
    Fault::UnknownIssuer,
    Fault::UnknownKey,
    Fault::WrongAudience,
    Fault::Expired,
    Fault::NotYetValid,
    Fault::BadSignature,
    Fault::Unknown,
    Fault::Disabled,
    Fault::InsufficientScope,
    Fault::Busy,
];

#[wasm_bindgen_test(unsupported = test)]
fn challenges() {
    let metadata = "https://gw.example/.well-known/oauth-protected-resource/a/mcp";
    let start =
        format!(r#"Bearer realm="portcullis", resource_metadata="{metadata}", scope="mcp:read mcp:write""#);
    assert_eq!(
        Fault::NoCredential.challenge(metadata),
        Some(start.clone()),
        "nothing was shown that could be wrong"
    );
    assert_eq!(
        Fault::Expired.challenge(metadata),
        Some(format!(
            "{start}, error=\"invalid_token\", error_description=\"This credential has expired: refresh the token, sign \
             in again, or ask for a new key.\""
        ))
    );
    for (fault, error) in [
        (Fault::SeveralCredentials, "invalid_request"),
        (Fault::Unknown, "invalid_token"),
        (Fault::InsufficientScope, "insufficient_scope"),
    ] {
        let challenge = fault.challenge(metadata).expect("a challenge");
        assert!(challenge.starts_with(&format!("{start}, error=\"{error}\", ")), "{challenge}");
    }
    assert_eq!((Fault::Busy.challenge(metadata), Fault::Busy.retry_after_seconds()), (None, Some(1)));
}

#[wasm_bindgen_test(unsupported = test)]
fn every_fault_can_stand_in_a_challenge_and_in_the_access_log() {
    let mut reasons = std::collections::HashSet::new();
    for fault in ALL {
        let text = fault.to_string();
        // RFC 6750, section 3: %x20-21 / %x23-5B / %x5D-7E.
        let fits = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        assert!(text.bytes().all(fits) && text.ends_with('.'), "{text}");
        let reason = fault.reason();
        assert!(reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{reason}");
        assert!(reasons.insert(reason), "{reason} stands for one fault");
        assert!(matches!(fault.status(), 400 | 401 | 403 | 503));
    }
}
