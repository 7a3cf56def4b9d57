//! Which calls belong to a client's trace.

use portcullis_wire::unconnected::SESSION_PREFIX;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{Gateway, Request, call, granted, header, legacy_call};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// What the first call for a lease says.
fn on_lease(request: &Request) -> Option<String> {
    let mut gateway = Gateway::ready();
    gateway.open(request);
    let call = gateway.take_call("/v1/leases");
    header(&call.headers, "traceparent").map(str::to_owned)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lease_is_asked_for_in_the_clients_trace() {
    assert_eq!(on_lease(&call("search").with("traceparent", TRACE)).as_deref(), Some(TRACE));
    assert_eq!(on_lease(&call("search")), None);
    for bad in ["00-nonsense", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", ""] {
        assert_eq!(on_lease(&call("search").with("traceparent", bad)), None, "{bad}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_call_that_several_share_is_in_the_trace_of_the_first() {
    let mut gateway = Gateway::ready();
    gateway.open(&call("search").with("traceparent", TRACE));
    gateway.open(&call("search").with("traceparent", OTHER));
    let call = gateway.take_call("/v1/leases");
    assert_eq!(header(&call.headers, "traceparent"), Some(TRACE));
}

/// The message is read when the lease is there; its word on the trace counts from then on, and not against the header's.
#[wasm_bindgen_test(unsupported = test)]
fn the_message_may_name_the_trace_too() {
    let session = format!("{SESSION_PREFIX}x");
    for (in_header, in_message, expected) in
        [(None, TRACE, Some(TRACE)), (Some(OTHER), TRACE, Some(OTHER)), (None, "00-nonsense\r\nx: y", None)]
    {
        let mut gateway = Gateway::knowing(&granted(&[]));
        let mut request = legacy_call("search").with("mcp-session-id", &session);
        if let Some(trace) = in_header {
            request = request.with("traceparent", trace);
        }
        let mut message: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        message["params"]["_meta"] = json!({"traceparent": in_message});
        let body = message.to_string();
        let request = request.with("content-length", &body.len().to_string());
        let stream = gateway.open(&request);
        gateway.send_body(stream, body.as_bytes());
        let call = gateway.take_call("/v1/sessions");
        assert_eq!(header(&call.headers, "traceparent"), expected, "{in_message}");
        let logged = expected.map(|trace| trace[3..35].to_owned());
        assert_eq!(gateway.record(stream).get("trace_id").cloned(), logged);
    }
}
