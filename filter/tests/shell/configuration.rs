//! Root contexts: configuration, updates, ticks.

use crate::fake_host as host;
use crate::gateway::{
    CLUSTER, FAST, ROOT, SLOW, answer_watch, calls, configuration, let_go, ready, start, take_call,
    tick_period, warm,
};

const NEW_ROOT: u32 = 2;

#[test]
fn configuration_starts_the_watch_from_the_root_context() {
    start();
    assert_eq!(tick_period(ROOT), FAST);
    assert!(host::with(|host| host.calls.is_empty()), "nothing is sent while configuring: it may be a trial");
    host::tick(ROOT);
    let watch = take_call("/v1/watch");
    assert_eq!((watch.context, watch.cluster.as_str()), (ROOT, CLUSTER));
    assert_eq!((watch.header(":method"), watch.header(":authority")), ("GET", "token-service"));
    assert!(watch.timeout_ms > 1000, "longer than the token-service holds it");
    assert_eq!(tick_period(ROOT), SLOW);
}

#[test]
fn a_bad_configuration_is_refused_with_every_problem_in_the_log() {
    portcullis_filter::start();
    host::create_root(ROOT);
    let bad = r#"{"config_version": 1, "body_gate": "hold", "public_url": "ftp://x", "token_service": {"authority": "a"}, "extra": 1}"#;
    assert!(!host::configure(ROOT, bad));
    let log = host::with(|host| host.log.clone());
    let [(4, line)] = log.as_slice() else { panic!("one error: {log:?}") };
    for key in ["public_url", "token_service.cluster", "extra"] {
        assert!(line.contains(key), "{key}: {line}");
    }
    assert!(!host::configure(ROOT, ""));
    assert!(!host::configure(ROOT, "\u{0}"));
}

#[test]
fn after_an_update_only_the_new_root_context_acts() {
    warm();
    host::create_root(NEW_ROOT);
    assert!(host::configure(NEW_ROOT, &configuration("elsewhere")));
    assert_eq!(tick_period(NEW_ROOT), FAST);
    // What is cached stays cached, for streams under either root context.
    let_go(20);
    // The watch of the old root context still counts, but goes on under the new one.
    let watch = take_call("/v1/watch");
    assert_eq!(watch.context, ROOT);
    answer_watch(&watch);
    assert!(calls("/v1/watch").is_empty());
    host::tick(ROOT);
    assert!(calls("/v1/watch").is_empty());
    host::tick(NEW_ROOT);
    let watch = take_call("/v1/watch");
    assert_eq!((watch.context, watch.cluster.as_str()), (NEW_ROOT, "elsewhere"));
}

#[test]
fn calls_that_went_with_their_root_context_are_made_again() {
    ready();
    let old_watch = take_call("/v1/watch");
    host::create_root(NEW_ROOT);
    assert!(host::configure(NEW_ROOT, &configuration(CLUSTER)));
    host::done(ROOT);
    host::delete(ROOT);
    assert_eq!(old_watch.context, ROOT);
    assert!(calls("/v1/watch").is_empty());
    let mut ticks = 0;
    while calls("/v1/watch").is_empty() {
        host::with(|host| host.now_ms += 250);
        host::tick(NEW_ROOT);
        ticks += 1;
        assert!(ticks < 10, "the watch never starts again");
    }
    assert_eq!(take_call("/v1/watch").context, NEW_ROOT);
}

#[test]
fn an_update_that_is_taken_back_leaves_the_old_root_context_acting() {
    warm();
    host::create_root(NEW_ROOT);
    assert!(host::configure(NEW_ROOT, &configuration("elsewhere")));
    host::done(NEW_ROOT);
    host::delete(NEW_ROOT);
    answer_watch(&take_call("/v1/watch"));
    let watch = take_call("/v1/watch");
    assert_eq!((watch.context, watch.cluster.as_str()), (ROOT, CLUSTER));
}

#[test]
fn a_refused_update_changes_nothing() {
    warm();
    host::create_root(NEW_ROOT);
    assert!(!host::configure(NEW_ROOT, "{}"));
    host::delete(NEW_ROOT);
    answer_watch(&take_call("/v1/watch"));
    assert_eq!(take_call("/v1/watch").context, ROOT);
    let_go(20);
}
