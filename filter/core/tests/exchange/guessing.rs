//! Strangers who try credentials, one after the other.

use portcullis_filter_core::step::Step;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{Gateway, access_token, call, granted, let_go, reply};

const HERE: &str = "192.0.2.7:40000";

/// Shows keys that nobody knows until the gateway has had enough, which is after `budget`.
fn guess_until_refused(gateway: &mut Gateway, keys: impl Iterator<Item = u8>, budget: usize) {
    let mut asked = 0;
    for key in keys {
        let step = gateway.open_step(&call("search").with_key(key));
        if step != Step::Wait {
            let refused = reply(step);
            let told = (refused.status, refused.details.as_str());
            assert_eq!(told, (429, "portcullis_too_many_unknown_credentials"));
            assert!(refused.headers.contains(&("retry-after".into(), "12".into())), "{:?}", refused.headers);
            assert_eq!(asked, budget);
            return;
        }
        asked += 1;
        deny(gateway);
    }
    panic!("{asked} guesses and no end");
}

fn deny(gateway: &mut Gateway) {
    let (id, _) = gateway.lease_call();
    let stream = gateway.last_stream();
    gateway.answer(id, &json!({"result": "denied", "reason": "unknown_credential"}));
    assert_eq!(reply(gateway.resume(stream)).status, 401);
}

/// Lets time pass while the token-service is heard of.
fn wait(gateway: &mut Gateway, seconds: u64) {
    for _ in 0..seconds {
        gateway.pass_ms(1_000);
        gateway.news(&[]);
    }
}

/// Five guesses a minute.
fn gateway() -> Gateway {
    let mut gateway = Gateway::knowing(&granted(&[]));
    gateway.source = Some(HERE.into());
    gateway
}

#[wasm_bindgen_test(unsupported = test)]
fn who_guesses_too_often_is_not_asked_about_and_who_is_known_goes_on() {
    let mut gateway = gateway();
    guess_until_refused(&mut gateway, 1.., 5);
    assert!(gateway.tick().is_empty(), "the token-service is not asked");
    let_go(&mut gateway, &call("search"));
    // From elsewhere nobody has guessed.
    gateway.source = Some("192.0.2.8:40000".into());
    assert_eq!(gateway.open_step(&call("search").with_key(90)), Step::Wait);
    deny(&mut gateway);
    // And after a while there is room for one more.
    gateway.source = Some(HERE.into());
    wait(&mut gateway, 12);
    guess_until_refused(&mut gateway, 91.., 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_network_of_ipv6_is_one_place_and_so_is_nowhere() {
    let mut gateway = gateway();
    gateway.source = Some("[2001:db8:1:2::1]:40000".into());
    guess_until_refused(&mut gateway, 1.., 5);
    gateway.source = Some("[2001:db8:1:2:ffff::9]:40000".into());
    guess_until_refused(&mut gateway, 20.., 0);
    gateway.source = Some("[2001:db8:1:3::1]:40000".into());
    guess_until_refused(&mut gateway, 30.., 5);
    gateway.source = None;
    guess_until_refused(&mut gateway, 40.., 5);
}

#[wasm_bindgen_test(unsupported = test)]
fn one_wrong_key_over_and_over_is_one_guess_a_minute() {
    let mut gateway = gateway();
    for _ in 0..20 {
        assert_eq!(gateway.open_step(&call("search").with_key(1)), Step::Wait);
        deny(&mut gateway);
        wait(&mut gateway, 2);
    }
    assert_eq!(gateway.open_step(&call("search").with_key(2)), Step::Wait);
}

#[wasm_bindgen_test(unsupported = test)]
fn signatures_that_do_not_fit_are_guesses_too() {
    let mut gateway = gateway();
    for number in 0..20_u32 {
        let mut token = access_token(&format!("mcp:read x-{number}"));
        token.truncate(token.len() - 4);
        token.push_str("AAAA");
        let refused = reply(gateway.open_step(&call("search").with_token(&token)));
        assert_eq!(refused.status, if number < 5 { 401 } else { 429 }, "{number}: {}", refused.details);
        // Signatures have a budget of their own.
        gateway.pass_ms(400);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_address_is_asked_for_only_when_somebody_has_guessed() {
    let mut gateway = gateway();
    let_go(&mut gateway, &call("search"));
    assert_eq!(gateway.open_step(&call("search").with_key(1)), Step::Wait);
    assert_eq!(gateway.source_asked(), 0);
    deny(&mut gateway);
    assert_eq!(gateway.source_asked(), 1);
    let_go(&mut gateway, &call("search"));
    assert_eq!(gateway.source_asked(), 1, "who is known need not say where from");
    wait(&mut gateway, 60);
    assert_eq!(gateway.open_step(&call("search").with_key(2)), Step::Wait);
    assert_eq!(gateway.source_asked(), 1, "nobody has guessed for a minute");
}
