//! What is counted, in the host's metrics.

use std::collections::BTreeMap;

use crate::fake_host::{self as host, CONTINUE};
use crate::gateway::{CLUSTER, ROOT, configuration, grant, post_headers, ready, take_call, tool_call};

const REQUESTS: &str = "mcp_server=.=demo;.;mcp_method=.=tools/call;.;mcp_decision=.=allow;.;mcp_outcome=.=ok;.;\
                        portcullis_requests_total";

/// The sum of what each series was given.
fn sums() -> BTreeMap<String, u64> {
    host::with(|host| {
        let mut all = BTreeMap::new();
        for metric in &host.metrics {
            assert!(!all.contains_key(&metric.name), "{} is defined twice", metric.name);
            all.insert(metric.name.clone(), metric.values.iter().sum());
        }
        all
    })
}

/// A call that goes to the upstream and comes back.
fn call(id: u32, root: u32) {
    host::create_stream(id, root);
    host::request_headers(id, post_headers(), false);
    if host::request_body(id, tool_call("echo").as_bytes(), true) != CONTINUE {
        host::tick(root);
        grant(&take_call("/v1/leases"));
    }
    let head = host::headers(&[(":status", "200"), ("content-type", "application/json")]);
    host::response_headers(id, head, false);
    host::response_body(id, br#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#, true);
    host::end(id);
}

#[test]
fn a_request_counts_at_the_next_tick_and_calls_no_host_for_it() {
    ready();
    host::tick(ROOT);
    let before = sums();
    call(10, ROOT);
    call(11, ROOT);
    host::tick(ROOT);
    let after = sums();
    assert_eq!(before.get(REQUESTS), None);
    assert_eq!(after.get(REQUESTS), Some(&2), "{after:#?}");
    let count = |name: &str| after.get(name).copied();
    assert_eq!(count("mcp_result=.=hit;.;portcullis_lease_lookups_total"), Some(1), "{after:#?}");
    assert_eq!(count("mcp_result=.=miss;.;portcullis_lease_lookups_total"), Some(1));
    assert_eq!(count("mcp_call=.=lease;.;mcp_result=.=granted;.;portcullis_calls_total"), Some(1));
    assert_eq!(count("mcp_call=.=watch;.;mcp_result=.=ok;.;portcullis_calls_total"), Some(1));
    let gauge = host::with(|host| {
        let metric = host.metrics.iter().find(|metric| metric.name == "portcullis_vms");
        metric.and_then(|metric| metric.values.last().copied())
    });
    assert_eq!(gauge, Some(1), "what was said last");
}

#[test]
fn a_configuration_update_defines_nothing_again() {
    ready();
    call(10, ROOT);
    host::tick(ROOT);
    host::create_root(ROOT + 1);
    assert!(host::configure(ROOT + 1, &configuration(CLUSTER)));
    call(11, ROOT + 1);
    host::tick(ROOT + 1);
    assert_eq!(sums().get(REQUESTS), Some(&2), "{:#?}", sums());
}

#[test]
fn a_host_without_metrics_is_asked_again_and_harms_nothing() {
    host::with(|host| host.fails.insert("proxy_define_metric", 12));
    ready();
    call(10, ROOT);
    host::tick(ROOT);
    assert!(sums().is_empty());
    host::with(|host| host.fails.remove("proxy_define_metric"));
    call(11, ROOT);
    host::tick(ROOT);
    assert_eq!(sums().get(REQUESTS), Some(&1));
}

#[test]
fn a_vm_whose_watch_fails_says_so() {
    ready();
    host::tick(ROOT);
    host::answer(&take_call("/v1/watch"), None);
    host::tick(ROOT);
    let sums = sums();
    assert_eq!(
        sums.get("mcp_call=.=watch;.;mcp_result=.=failed;.;portcullis_calls_total"),
        Some(&1),
        "{sums:#?}"
    );
}
