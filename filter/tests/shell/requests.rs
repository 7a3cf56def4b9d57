//! The shell as Envoy sees it: callbacks in, host calls out, with the real core in between.

use crate::fake_host::{self as host, CONTINUE, Event, PAUSE};
use crate::gateway::{
    FAST, INITIALIZE, ROOT, SLOW, api_key, events, grant, grant_within, let_go, post, post_headers, ready,
    replies, start, take_call, tick_period, tool_call, warm,
};
use serde_json::json;

#[test]
fn a_request_waits_for_its_lease_and_goes_on_with_new_headers() {
    ready();
    host::create_stream(10, ROOT);
    assert_eq!(host::request_headers(10, post_headers(), false), PAUSE);
    assert_eq!(tick_period(ROOT), FAST, "the root context is to send the call at once");
    assert_eq!(host::request_body(10, tool_call("echo").as_bytes(), true), PAUSE);
    host::tick(ROOT);
    assert_eq!(tick_period(ROOT), SLOW);
    let call = take_call("/v1/leases");
    assert_eq!((call.context, call.header(":method"), call.timeout_ms), (ROOT, "POST", 800));
    let asked = String::from_utf8(call.body.clone()).expect("text");
    assert!(asked.contains(r#""server":"demo""#) && !asked.contains(&api_key()), "{asked}");
    assert!(events(10).is_empty());

    grant(&call);
    let events = events(10);
    let [Event::RequestHeaders(headers), Event::ClearRouteCache, Event::Continue] = events.as_slice() else {
        panic!("one header map, one route, one resumption: {events:?}")
    };
    let expected = host::headers(&[
        (":authority", "mcp.example"),
        (":path", "/mcp"),
        ("authorization", "Bearer upstream"),
        ("x-portcullis-upstream", "tls"),
        // Without it Envoy finds no route.
        ("x-forwarded-proto", "https"),
    ]);
    for pair in &expected {
        assert_eq!(headers.iter().filter(|(name, _)| *name == pair.0).collect::<Vec<_>>(), [pair]);
    }
}

#[test]
fn a_request_with_a_cached_lease_makes_no_call() {
    warm();
    let calls_before = host::with(|host| host.calls.len());
    let_go(11);
    assert!(matches!(events(11).as_slice(), [Event::RequestHeaders(_), Event::ClearRouteCache]));
    assert_eq!(host::with(|host| host.calls.len()), calls_before);
    assert_eq!(tick_period(ROOT), SLOW);
}

#[test]
fn a_slow_body_is_held_until_its_end() {
    warm();
    host::create_stream(11, ROOT);
    assert_eq!(host::request_headers(11, post_headers(), false), PAUSE);
    for part in INITIALIZE.as_bytes().chunks(10) {
        assert_eq!(host::request_body(11, part, false), PAUSE);
        assert!(events(11).is_empty());
    }
    assert_eq!(host::request_body(11, b"", true), CONTINUE);
    assert!(matches!(events(11).as_slice(), [Event::RequestHeaders(_), Event::ClearRouteCache]));
}

#[test]
fn trailers_end_the_body_and_do_not_reach_the_upstream() {
    warm();
    host::create_stream(11, ROOT);
    assert_eq!(host::request_headers(11, post_headers(), false), PAUSE);
    assert_eq!(host::request_body(11, tool_call("echo").as_bytes(), false), PAUSE);
    assert_eq!(host::request_trailers(11, host::headers(&[("authorization", "Bearer x")])), CONTINUE);
    let events = events(11);
    assert!(
        matches!(events.as_slice(), [Event::RequestTrailers(none), Event::RequestHeaders(_), Event::ClearRouteCache] if none.is_empty()),
        "{events:?}"
    );
}

#[test]
fn a_get_goes_on_from_the_headers() {
    warm();
    let mut headers = post_headers();
    headers[0].1 = b"GET".to_vec();
    headers.retain(|(name, _)| name != b"content-type");
    host::create_stream(11, ROOT);
    assert_eq!(host::request_headers(11, headers, true), CONTINUE);
    assert!(matches!(events(11).as_slice(), [Event::RequestHeaders(_), Event::ClearRouteCache]));
}

#[test]
fn a_denied_call_is_answered_and_recorded() {
    warm();
    assert_eq!(post(11, &tool_call("forbidden")), PAUSE);
    let replies = replies(11);
    let [(_, details)] = replies.as_slice() else { panic!("one answer: {:?}", events(11)) };
    assert!(details.starts_with("portcullis_"), "{details}");
    assert_eq!(events(11).len(), 1, "nothing reaches the upstream");
    host::end(11);
    let state = host::with(|host| std::mem::take(&mut host.stream(11).filter_state));
    assert_eq!(state.get("portcullis.decision").map(String::as_str), Some("deny"), "{state:?}");
    assert_eq!(state.get("portcullis.name").map(String::as_str), Some("forbidden"), "{state:?}");
}

/// A stream whose lease, which is granted while it waits, is good in one network only.
fn from(source: Option<&[u8]>) -> (Vec<(u32, String)>, u32) {
    ready();
    host::with(|host| host.source_address = source.map(<[u8]>::to_vec));
    assert_eq!(post(10, &tool_call("echo")), PAUSE);
    host::tick(ROOT);
    grant_within(&take_call("/v1/leases"), &json!({"sources": ["192.0.2.0/24"]}));
    (replies(10), host::with(|host| host.source_asked))
}

#[test]
fn the_host_is_asked_for_the_address_of_the_stream_that_needs_it() {
    assert_eq!(from(Some(b"192.0.2.7:40000")), (vec![], 1));
    assert!(events(10).contains(&Event::Continue), "{:?}", events(10));
    // The lease is cached, and the next client may be elsewhere.
    host::with(|host| host.source_address = Some(b"203.0.113.7:40000".to_vec()));
    host::create_stream(11, ROOT);
    assert_eq!(host::request_headers(11, post_headers(), false), PAUSE);
    assert_eq!(replies(11), [(403, "portcullis_source_not_allowed".to_owned())]);
}

#[test]
fn without_an_address_there_is_no_network() {
    for source in [None, Some(b"".as_slice()), Some(b"\xff"), Some(b"192.0.2.7"), Some(b"pipe")] {
        let source = source.map(<[u8]>::to_vec);
        // A thread of its own is a VM of its own.
        let told = std::thread::spawn(move || (from(source.as_deref()).0, source)).join().expect("no panic");
        let admitted = told.1.as_deref() == Some(b"192.0.2.7");
        assert_eq!(
            told.0.iter().map(|(status, _)| *status).collect::<Vec<_>>(),
            [403].repeat(usize::from(!admitted))
        );
    }
}

#[test]
fn a_lease_for_every_network_asks_for_no_address() {
    warm();
    let_go(11);
    assert_eq!(host::with(|host| host.source_asked), 0);
}

#[test]
fn a_preflight_is_answered_without_a_body() {
    start();
    host::create_stream(10, ROOT);
    let headers = [
        (":method", "OPTIONS"),
        (":scheme", "https"),
        (":authority", "gateway.example"),
        (":path", "/demo/mcp"),
        ("origin", "https://gateway.example"),
        ("access-control-request-method", "POST"),
    ];
    assert_eq!(host::request_headers(10, host::headers(&headers), true), PAUSE);
    let events = events(10);
    let [Event::Reply { status: 204, headers, body, details }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((body.len(), details.as_str()), (0, "portcullis_preflight"));
    let allowed = (b"access-control-allow-origin".to_vec(), b"https://gateway.example".to_vec());
    assert!(headers.contains(&allowed), "{headers:?}");
}

#[test]
fn a_denial_after_a_wait_is_answered_from_the_root_context() {
    ready();
    assert_eq!(post(10, &tool_call("forbidden")), PAUSE);
    host::tick(ROOT);
    grant(&take_call("/v1/leases"));
    assert_eq!(replies(10).len(), 1);
    assert_eq!(events(10).len(), 1);
    // Whatever still arrives meets a stream that is over.
    assert_eq!(host::request_body(10, b"more", true), PAUSE);
    assert_eq!(events(10).len(), 1);
}

fn refused_by_lease_reply(reply: Option<(host::Headers, Vec<u8>)>) {
    ready();
    assert_eq!(post(10, &tool_call("echo")), PAUSE);
    host::tick(ROOT);
    host::answer(&take_call("/v1/leases"), reply);
    assert_eq!(replies(10).iter().map(|(status, _)| *status).collect::<Vec<_>>(), [503]);
    assert_eq!(events(10).len(), 1);
}

#[test]
fn a_lease_call_that_is_reset_is_an_answer_to_the_client() {
    refused_by_lease_reply(None);
}

#[test]
fn a_reply_that_envoy_made_up_decides_nothing() {
    refused_by_lease_reply(Some((host::headers(&[(":status", "503")]), b"no healthy upstream".to_vec())));
}

#[test]
fn a_call_that_the_host_refuses_is_an_answer_to_the_client() {
    ready();
    assert_eq!(post(10, &tool_call("echo")), PAUSE);
    // No cluster of that name.
    host::with(|host| host.fails.insert("proxy_http_call", 2));
    host::tick(ROOT);
    assert_eq!(tick_period(ROOT), FAST, "the failure is to be reported soon");
    host::tick(ROOT);
    assert_eq!(replies(10).iter().map(|(status, _)| *status).collect::<Vec<_>>(), [503]);
    // Nothing loops: what is left is the watch, which backs off.
    host::tick(ROOT);
    assert_eq!(tick_period(ROOT), SLOW);
}

#[test]
fn a_client_that_leaves_takes_no_call_with_it() {
    ready();
    assert_eq!(post(10, &tool_call("echo")), PAUSE);
    host::tick(ROOT);
    let call = take_call("/v1/leases");
    host::end(10);
    grant(&call);
    assert!(events(10).is_empty());
    let_go(11);
}

#[test]
fn two_requests_share_one_call() {
    ready();
    for id in [10, 11] {
        assert_eq!(post(id, &tool_call("echo")), PAUSE);
    }
    host::tick(ROOT);
    grant(&take_call("/v1/leases"));
    for id in [10, 11] {
        assert_eq!(events(id).last(), Some(&Event::Continue));
    }
}

#[test]
fn bytes_above_0x7f_do_no_harm() {
    warm();
    let strange = || (b"x-strange".to_vec(), b"\xff\x80\xc3(".to_vec());
    host::create_stream(11, ROOT);
    let mut headers = post_headers();
    headers.push(strange());
    assert_eq!(host::request_headers(11, headers, false), PAUSE);
    assert_eq!(host::request_body(11, tool_call("echo").as_bytes(), true), CONTINUE);
    let mut headers = host::headers(&[(":status", "200"), ("content-type", "text/plain")]);
    headers.push(strange());
    host::response_headers(11, headers, false);
    host::response_body(11, b"\xff\xfe", true);
    // And from the token-service.
    let watch = take_call("/v1/watch");
    host::answer(&watch, Some((vec![(b":status".to_vec(), b"200".to_vec()), strange()], b"\xff".to_vec())));
    host::tick(ROOT);
}

#[test]
fn header_maps_that_make_no_sense_are_refused() {
    warm();
    for (id, raw) in [(11, b"\xff\xff\xff\xff".to_vec()), (12, vec![1, 0, 0, 0]), (13, Vec::new())] {
        host::with(|host| host.raw_map = Some(raw));
        host::create_stream(id, ROOT);
        assert_eq!(host::request_headers(id, post_headers(), false), PAUSE);
        host::with(|host| host.raw_map = None);
        assert_eq!(replies(id).len(), 1, "{:?}", events(id));
    }
    host::with(|host| host.null_results = Some(usize::MAX));
    host::create_stream(14, ROOT);
    assert_eq!(host::request_headers(14, post_headers(), false), PAUSE);
    host::with(|host| host.null_results = None);
    assert_eq!(replies(14).len(), 1);
}

#[test]
fn a_stream_that_envoy_answered_is_not_answered_again() {
    ready();
    assert_eq!(post(10, &tool_call("echo")), PAUSE);
    host::tick(ROOT);
    let call = take_call("/v1/leases");
    // The request's time is over: Envoy's own 408 passes by.
    assert_eq!(host::response_headers(10, host::headers(&[(":status", "408")]), false), CONTINUE);
    assert_eq!(host::response_body(10, b"request timeout", true), CONTINUE);
    grant(&call);
    assert!(events(10).is_empty());
    host::end(10);
}

#[test]
fn streams_may_end_at_any_point_and_in_any_order() {
    warm();
    let endings: [fn(u32); 4] = [
        host::end,
        |id| {
            host::done(id);
            host::log(id);
            host::delete(id);
        },
        |id| {
            host::done(id);
            host::delete(id);
        },
        host::delete,
    ];
    let mut id = 20;
    for end in endings {
        for progress in 0..5 {
            id += 1;
            host::create_stream(id, ROOT);
            if progress > 0 {
                host::request_headers(id, post_headers(), false);
            }
            if progress > 1 {
                host::request_body(id, &tool_call("echo").as_bytes()[..9], false);
            }
            if progress > 2 {
                host::request_body(id, &tool_call("echo").as_bytes()[9..], true);
            }
            if progress > 3 {
                let head = host::headers(&[(":status", "200"), ("content-type", "text/event-stream")]);
                host::response_headers(id, head, false);
                host::response_body(id, b"data: {", false);
            }
            end(id);
        }
    }
    // The worker is as good as before.
    let_go(90);
}

#[test]
fn a_request_that_no_configuration_covers_is_answered() {
    portcullis_filter::start();
    host::create_root(ROOT);
    assert!(!host::configure(ROOT, "{}"));
    host::create_stream(10, ROOT);
    assert_eq!(host::request_headers(10, post_headers(), false), PAUSE);
    assert_eq!(replies(10), [(500, "portcullis_internal_error".to_owned())]);
    assert_eq!(host::request_body(10, b"{}", true), PAUSE);
    host::end(10);
}

#[test]
fn the_host_is_asked_how_a_stream_ended_where_the_core_cannot_know() {
    warm();
    host::with(|host| {
        host.response_flags = Some(1 << 14);
        host.response_details = Some(b"downstream_remote_disconnect".to_vec());
    });
    let ended = |id| {
        host::end(id);
        host::with(|host| host.stream(id).filter_state.get("portcullis.ended").cloned())
    };
    let_go(11);
    assert_eq!(ended(11).as_deref(), Some("cancelled"));
    assert_eq!(post(12, &tool_call("forbidden")), PAUSE);
    assert_eq!(ended(12).as_deref(), Some("refused"));
    // A host that does not say, or says nonsense.
    host::with(|host| (host.response_flags, host.response_details) = (None, Some(vec![0xFF])));
    let_go(13);
    assert_eq!(ended(13).as_deref(), Some("cancelled"));
}
