//! Pages of other origins: what their browsers may ask, send and read.

use portcullis_filter_core::reply::LocalReply;
use portcullis_filter_core::step::{Headers, ResponseChunk, ResponseHead, Step};
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{
    Gateway, JSON, Request, body_of, call, connect_required, denying, granted_by_connection, header, let_go,
    marked, reply,
};

const APP: &str = "https://app.example";

fn preflight(origin: &str) -> Request {
    let bare = call("search").with(":method", "OPTIONS");
    let bare = [
        "content-type",
        "content-length",
        "x-portcullis-api-key",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
    ]
    .into_iter()
    .fold(bare, |request, name| request.without(name));
    bare.with("origin", origin).with("access-control-request-method", "POST")
}

fn values<'a>(reply: &'a LocalReply, name: &str) -> Vec<&'a str> {
    let found = reply.headers.iter().filter(|(header, _)| header == name);
    found.map(|(_, value)| value.as_str()).collect()
}

fn is_marked(reply: &LocalReply) {
    assert_eq!(values(reply, "access-control-allow-origin"), [APP], "{reply:?}");
    assert_eq!(values(reply, "vary"), ["Origin"], "{reply:?}");
    let exposed = values(reply, "access-control-expose-headers").join(",");
    for name in ["WWW-Authenticate", "Mcp-Session-Id", "MCP-Protocol-Version", "Retry-After", "x-request-id"]
    {
        assert!(exposed.contains(name), "{name}: {exposed}");
    }
    assert_eq!(values(reply, "access-control-allow-credentials"), [""; 0]);
}

