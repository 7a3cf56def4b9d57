//! The watch: one poll at a time, patience after failures, and how far what it brought can be trusted.

use portcullis_filter_core::step::CallOutcome;
use portcullis_filter_core::watch::{Freshness, GRACE_MS, News, PollFailure, Watch};
use portcullis_wire::watch::{Invalidation, Registry, WatchReply};
use wasm_bindgen_test::wasm_bindgen_test;

const NOW: u64 = 1_800_000_000_000;
const HOLD: u64 = 1_000;
const BUDGET: u64 = 60_000;

fn watch() -> Watch {
    Watch::new("worker 1".into(), BUDGET)
}

fn reply(cursor: u64) -> WatchReply {
    WatchReply { cursor, reset: false, now_ms: NOW, hold_ms: HOLD, registry: None, invalidations: vec![] }
}

fn first_reply() -> WatchReply {
    WatchReply { registry: Some(Registry::default()), ..reply(3) }
}

fn answered(status: &str, marker: Option<&str>, body: &[u8]) -> CallOutcome {
    let mut headers = vec![(b":status".to_vec(), status.as_bytes().to_vec())];
    headers.extend(marker.map(|value| (b"x-portcullis-service".to_vec(), value.as_bytes().to_vec())));
    CallOutcome::Replied { headers, body: body.to_vec() }
}

fn good(reply: &WatchReply) -> CallOutcome {
    answered("200", Some("1"), &serde_json::to_vec(reply).expect("writes"))
}

/// A watch that has had its first answer, at [`NOW`].
fn synced() -> Watch {
    let mut watch = watch();
    watch.due(NOW, 1).expect("due at once");
    watch.on_reply(1, good(&first_reply()), NOW).expect("its poll").expect("good");
    watch
}

/// When the next poll is due, if not before `limit` milliseconds from `from_ms`; the poll is sent as `id`.
fn wait_for_poll(watch: &mut Watch, from_ms: u64, id: u64, limit: u64) -> Option<u64> {
    (0..=limit).find(|wait| watch.due(from_ms + wait, id).is_some())
}

#[wasm_bindgen_test(unsupported = test)]
fn the_first_poll_asks_for_everything() {
    let mut watch = watch();
    assert_eq!(watch.freshness(NOW), Freshness::NeverSynced);
    let poll = watch.due(NOW, 1).expect("due at once");
    assert_eq!(poll.path_with_query, "/v1/watch?cursor=0&filter=worker+1");
    assert_eq!(watch.due(NOW + 1, 2), None, "one at a time");
    assert!(watch.is_poll(1) && !watch.is_poll(2));

    let news = watch.on_reply(1, good(&first_reply()), NOW + 5).expect("its poll").expect("good");
    assert_eq!(
        news,
        News { cursor: 3, reset: false, registry: Some(Registry::default()), invalidations: vec![] }
    );
    assert_eq!((watch.cursor(), watch.freshness(NOW + 5)), (3, Freshness::Fresh));
    let poll = watch.due(NOW + 5, 2).expect("the next at once");
    assert_eq!(poll.path_with_query, "/v1/watch?cursor=3&filter=worker+1");
    assert_eq!(poll.timeout_ms, HOLD + GRACE_MS);
}

#[wasm_bindgen_test(unsupported = test)]
fn news_is_handed_on_in_one_piece() {
    let mut watch = synced();
    watch.due(NOW, 2).expect("due");
    let sent = WatchReply {
        reset: true,
        invalidations: vec![Invalidation::Member("m1".into()), Invalidation::All],
        ..reply(9)
    };
    let news = watch.on_reply(2, good(&sent), NOW + 3).expect("its poll").expect("good");
    assert_eq!(news, News { cursor: 9, reset: true, registry: None, invalidations: sent.invalidations });
}

