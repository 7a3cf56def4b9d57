//! What the token-service is shown of a token, to judge by the rules of a server.

use std::collections::BTreeMap;

use portcullis_filter_core::identity::Fault;
use portcullis_wire::lease::CallerProof;
use portcullis_wire::secret::SecretText;
use portcullis_wire::watch::{Algorithm, IssuerEntry};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::stand::{HEADER, NOW, RESOURCE, Worker, claims, issuers, sign};

/// `idp`, whose tokens are for the gateway, and whose claims of these names are shown.
fn showing(names: &[&str]) -> Vec<IssuerEntry> {
    let mut all = issuers();
    all[0].audiences = vec!["gateway".into()];
    all[0].claims = names.iter().map(|name| (*name).to_owned()).collect();
    all
}

/// Audiences, `iat` and claims.
type Shown = (Vec<String>, Option<u64>, BTreeMap<String, Value>);

/// All that is shown, once when the token is new and once when it is remembered.
fn shown(names: &[&str], token: &str) -> Result<Shown, Fault> {
    let mut worker = Worker::trusting(showing(names));
    let mut parts = [(); 2].map(|()| {
        let proof = worker.verify(token)?.proof(&SecretText::new(token.to_owned()));
        let CallerProof::Jwt { audiences, issued_at, claims, .. } = proof else { panic!("of an issuer") };
        Ok((audiences, issued_at, claims))
    });
    assert_eq!(parts[0], parts[1]);
    std::mem::replace(&mut parts[0], Err(Fault::Busy))
}

fn token(more: &str) -> String {
    sign(HEADER, &claims(r#"["other","gateway"]"#, NOW + 300, more), Algorithm::EdDsa, 1)
}

#[wasm_bindgen_test(unsupported = test)]
fn audiences_time_of_issue_and_the_claims_that_count() {
    let more = format!(
        r#","iat":{},"groups":["a","b"],"realm":{{"roles":["x",{{"deep":[null,1.5]}}]}},"azp":"app","email":"a@b.example""#,
        NOW - 5
    );
    let (audiences, issued_at, claims) =
        shown(&["groups", "realm", "azp", "department"], &token(&more)).expect("good");
    assert_eq!(audiences, ["other", "gateway"]);
    assert_eq!(issued_at, Some(NOW - 5));
    let expected = json!({
        "groups": ["a", "b"], "realm": {"roles": ["x", {"deep": [null, 1.5]}]}, "azp": "app",
    });
    assert_eq!(serde_json::to_value(claims).expect("JSON"), expected, "named and there, and nothing else");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_token_without_them_shows_none() {
    let (audiences, issued_at, claims) = shown(&["groups"], &token("")).expect("good");
    assert_eq!((audiences.len(), issued_at, claims.len()), (2, None, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_claim_that_counts_is_there_once_and_can_be_read() {
    for more in [r#","groups":["a"],"Groups":["b"]"#, r#","GROUPS":1"#, r#","groups":1,"grouPs":1"#] {
        assert_eq!(shown(&["groups"], &token(more)), Err(Fault::BadTokenClaims), "{more}");
        assert!(shown(&["azp"], &token(more)).is_ok(), "{more} does not count");
    }
    for more in [r#","groups":1e999"#, r#","groups":[-1e999]"#, r#","groups":"\ud800""#] {
        assert_eq!(
            shown(&["groups"], &token(more)),
            Err(Fault::BadTokenClaims),
            "{more} is read in several ways"
        );
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn all_of_it_together_is_no_longer_than_a_token() {
    let groups: Vec<String> = (0..150).map(|number| format!("group-{number:026}")).collect();
    let long = token(&format!(r#","groups":{}"#, json!(groups)));
    assert!(long.len() > 7_000 && long.len() <= 8 * 1024, "{}", long.len());
    let (_, _, claims) = shown(&["groups"], &long).expect("good");
    assert_eq!(claims["groups"], json!(groups));
    assert!(serde_json::to_string(&claims).expect("JSON").len() <= 8 * 1024);
    assert_eq!(
        shown(&["groups"], &token(&format!(r#","groups":"{}""#, "x".repeat(8_000)))),
        Err(Fault::CredentialTooLong)
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn one_token_is_shown_to_every_server_with_the_same_words() {
    let mut worker = Worker::trusting(showing(&["groups"]));
    let text = token(r#","groups":["a"]"#);
    let proof = |worker: &mut Worker, resource: &str| {
        worker.verify_at(&text, resource).expect("good").proof(&SecretText::new(text.clone()))
    };
    let here = proof(&mut worker, RESOURCE);
    assert_eq!(proof(&mut worker, "https://gw.example/github/mcp"), here);
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{shown, token};

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,6}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_shown_as_it_is(value in any_json(), name in "[a-z]{4,8}(:[a-z]{1,4})?") {
            let (_, _, claims) = shown(&[&name], &token(&format!(",\"{name}\":{value}"))).expect("good");
            prop_assert_eq!(&claims[&name], &value);
        }
    }
}
