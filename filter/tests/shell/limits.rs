//! Limits, counted in the host's shared data; and what filters behind this one are told in time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fake_host::{self as host, CONTINUE, PAUSE};
use crate::gateway::{KEY_ID, grant_on, let_go, post, ready, replies, take_call, tool_call};

/// A gateway whose lease for the caller is cached, with one request let go.
fn warm_on(terms: &Value) {
    ready();
    assert_eq!(post(10, &tool_call("echo")), PAUSE);
    host::tick(1);
    grant_on(&take_call("/v1/leases"), &json!({}), terms);
}

/// What is shared, the figures for the gauges apart.
fn shared() -> BTreeMap<String, Vec<u8>> {
    let all = host::with(|host| host.shared.clone());
    let all = all.into_iter().map(|(key, (value, _))| (String::from_utf8(key).expect("text"), value));
    all.filter(|(key, _)| key != "portcullis.pulse").collect()
}

fn shared_keys() -> Vec<String> {
    shared().into_keys().collect()
}

#[test]
fn a_counter_is_kept_by_the_host_and_changed_by_compare_and_set() {
    warm_on(
        &json!({"rates": [{"counter": "c", "name": "key/limits:c", "requests": 2, "window_ms": 86_400_000}]}),
    );
    assert_eq!(shared_keys(), ["portcullis.rate.c"]);
    // Somebody is always faster.
    host::with(|host| host.fails.insert("proxy_set_shared_data", 8));
    assert_eq!(post(11, &tool_call("echo")), PAUSE);
    assert_eq!(replies(11), [(429, "portcullis_rate_limited".to_owned())]);
    host::with(|host| host.fails.clear());
    let_go(12);
    assert_eq!(post(13, &tool_call("echo")), PAUSE);
    assert_eq!(replies(13), [(429, "portcullis_rate_limited".to_owned())]);
}

#[test]
fn requests_under_way_are_told_and_taken_back() {
    warm_on(&json!({"concurrency": 2}));
    let_go(11);
    assert_eq!(post(12, &tool_call("echo")), PAUSE);
    assert_eq!(replies(12), [(429, "portcullis_too_many_at_once".to_owned())]);
    host::end(12);
    host::end(10);
    let_go(13);
    host::end(11);
    host::end(13);
    assert_eq!(shared(), [("portcullis.running.server-1".to_owned(), Vec::new())].into());
}

#[test]
fn a_host_that_shares_nothing_lets_nothing_limited_pass() {
    warm_on(&json!({"concurrency": 2}));
    for function in ["proxy_get_shared_data", "proxy_set_shared_data"] {
        host::with(|host| host.fails = [(function, 10)].into());
        assert_eq!(post(11, &tool_call("echo")), PAUSE);
        assert_eq!(replies(11), [(503, "portcullis_limits_unavailable".to_owned())], "{function}");
        host::end(11);
    }
    host::with(|host| host.fails.clear());
    assert_eq!(post(12, &tool_call("echo")), CONTINUE);
}

#[test]
fn who_asks_for_what_is_told_before_the_request_goes_on() {
    warm_on(&json!({}));
    let_go(11);
    let told = host::with(|host| host.stream(11).filter_state.clone());
    let expected = [
        ("workspace", "core"),
        ("caller", "member-1"),
        ("key", KEY_ID),
        ("server", "demo"),
        ("name", "echo"),
    ];
    for (field, value) in expected {
        assert_eq!(told.get(&format!("portcullis.{field}")).map(String::as_str), Some(value), "{told:?}");
    }
}
