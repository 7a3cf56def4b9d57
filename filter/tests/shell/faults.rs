//! Every host function failing with every status, at every stage: nothing panics, and nothing passes undecided.

use crate::fake_host::{self as host, CONTINUE, Event, Host};
use crate::gateway::{
    CLUSTER, ROOT, answer_watch, api_key, configuration, events, grant_on, marked, post_headers, tool_call,
};
use serde_json::json;

const FUNCTIONS: [&str; 20] = [
    "proxy_log",
    "proxy_get_log_level",
    "proxy_get_current_time_nanoseconds",
    "proxy_set_tick_period_milliseconds",
    "proxy_set_effective_context",
    "proxy_get_header_map_pairs",
    "proxy_set_header_map_pairs",
    "proxy_get_buffer_bytes",
    "proxy_set_buffer_bytes",
    "proxy_continue_stream",
    "proxy_close_stream",
    "proxy_send_local_response",
    "proxy_get_property",
    "proxy_set_property",
    "proxy_call_foreign_function",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
];

/// Those of the ABI, and some that it does not have.
const STATUSES: [u32; 13] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 99, u32::MAX];

/// When the fault begins.
const STAGES: u32 = 9;

/// A gateway's life from its configuration to its last request, in which `fault` sets in at a stage. Returns which
/// requests went on to the upstream.
fn live(stage: u32, fault: fn(&mut Host, u32), status: u32) -> Vec<(u32, bool)> {
    let at = |now: u32| {
        if now == stage {
            host::with(|host| fault(host, status));
        }
    };
    let answer_calls = || {
        for call in host::with(|host| host.calls.clone()) {
            match call.header(":path") {
                "/v1/leases" => {
                    let rate =
                        json!({"counter": "c", "name": "key/limits:c", "requests": 9, "window_ms": 1000});
                    let terms = json!({"rates": [rate], "concurrency": 9});
                    grant_on(&call, &json!({"sources": ["192.0.2.0/24"]}), &terms);
                }
                "/mcp" => {
                    host::answer(&call, Some(marked(&json!({"jsonrpc": "2.0", "id": 7, "result": {}}))));
                }
                _ => answer_watch(&call),
            }
        }
    };
    portcullis_filter::start();
    host::with(|host| host.source_address = Some(b"192.0.2.7:40000".to_vec()));
    host::create_root(ROOT);
    at(0);
    host::configure(ROOT, &configuration(CLUSTER));
    at(1);
    host::tick(ROOT);
    answer_calls();
    at(2);
    // The first waits for its lease; the second is denied; the third has a body in parts and trailers.
    let went_on = [(10, "echo"), (11, "forbidden"), (12, "echo")].map(|(id, tool)| {
        host::create_stream(id, ROOT);
        let mut continued = host::request_headers(id, post_headers(), false) == CONTINUE;
        at(3);
        let body = tool_call(tool);
        let (first, last) = body.as_bytes().split_at(9);
        continued |= host::request_body(id, first, false) == CONTINUE;
        continued |= if id == 12 {
            host::request_body(id, last, false) == CONTINUE
                || host::request_trailers(id, Vec::new()) == CONTINUE
        } else {
            host::request_body(id, last, true) == CONTINUE
        };
        host::tick(ROOT);
        at(4);
        answer_calls();
        host::tick(ROOT);
        (id, continued || events(id).contains(&Event::Continue))
    });
    at(5);
    // The credential of the first is refused: it is renewed, and the request sent again.
    let refused = host::headers(&[(":status", "401"), ("www-authenticate", "Bearer")]);
    host::response_headers(10, refused, false);
    host::response_body(10, b"no", true);
    at(6);
    host::tick(ROOT);
    answer_calls();
    at(7);
    host::tick(ROOT);
    answer_calls();
    host::end(10);
    for id in [11, 12] {
        let head = host::headers(&[(":status", "200"), ("content-type", "text/event-stream")]);
        host::response_headers(id, head, false);
        host::response_body(id, b"data: {\"jsonrpc\":", false);
        at(8);
        host::response_body(id, b"\"2.0\"}\n\n", false);
        host::response_trailers(id);
        host::end(id);
    }
    host::done(ROOT);
    host::delete(ROOT);
    went_on.to_vec()
}

fn check(name: &str, fault: fn(&mut Host, u32), status: u32) {
    for stage in 0..STAGES {
        // A thread of its own is a VM of its own.
        let outcome = std::thread::spawn(move || {
            let went_on = live(stage, fault, status);
            for (id, went_on) in went_on {
                let events = events(id);
                let replaced =
                    events.iter().filter(|event| matches!(event, Event::RequestHeaders(_))).count();
                let answered = events.iter().filter(|event| matches!(event, Event::Reply { .. })).count();
                assert!(!went_on || replaced == 1, "{id} went on with the client's headers: {events:?}");
                assert!(!went_on || id != 11, "{id} is denied: {events:?}");
                assert!(answered <= 1, "{id}: {events:?}");
            }
            let log = host::with(|host| std::mem::take(&mut host.log));
            for (_, line) in log {
                assert!(
                    !line.contains(&api_key()) && !line.contains("Bearer"),
                    "a secret in the log: {line}"
                );
            }
        })
        .join();
        assert!(outcome.is_ok(), "{name} with {status} from stage {stage}");
    }
}

#[test]
fn without_a_fault_the_story_is_as_told() {
    assert_eq!(live(STAGES, |_, _| {}, 0), [(10, true), (11, false), (12, true)]);
    let renewed = |event: &Event| matches!(event, Event::Reply { status: 200, .. });
    assert!(events(10).iter().any(renewed), "{:?}", events(10));
}

macro_rules! every_status {
    ($($index:literal)*) => {
        #[test]
        fn every_function_may_fail_with_every_status() {
            for status in STATUSES {
                $(check(FUNCTIONS[$index], |host, status| { host.fails.insert(FUNCTIONS[$index], status); }, status);)*
            }
        }
    };
}

every_status!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);

#[test]
fn calls_may_be_refused() {
    // The two statuses that the SDK, which sends them, does not take for the end of the world.
    for status in [2, 10] {
        check(
            "proxy_http_call",
            |host, status| {
                host.fails.insert("proxy_http_call", status);
            },
            status,
        );
    }
}

#[test]
fn results_may_be_nonsense() {
    for size in [0, 1, 4096, u32::MAX] {
        check("null pointer", |host, size| host.null_results = Some(size as usize), size);
        check("header map", |host, size| host.raw_map = Some(size.to_le_bytes().to_vec()), size);
    }
}