fn marks(headers: &Headers) -> usize {
    headers.iter().filter(|(name, _)| name.starts_with(b"access-control-")).count()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_preflight_needs_no_credential_no_lease_and_no_token_service() {
    for mut gateway in [Gateway::new(), Gateway::ready()] {
        for path in ["/demo/mcp", "/nobody/mcp", "/core/demo/mcp"] {
            let asked = "authorization,content-type,mcp-protocol-version,mcp-param-region";
            let request = preflight(APP).with(":path", path).with("access-control-request-headers", asked);
            let yes = reply(gateway.open_bodiless(&request));
            assert_eq!((yes.status, yes.body.len(), yes.details.as_str()), (204, 0, "portcullis_preflight"));
            assert_eq!(values(&yes, "access-control-allow-origin"), [APP]);
            assert_eq!(values(&yes, "access-control-allow-methods"), ["POST, GET, DELETE"]);
            assert_eq!(values(&yes, "access-control-max-age"), ["600"]);
            assert_eq!(values(&yes, "vary"), ["Origin"]);
            let [allowed] = values(&yes, "access-control-allow-headers")[..] else { panic!("once") };
            let allowed: Vec<&str> = allowed.split(", ").collect();
            for name in asked.split(',').chain(["x-portcullis-api-key", "mcp-session-id", "last-event-id"]) {
                assert!(allowed.contains(&name), "{name}: {allowed:?}");
            }
            let stream = gateway.last_stream();
            let record = gateway.record(stream);
            assert_eq!((record["decision"].as_str(), record["rule"].as_str()), ("allow", "preflight"));
        }
        assert!(gateway.tick().is_empty(), "nobody was asked");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn other_origins_and_other_options_are_refused() {
    for origin in
        ["https://evil.example", "null", "https://app.example/", "https://APP.example", "http://app.example"]
    {
        let no = reply(Gateway::ready().open_bodiless(&preflight(origin)));
        assert_eq!((no.status, no.details.as_str()), (403, "portcullis_origin_not_allowed"), "{origin}");
        assert!(no.headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{no:?}");
    }
    let elsewhere = preflight(APP).with(":authority", "evil.example");
    assert_eq!(reply(Gateway::ready().open_bodiless(&elsewhere)).status, 421);
    let no_preflight = preflight(APP).without("access-control-request-method");
    let no = reply(Gateway::ready().open_bodiless(&no_preflight));
    assert_eq!(no.status, 405);
    is_marked(&no);
    assert_eq!(reply(Gateway::ready().open_bodiless(&preflight(APP).without("origin"))).status, 405);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_page_may_read_what_the_gateway_answers() {
    let denied = |reason: &str| json!({"result": "denied", "reason": reason});
    let request = call("search").with("origin", APP);
    let stranger = request.without("x-portcullis-api-key");
    is_marked(&reply(Gateway::ready().open_step(&stranger)));
    is_marked(&reply(Gateway::ready().open_step(&request.with(":path", "/demo"))));
    is_marked(&reply(Gateway::ready().open_step(&request.with(":method", "PUT"))));
    for reason in ["unknown_credential", "unknown_server", "credential_unavailable"] {
        let mut gateway = Gateway::ready();
        let stream = gateway.open(&request);
        let (id, _) = gateway.lease_call();
        gateway.answer(id, &denied(reason));
        is_marked(&reply(gateway.resume(stream)));
    }
    let mut gateway = Gateway::with_lease(&denying("search"));
    let stream = gateway.open(&request);
    let unknown = reply(gateway.send_body(stream, &request.body));
    assert_eq!(body_of(&unknown)["error"]["code"], -32602);
    is_marked(&unknown);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_page_may_read_what_the_upstream_answers_and_the_upstream_has_no_say_in_it() {
    let theirs = [
        (":status", "200"),
        JSON,
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-secret"),
        ("vary", "Accept"),
    ];
    let list = Request::new("tools/list", &json!({})).with("origin", APP);
    let mut gateway = Gateway::with_lease(&[]);
    let stream = let_go(&mut gateway, &list);
    let ResponseHead::Replace(headers) = gateway.respond(stream, &theirs) else { panic!("replaced") };
    assert_eq!((marks(&headers), header(&headers, "access-control-allow-origin")), (2, Some(APP)));
    let vary: Vec<_> =
        headers.iter().filter(|(name, _)| name == b"vary").map(|(_, value)| value.clone()).collect();
    assert_eq!(vary, [b"Accept".to_vec(), b"Origin".to_vec()]);

    // A head that waits for its body.
    let stream = let_go(&mut gateway, &call("search").with("origin", APP));
    assert_eq!(gateway.respond(stream, &theirs), ResponseHead::Hold);
    let body = json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string();
    assert!(
        !matches!(gateway.response_body(stream, body.as_bytes(), true), ResponseChunk::Replace(held) if held.is_empty())
    );
    let headers = gateway.take_head(stream).expect("a head");
    assert_eq!((marks(&headers), header(&headers, "access-control-allow-origin")), (2, Some(APP)));

    // One that is refused.
    let stream = let_go(&mut gateway, &list);
    let ResponseHead::Reply(refused) =
        gateway.respond(stream, &[(":status", "302"), ("location", "https://x")])
    else {
        panic!("refused")
    };
    is_marked(&refused);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_page_may_read_an_answer_that_came_after_a_renewal() {
    let mut gateway = Gateway::knowing(&granted_by_connection(1));
    let stream = let_go(&mut gateway, &call("search").with("origin", APP));
    assert_eq!(gateway.respond(stream, &[(":status", "401")]), ResponseHead::Hold);
    let (id, _) = gateway.lease_call();
    gateway.answer(id, &connect_required(&[]));
    assert_eq!(gateway.resume(stream), Step::Wait);
    let call = gateway.take_call("/v1/unconnected");
    gateway.outcome(call.id, marked("200", &json!({"jsonrpc": "2.0", "id": 1, "result": {}})));
    is_marked(&reply(gateway.resume(stream)));
}

#[wasm_bindgen_test(unsupported = test)]
fn without_an_origin_nothing_is_said_of_origins() {
    let mut gateway = Gateway::with_lease(&[]);
    let stream = let_go(&mut gateway, &Request::new("tools/list", &json!({})));
    let head = [(":status", "200"), JSON, ("access-control-allow-origin", "*")];
    let ResponseHead::Replace(headers) = gateway.respond(stream, &head) else { panic!("replaced") };
    assert_eq!((marks(&headers), header(&headers, "vary")), (0, None));
    let stranger = reply(gateway.open_step(&call("search").without("x-portcullis-api-key")));
    assert!(stranger.headers.iter().all(|(name, _)| name != "vary" && !name.starts_with("access-control-")));
}
