//! Good tokens over their life, and what strangers can do to them.

use portcullis_filter_core::identity::Fault;
use portcullis_wire::watch::Algorithm;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::stand::{HEADER, NOW, RESOURCE, Worker, claims, good_claims, issuers, key, registry, sign};

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