#[wasm_bindgen_test(unsupported = test)]
fn only_the_token_service_is_believed() {
    let body = serde_json::to_vec(&first_reply()).expect("writes");
    for (outcome, expected) in [
        (CallOutcome::Failed, PollFailure::NoReply),
        (answered("503", None, b"no healthy upstream"), PollFailure::NotTheService(Some(503))),
        (answered("200", None, &body), PollFailure::NotTheService(Some(200))),
        (answered("x", None, &body), PollFailure::NotTheService(None)),
        (answered("200", Some("2"), &body), PollFailure::OtherVersion("2".into())),
        (answered("500", Some("1"), &body), PollFailure::Status(500)),
        (answered("204", Some("1"), b""), PollFailure::Status(204)),
    ] {
        let mut watch = watch();
        watch.due(NOW, 1).expect("due");
        let failure = watch.on_reply(1, outcome, NOW).expect("its poll").expect_err("a failure");
        assert!(!failure.to_string().is_empty());
        assert_eq!(failure, expected);
        assert_eq!(watch.freshness(NOW), Freshness::NeverSynced);
    }
    for body in
        [&b"{"[..], b"", b"[]", b"{\"cursor\":\"3\"}", &serde_json::to_vec(&reply(3)).expect("writes")]
    {
        let mut watch = watch();
        watch.due(NOW, 1).expect("due");
        let failure = watch.on_reply(1, answered("200", Some("1"), body), NOW).expect("its poll");
        assert!(matches!(failure, Err(PollFailure::Unreadable(_))), "{failure:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn failures_are_met_with_growing_patience_that_differs_between_workers() {
    let mut watch = synced();
    let mut other = Watch::new("worker 2".into(), BUDGET);
    let mut now_ms = NOW;
    let mut differs = false;
    watch.due(NOW, 0).expect("due");
    other.due(NOW, 0).expect("due");
    for (attempt, longest) in [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000].into_iter().enumerate() {
        let id = attempt as u64;
        assert!(watch.on_reply(id, CallOutcome::Failed, now_ms).expect("its poll").is_err());
        assert!(other.on_reply(id, CallOutcome::Failed, now_ms).expect("its poll").is_err());
        let wait = wait_for_poll(&mut watch, now_ms, id + 1, 10_000).expect("tries again");
        let other_wait = wait_for_poll(&mut other, now_ms, id + 1, 10_000).expect("tries again");
        assert!((longest / 2..=longest).contains(&wait), "{wait} of {longest}");
        differs |= wait != other_wait;
        now_ms += wait.max(other_wait);
    }
    assert!(differs);

    assert!(watch.on_reply(8, good(&reply(4)), now_ms).expect("its poll").is_ok());
    watch.due(now_ms, 9).expect("at once");
    assert!(watch.on_reply(9, CallOutcome::Failed, now_ms).expect("its poll").is_err());
    let wait = wait_for_poll(&mut watch, now_ms, 10, 10_000).expect("tries again");
    assert!(wait <= 250, "patience starts anew after an answer: {wait}");
}

#[wasm_bindgen_test(unsupported = test)]
fn empty_answers_before_their_time_do_not_make_it_spin() {
    let mut watch = synced();
    let mut polls = 0;
    for now_ms in NOW..NOW + 10_000 {
        if watch.due(now_ms, now_ms).is_some() {
            polls += 1;
            assert!(watch.on_reply(now_ms, good(&reply(3)), now_ms).expect("its poll").is_ok());
        }
    }
    assert!((2..12).contains(&polls), "{polls} polls in 10 s");

    let mut watch = synced();
    watch.due(NOW, 2).expect("due");
    watch.on_reply(2, good(&reply(3)), NOW + HOLD).expect("its poll").expect("good");
    assert!(watch.due(NOW + HOLD, 3).is_some(), "empty after the hold is how it should be");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lost_reply_is_given_up_and_does_not_count_later() {
    let mut watch = synced();
    watch.due(NOW, 2).expect("due");
    let lost_at = NOW + HOLD + 2 * GRACE_MS;
    assert_eq!(watch.due(lost_at, 3), None);
    let wait = wait_for_poll(&mut watch, lost_at + 1, 3, 250).expect("tries again");
    assert_eq!(watch.on_reply(2, good(&reply(9)), lost_at + wait + 2), None);
    assert_eq!(watch.cursor(), 3);
    assert!(watch.is_poll(3));
}

#[wasm_bindgen_test(unsupported = test)]
fn trust_runs_out_in_two_steps() {
    let watch = synced();
    let since_ms = NOW + HOLD + GRACE_MS;
    assert_eq!(watch.freshness(since_ms), Freshness::Fresh);
    assert_eq!(watch.freshness(since_ms + 1), Freshness::Stale { since_ms });
    assert_eq!(watch.freshness(since_ms + BUDGET), Freshness::Stale { since_ms });
    assert_eq!(watch.freshness(since_ms + BUDGET + 1), Freshness::Expired);

    let mut strict = synced();
    strict.set_staleness_budget(0);
    assert_eq!(strict.freshness(since_ms + 1), Freshness::Expired);
    strict.due(since_ms + 1, 2).expect("due");
    strict.on_reply(2, good(&reply(3)), since_ms + 2).expect("its poll").expect("good");
    assert_eq!(strict.freshness(since_ms + 2), Freshness::Fresh, "and comes back with an answer");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_failure_brings_no_trust_and_a_huge_hold_neither() {
    let mut watch = synced();
    watch.due(NOW, 2).expect("due");
    let failed = watch.on_reply(2, answered("503", None, b""), NOW + HOLD).expect("its poll");
    assert!(failed.is_err());
    assert!(matches!(watch.freshness(NOW + HOLD + GRACE_MS + 1), Freshness::Stale { .. }));

    let mut watch = synced();
    watch.due(NOW, 2).expect("due");
    let endless = WatchReply { hold_ms: u64::MAX, ..reply(4) };
    watch.on_reply(2, good(&endless), NOW).expect("its poll").expect("good");
    assert_eq!(watch.freshness(NOW + 32_001), Freshness::Stale { since_ms: NOW + 32_000 });
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cursor_that_goes_backwards_is_another_store() {
    let mut watch = synced();
    watch.due(NOW, 2).expect("due");
    let news = watch.on_reply(2, good(&reply(1)), NOW).expect("its poll").expect("good");
    assert!(news.reset);
    assert_eq!(watch.due(NOW, 3).expect("at once").path_with_query, "/v1/watch?cursor=0&filter=worker+1");
    let everything = WatchReply { registry: Some(Registry::default()), ..reply(1) };
    let news = watch.on_reply(3, good(&everything), NOW).expect("its poll").expect("good");
    assert!(!news.reset && news.registry.is_some());
    assert_eq!(watch.cursor(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn tokens_are_judged_by_the_token_services_clock() {
    let mut watch = watch();
    assert_eq!(watch.service_time_ms(NOW), NOW);
    for offset in [-300_000_i64, 0, 300_000] {
        let now_ms = NOW.saturating_add_signed(-offset);
        watch.due(now_ms, 1).expect("due");
        watch.on_reply(1, good(&first_reply()), now_ms).expect("its poll").expect("good");
        assert_eq!(watch.clock_offset_ms(), offset);
        assert_eq!(watch.service_time_ms(now_ms + 7), NOW + 7);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_put_back_lengthens_no_trust_and_stops_no_poll() {
    let mut watch = synced();
    assert_eq!(watch.freshness(NOW - GRACE_MS), Freshness::Fresh);
    assert_eq!(watch.freshness(NOW - GRACE_MS - 1), Freshness::Expired);
    watch.due(NOW, 2).expect("due");
    assert!(watch.on_reply(2, CallOutcome::Failed, NOW).expect("its poll").is_err());
    assert!(watch.due(NOW - 60_000, 3).is_some());
}
