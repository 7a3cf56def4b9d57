//! Requests as clients send them and as attackers do; natively and on wasm32.

use portcullis_filter_core::json::Limits;
use portcullis_filter_core::mcp::{
    Era, Fault, Id, ListKind, McpHeaders, MessageKind, Method, ProtocolVersion, Request, Target, denial,
    error_body, method_denial, read_bodiless, read_request,
};
use portcullis_filter_core::reply::code;
use portcullis_wire::policy::Kind;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

fn headers(list: &[(&str, &str)]) -> Result<McpHeaders, Fault> {
    let list: Vec<_> =
        list.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    McpHeaders::gather(&list)
}

fn read(list: &[(&str, &str)], body: &str) -> Result<Request, Fault> {
    read_request(body.as_bytes(), &headers(list)?, &Limits::default())
}

/// A legacy request without any header.
fn legacy(method: &str, params: &Value) -> Result<Request, Fault> {
    read(&[], &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string())
}

fn modern_body(method: &str, mut params: Value) -> String {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

/// A modern request with the headers it needs.
fn modern(method: &str, name: Option<&str>, params: Value) -> Result<Request, Fault> {
    let mut list = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
    list.extend(name.map(|name| ("mcp-name", name)));
    read(&list, &modern_body(method, params))
}

fn tool(name: &str) -> Target {
    Target { kind: Kind::Tool, name: name.to_owned() }
}

fn resource(uri: &str) -> Target {
    Target { kind: Kind::Resource, name: uri.to_owned() }
}

fn outcome<T>(result: Result<T, Fault>) -> (u32, i32) {
    result.map_or_else(|fault| (fault.status, fault.code), |_| (0, 0))
}

#[wasm_bindgen_test(unsupported = test)]
fn a_legacy_call_is_read() {
    let body = r#"{"jsonrpc":"2.0","id":"a\u0062","method":"tools/call","params":{"name":"s\u0065arch","arguments":{"q":1}}}"#;
    let request = read(&[], body).expect("accepted");
    assert_eq!((request.kind, request.era), (MessageKind::Request, Era::Legacy));
    assert_eq!(request.version, ProtocolVersion::V20250326);
    assert_eq!((request.method, request.method_name.as_str()), (Some(Method::ToolsCall), "tools/call"));
    assert_eq!(request.targets, [tool("search")]);
    assert_eq!(request.id.expect("an id").as_json(), r#""a\u0062""#);
    assert_eq!(&body[request.arguments.expect("arguments")], r#"{"q":1}"#);
    assert!(body[request.params.expect("params")].starts_with(r#"{"name""#));
    assert_eq!(request.list, None);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_header_names_the_legacy_version() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for version in ProtocolVersion::ALL.into_iter().filter(|version| version.era() == Era::Legacy) {
        let request = read(&[("mcp-protocol-version", version.as_str())], body).expect("accepted");
        assert_eq!(request.version, version);
    }
    let modern = read(&[("mcp-protocol-version", "2026-07-28")], body);
    assert_eq!(outcome(modern), (400, code::INVALID_PARAMS));
}

#[wasm_bindgen_test(unsupported = test)]
fn unknown_versions_are_refused_with_those_worth_trying() {
    for version in ["2024-11-05", "2027-01-01", "v999.0.0", "2025-03-26x", "", "DRAFT-2026-v1"] {
        let fault = read(&[("mcp-protocol-version", version)], r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
            .expect_err(version);
        assert_eq!((fault.status, fault.code), (400, -32022));
        let data = fault.data.expect("data");
        assert_eq!(data["requested"], version);
        assert_eq!(data["supported"], json!(["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]));
    }
    let body = modern_body("tools/list", json!({})).replace("2026-07-28", "v999.0.0");
    let fault = read(&[("mcp-protocol-version", "v999.0.0")], &body).expect_err("unknown");
    assert_eq!((fault.status, fault.code), (400, -32022));
    assert_eq!(fault.data, Some(json!({"supported": ["2026-07-28"], "requested": "v999.0.0"})));
    assert_eq!(fault.id.expect("an id").as_json(), "1");
}

#[wasm_bindgen_test(unsupported = test)]
fn initialize_is_legacy_and_proposes_a_version() {
    let initialize = |version: &str, list: &[(&str, &str)]| {
        let params = json!({
            "protocolVersion": version, "capabilities": {"elicitation": {"url": {}}}, "clientInfo": {}
        });
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        read(list, &body.to_string()).expect("accepted")
    };
    assert_eq!(initialize("2025-11-25", &[]).version, ProtocolVersion::V20251125);
    assert_eq!(initialize("2024-11-05", &[]).version, ProtocolVersion::V20250326);
    assert_eq!(initialize("2026-07-28", &[]).version, ProtocolVersion::V20250326);
    let left_over = initialize("2025-11-25", &[("mcp-protocol-version", "2026-07-28")]);
    assert_eq!(left_over.era, Era::Legacy);
    assert!(initialize("2025-11-25", &[]).url_elicitation);
    assert_eq!(outcome(modern("initialize", None, json!({}))), (404, code::METHOD_NOT_FOUND));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_modern_call_is_read() {
    let params = json!({"name": "search", "arguments": {}});
    let request = modern("tools/call", Some("search"), params).expect("accepted");
    assert_eq!((request.era, request.version), (Era::Modern, ProtocolVersion::V20260728));
    assert_eq!(request.targets, [tool("search")]);
    assert!(!request.url_elicitation);
}

#[wasm_bindgen_test(unsupported = test)]
fn white_space_around_header_values_is_no_part_of_them() {
    let list =
        [("mcp-protocol-version", " 2026-07-28"), ("mcp-method", "tools/call\t"), ("mcp-name", "  search  ")];
    assert!(read(&list, &modern_body("tools/call", json!({"name": "search"}))).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn modern_url_elicitation_is_seen() {
    let body = modern_body("tools/list", json!({}))
        .replace(r#"clientCapabilities":{}"#, r#"clientCapabilities":{"elicitation":{"form":{},"url":{}}}"#);
    let list = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];
    assert!(read(&list, &body).expect("accepted").url_elicitation);
    assert!(!read(&list, &body.replace(r#""url":{}"#, r#""uri":{}"#)).expect("accepted").url_elicitation);
}

/// The order is the specification's; the conformance suite's `server-stateless` and `http-header-validation` look
/// at exactly these.
#[wasm_bindgen_test(unsupported = test)]
fn modern_requests_are_checked_in_order() {
    const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
    let list = |method: &'static str| [VERSION, ("mcp-method", method)];
    let good = modern_body("tools/list", json!({}));
    let without = |key: &str| {
        let mut body: Value = serde_json::from_str(&good).expect("JSON");
        body["params"]["_meta"].as_object_mut().expect("an object").remove(key);
        body.to_string()
    };
    let bare = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"{params}}}"#);

    for (expected, list, body) in [
        ((0, 0), &list("tools/list")[..], good.clone()),
        ((400, -32020), &[][..], good.clone()),
        ((400, -32020), &[("mcp-method", "tools/list")][..], good.clone()),
        ((400, -32602), &list("tools/list")[..], bare("")),
        ((400, -32602), &list("tools/list")[..], bare(r#","params":{}"#)),
        ((400, -32602), &list("tools/list")[..], bare(r#","params":{"_meta":{}}"#)),
        ((400, -32602), &list("tools/list")[..], without("io.modelcontextprotocol/protocolVersion")),
        ((400, -32602), &list("tools/list")[..], without("io.modelcontextprotocol/clientCapabilities")),
        ((400, -32602), &list("tools/list")[..], good.replace(r#""2026-07-28""#, "20260728")),
        ((400, -32020), &list("tools/list")[..], good.replace("2026-07-28", "v999.0.0")),
        ((400, -32020), &[("mcp-protocol-version", "2025-11-25")][..], good.clone()),
        ((400, -32020), &[VERSION][..], good.clone()),
        ((400, -32020), &list("prompts/list")[..], good.clone()),
        ((400, -32020), &list("TOOLS/LIST")[..], good.clone()),
        ((400, -32020), &list("tools/list")[..], modern_body("unknown/method", json!({}))),
        ((404, -32601), &list("unknown/method")[..], modern_body("unknown/method", json!({}))),
        ((404, -32601), &list("resources/subscribe")[..], modern_body("resources/subscribe", json!({}))),
        ((404, -32601), &list("ping")[..], modern_body("ping", json!({}))),
        ((404, -32601), &list("tasks/result")[..], modern_body("tasks/result", json!({"taskId": "t"}))),
        ((404, -32601), &list("tasks/list")[..], modern_body("tasks/list", json!({}))),
        ((400, -32020), &list("tools/call")[..], modern_body("tools/call", json!({"name": "a"}))),
        ((400, -32602), &list("tools/call")[..], modern_body("tools/call", json!({}))),
    ] {
        let result = read(list, &body);
        if let Err(fault) = &result {
            assert_eq!(fault.id.as_ref().map(Id::as_json), Some("1"), "{body}");
        }
        assert_eq!(outcome(result), expected, "{list:?} {body}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_name_header_must_repeat_what_the_body_names() {
    let padded = "=?base64?IHBhZGRlZCA=?=";
    for (method, key) in [
        ("tools/call", "name"),
        ("prompts/get", "name"),
        ("resources/read", "uri"),
        ("tasks/get", "taskId"),
        ("tasks/update", "taskId"),
        ("tasks/cancel", "taskId"),
    ] {
        for (header, name, accepted) in [
            ("a", "a", true),
            ("a,b", "a,b", true),
            ("", "", true),
            ("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界", true),
            (padded, " padded ", true),
            ("=?base64?bGluZTEKbGluZTI=?=", "line1\nline2", true),
            ("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?=", true),
            ("=?base64?SGVsbG8=", "=?base64?SGVsbG8=", true),
            ("SGVsbG8=?=", "SGVsbG8=?=", true),
            ("=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?=", true),
            ("=?base64??=", "", true),
            ("A", "a", false),
            ("a,b", "a", false),
            ("a", "a ", false),
            ("=?BASE64?SGVsbG8=?=", "Hello", false),
            ("=?base64?SGVsbG8?=", "Hello", false),
            ("=?base64?SGVsbG9=?=", "Hello", false),
            ("=?base64?SGVs!!!bG8=?=", "Hello", false),
            ("=?base64?SGVsbG8= ?=", "Hello", false),
            ("=?base64?_-8=?=", "\u{ff}\u{ef}", false),
            ("=?base64?/w==?=", "\u{fffd}", false),
            ("=?base64?PT9iYXNlNjQ/U0dWc2JHOD0/PQ==?=", "Hello", false),
        ] {
            let result = modern(method, Some(header), json!({ key: name }));
            assert_eq!(
                outcome(result),
                if accepted { (0, 0) } else { (400, -32020) },
                "{method} {header:?} {name:?}"
            );
        }
        assert_eq!(outcome(modern(method, None, json!({ key: "a" }))), (400, -32020));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_legacy_request_cannot_carry_contradicting_headers_either() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;
    assert!(read(&[("mcp-method", "tools/call"), ("mcp-name", "a")], body).is_ok());
    assert_eq!(outcome(read(&[("mcp-method", "tools/list")], body)), (400, -32020));
    assert_eq!(outcome(read(&[("mcp-name", "b")], body)), (400, -32020));
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(outcome(read(&[("mcp-method", "tools/call")], response)), (400, -32020));
}

#[wasm_bindgen_test(unsupported = test)]
fn headers_are_there_once_and_plain() {
    for name in ["mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id", "last-event-id"] {
        assert_eq!(outcome(headers(&[(name, "a"), (name, "a")])), (400, -32020), "{name}");
        assert_eq!(outcome(headers(&[(name, "é")])), (400, -32020), "{name}");
        assert_eq!(outcome(headers(&[(name, "a\u{7f}")])), (400, -32020), "{name}");
        assert_eq!(outcome(headers(&[(name, "a\0b")])), (400, -32020), "{name}");
    }
    for name in ["mcp-protocol-version", "mcp-method"] {
        assert_eq!(outcome(headers(&[(name, "a,a")])), (400, -32020), "{name}");
        assert_eq!(outcome(headers(&[(name, "a b")])), (400, -32020), "{name}");
    }
    assert_eq!(outcome(headers(&[("mcp-session-id", "a b")])), (400, -32020));
    let found = headers(&[
        ("x-other", "\u{80}"),
        ("mcp-session-id", "s,1"),
        ("last-event-id", " 7 "),
        ("mcp-name", "a b"),
    ])
    .expect("accepted");
    assert_eq!(found.session_id.as_deref(), Some("s,1"));
    assert_eq!(found.last_event_id.as_deref(), Some("7"));
    assert_eq!(found.name.as_deref(), Some("a b"));
    assert_eq!((found.method, found.protocol_version), (None, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn every_method_has_its_targets() {
    let params = json!({"name": "n", "uri": "u", "taskId": "t", "ref": {"type": "ref/prompt", "name": "p"}});
    for (method, target, list, eras) in [
        ("initialize", None, None, "legacy"),
        ("ping", None, None, "legacy"),
        ("server/discover", None, None, "modern"),
        ("tools/list", None, Some(ListKind::Tools), "both"),
        ("tools/call", Some((Kind::Tool, "n")), None, "both"),
        ("prompts/list", None, Some(ListKind::Prompts), "both"),
        ("prompts/get", Some((Kind::Prompt, "n")), None, "both"),
        ("resources/list", None, Some(ListKind::Resources), "both"),
        ("resources/templates/list", None, Some(ListKind::ResourceTemplates), "both"),
        ("resources/read", Some((Kind::Resource, "u")), None, "both"),
        ("resources/subscribe", Some((Kind::Resource, "u")), None, "legacy"),
        ("resources/unsubscribe", Some((Kind::Resource, "u")), None, "legacy"),
        ("subscriptions/listen", None, None, "modern"),
        ("completion/complete", Some((Kind::Prompt, "p")), None, "both"),
        ("logging/setLevel", None, None, "legacy"),
        ("tasks/get", None, None, "both"),
        ("tasks/cancel", None, None, "both"),
        ("tasks/result", None, None, "legacy"),
        ("tasks/list", None, None, "legacy"),
        ("tasks/update", None, None, "modern"),
    ] {
        let expected = target.map(|(kind, name)| Target { kind, name: name.to_owned() });
        let name = match (method, &expected) {
            (_, Some(target)) => Some(target.name.as_str()),
            ("tasks/get" | "tasks/cancel" | "tasks/update", None) => Some("t"),
            _ => None,
        };
        let results = [
            (eras != "modern", legacy(method, &params), 200),
            (eras != "legacy", modern(method, name, params.clone()), 404),
        ];
        for (exists, result, refusal) in results {
            if !exists {
                assert_eq!(outcome(result), (refusal, -32601), "{method}");
                continue;
            }
            let request = result.expect(method);
            assert_eq!(request.targets, expected.clone().into_iter().collect::<Vec<_>>(), "{method}");
            assert_eq!(request.list, list, "{method}");
            assert_eq!(!request.task_ids.is_empty(), method.starts_with("tasks/") && method != "tasks/list");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn completion_and_subscriptions_name_targets_inside() {
    let template = json!({"ref": {"type": "ref/resource", "uri": "file:///{path}"}});
    assert_eq!(
        legacy("completion/complete", &template).expect("accepted").targets,
        [resource("file:///{path}")]
    );
    let wanted = json!({"notifications": {
        "toolsListChanged": true, "resourceSubscriptions": ["a:1", "b:2"], "taskIds": ["t1"]
    }});
    let request = modern("subscriptions/listen", None, wanted).expect("accepted");
    assert_eq!(request.targets, [resource("a:1"), resource("b:2")]);
    assert_eq!(request.task_ids, ["t1"]);
    assert_eq!(modern("subscriptions/listen", None, json!({})).expect("accepted").targets, []);
}

#[wasm_bindgen_test(unsupported = test)]
fn names_of_the_wrong_shape_are_refused() {
    for (method, params) in [
        ("tools/call", json!({})),
        ("tools/call", json!({"name": null})),
        ("tools/call", json!({"name": ["x"]})),
        ("tools/call", json!({"name": {"x": 1}})),
        ("tools/call", json!({"name": 7})),
        ("resources/read", json!({"name": "x"})),
        ("tasks/get", json!({"taskId": 7})),
        ("completion/complete", json!({})),
        ("completion/complete", json!({"ref": "ref/prompt"})),
        ("completion/complete", json!({"ref": {"type": "ref/tool", "name": "x"}})),
        ("completion/complete", json!({"ref": {"type": "ref/prompt", "uri": "x"}})),
    ] {
        assert_eq!(outcome(legacy(method, &params)), (400, -32602), "{method} {params}");
    }
    for wanted in
        [json!([]), json!({"resourceSubscriptions": "u"}), json!({"resourceSubscriptions": ["u", 1]})]
    {
        let result = modern("subscriptions/listen", None, json!({ "notifications": wanted }));
        assert_eq!(outcome(result), (400, -32602), "{wanted}");
    }
    for params in ["null", "[]", "\"x\"", "[\"x\"]", r#"{"name":"x","_meta":[]}"#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        assert_eq!(outcome(read(&[], &body)), (400, -32602), "{params}");
    }
    assert_eq!(outcome(legacy("tools/call", &json!({"name": "a\0b"}))), (400, -31004));
    assert_eq!(outcome(legacy("resources/read", &json!({"uri": "a\0"}))), (400, -31004));
}

#[wasm_bindgen_test(unsupported = test)]
fn case_twins_of_protocol_keys_are_refused() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"PARAMS":{"name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"paramſ":{"name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","\u004eame":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","tas\u212aId":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_META":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"IO.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"a","NAME":"b"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
    ] {
        let fault = read(&[], body).expect_err(body);
        assert_eq!((fault.status, fault.code), (400, -31004), "{body}");
    }
    // Elsewhere keys are the server's business.
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"Name":1,"name":2}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"constructor":1,"__proto__":2},"extra":{"Id":1}}"#,
    ] {
        assert!(read(&[], body).is_ok(), "{body}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_message_is_refused() {
    for (body, expected) in [
        ("", -32700),
        ("  ", -32700),
        ("{", -32700),
        ("{}x", -32700),
        ("\u{feff}{}", -31004),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#, -31004),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","n\u0061me":"b"}}"#, -31004),
        ("{}", -32600),
        ("null", -32600),
        ("\"x\"", -32600),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        (r#"["tools/call",["x"],1]"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, -32600),
        (r#"{"id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":2,"id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.00","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
    ] {
        assert_eq!(outcome(read(&[], body)), (400, expected), "{body}");
    }
    let deep =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x":{}{}}}"#, "[".repeat(64), "]".repeat(64));
    assert_eq!(outcome(read(&[], &deep)), (400, -32600));
    let batch = format!("[{}0]", "0,".repeat(100_000));
    assert_eq!(outcome(read(&[], &batch)), (400, -32600));
}

#[wasm_bindgen_test(unsupported = test)]
fn limits_of_the_caller_bound_the_body_but_hide_nothing_from_judgement() {
    let body = modern_body("tools/call", json!({"name": "a"}));
    let read = |limits: Limits| read_request(body.as_bytes(), &McpHeaders::default(), &limits);
    let shallow = Limits { record_depth: 0, ..Limits::default() };
    assert_eq!(outcome(read(shallow)), (400, code::HEADER_MISMATCH));
    assert_eq!(outcome(read(Limits { keys: 3, ..Limits::default() })), (400, code::INVALID_REQUEST));
}

#[wasm_bindgen_test(unsupported = test)]
fn ids_are_strings_or_exact_integers() {
    let long = format!("\"{}\"", "i".repeat(256));
    for id in ["0", "-1", "9007199254740991", "-9007199254740991", "\"\"", "\"é\"", &long] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert_eq!(read(&[], &body).expect(id).id.expect("an id").as_json(), id);
    }
    let too_long = format!("\"{}\"", "i".repeat(257));
    for id in
        ["null", "true", "1.0", "1e0", "-0", "{}", "[1]", "9007199254740992", "-9007199254740992", &too_long]
    {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let fault = read(&[], &body).expect_err(id);
        assert_eq!((fault.status, fault.code, fault.id), (400, -32600, None), "{id}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn requests_have_ids_and_notifications_none() {
    let ping = r#"{"jsonrpc":"2.0","method":"ping"}"#;
    assert_eq!(outcome(read(&[], ping)), (400, -32600));
    for name in [
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/progress",
        "notifications/roots/list_changed",
        "notifications/tasks/status",
    ] {
        let body = json!({"jsonrpc": "2.0", "method": name, "params": {"requestId": 1}});
        let request = read(&[], &body.to_string()).expect(name);
        assert_eq!((request.kind, request.id), (MessageKind::Notification, None));
        assert_eq!(outcome(legacy(name, &json!({}))), (400, -32600), "{name}");
        let modern = read(&[("mcp-protocol-version", "2026-07-28"), ("mcp-method", name)], &body.to_string());
        assert_eq!(outcome(modern), (404, -32601), "{name}");
    }
    for name in ["notifications/message", "notifications/unknown", "notifications/tools/list_changed"] {
        let body = json!({"jsonrpc": "2.0", "method": name});
        assert_eq!(outcome(read(&[], &body.to_string())), (400, -32601), "{name}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn responses_are_legacy() {
    for body in [
        r#"{"jsonrpc":"2.0","id":7,"result":{"action":"accept"}}"#,
        r#"{"jsonrpc":"2.0","id":"s","error":{"code":-1,"message":"no"}}"#,
    ] {
        let request = read(&[("mcp-protocol-version", "2025-11-25")], body).expect("accepted");
        assert_eq!((request.kind, request.method, request.targets.len()), (MessageKind::Response, None, 0));
        assert!(request.id.is_some());
        let fault = read(&[("mcp-protocol-version", "2026-07-28")], body).expect_err("modern");
        assert_eq!((fault.status, fault.code, fault.id), (400, -32600, None));
    }
    for body in [r#"{"jsonrpc":"2.0","result":{}}"#, r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#] {
        assert_eq!(outcome(read(&[], body)), (400, -32600), "{body}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn methods_are_matched_byte_for_byte() {
    for method in [
        "tools/call ",
        "Tools/Call",
        "tools/call\u{200b}",
        "tools/call\0",
        "",
        "sampling/createMessage",
        "roots/list",
        "elicitation/create",
        "rpc.discover",
    ] {
        let fault = legacy(method, &json!({"name": "x"})).expect_err(method);
        assert_eq!((fault.status, fault.code), (200, -32601), "{method:?}");
        assert_eq!(fault.method_name.as_deref(), Some(method));
    }
    let escaped = r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"x"}}"#;
    assert_eq!(read(&[], escaped).expect("accepted").targets, [tool("x")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn gets_and_deletes_are_legacy() {
    let read = |list: &[(&str, &str)]| read_bodiless(&headers(list).expect("headers"));
    assert_eq!(read(&[]), Ok(ProtocolVersion::V20250326));
    assert_eq!(read(&[("mcp-protocol-version", "2025-11-25")]), Ok(ProtocolVersion::V20251125));
    assert_eq!(outcome(read(&[("mcp-protocol-version", "2027-01-01")])), (400, -32022));
    let reply = read(&[("mcp-protocol-version", "2026-07-28")]).expect_err("modern").reply();
    assert_eq!((reply.status, reply.details.as_str()), (405, "portcullis_method_not_allowed"));
    assert!(reply.headers.contains(&("allow".to_owned(), "POST".to_owned())));
}

#[wasm_bindgen_test(unsupported = test)]
fn faults_are_json_rpc_errors() {
    let fault = modern("tools/call", Some("b"), json!({"name": "a"})).expect_err("mismatch");
    let reply = fault.reply();
    let body: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!((reply.status, reply.details.as_str()), (400, "portcullis_header_mismatch"));
    assert_eq!(
        (&body["jsonrpc"], &body["id"], &body["error"]["code"]),
        (&json!("2.0"), &json!(1), &json!(-32020))
    );
    let message = r#"the Mcp-Name header is "b", params.name "a"; send the same in both"#;
    assert_eq!(body["error"]["message"], message);

    let fault = read(&[], "{").expect_err("no JSON");
    assert_eq!(
        String::from_utf8(fault.body()).expect("text"),
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"the body is not valid JSON: the JSON ends too early at byte 1"}}"#
    );
    assert_eq!(
        error_body(None, 1, "\"\u{1}", Some(&json!([1]))),
        br#"{"jsonrpc":"2.0","error":{"code":1,"message":"\"\u0001","data":[1]}}"#
    );
}

fn denied(request: &Request) -> (u32, Value) {
    let reply = denial(request, request.targets.first().expect("a target"));
    let (status, body) = (reply.status, reply.body);
    (status, serde_json::from_slice(&body).expect("JSON"))
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_denied_looks_absent() {
    let error = |code: i32, message: &str| json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}});
    let missing = |code: i32, uri: &str| {
        let error = json!({"code": code, "message": "Resource not found", "data": {"uri": uri}});
        json!({"jsonrpc": "2.0", "id": 1, "error": error})
    };
    let name = json!({"name": "x"});
    let uri = json!({"uri": "u:x"});
    let prompt = json!({"ref": {"type": "ref/prompt", "name": "x"}});
    let template = json!({"ref": {"type": "ref/resource", "uri": "u:x"}});
    let listen = json!({"notifications": {"resourceSubscriptions": ["u:x"]}});
    for (request, expected) in [
        (legacy("tools/call", &name), error(-32602, "Unknown tool: x")),
        (modern("tools/call", Some("x"), name.clone()), error(-32602, "Unknown tool: x")),
        (legacy("prompts/get", &name), error(-32602, "Unknown prompt: x")),
        (modern("prompts/get", Some("x"), name.clone()), error(-32602, "Unknown prompt: x")),
        (legacy("completion/complete", &prompt), error(-32602, "Unknown prompt: x")),
        (legacy("completion/complete", &template), missing(-32602, "u:x")),
        (legacy("resources/read", &uri), missing(-32002, "u:x")),
        (legacy("resources/subscribe", &uri), missing(-32002, "u:x")),
        (modern("resources/read", Some("u:x"), uri.clone()), missing(-32602, "u:x")),
        (modern("subscriptions/listen", None, listen), missing(-32602, "u:x")),
    ] {
        assert_eq!(denied(&request.expect("accepted")), (200, expected));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_denied_method_looks_unknown() {
    for (request, unknown) in [
        (legacy("tools/list", &json!({})), legacy("tools/lisp", &json!({}))),
        (modern("tools/list", None, json!({})), modern("tools/lisp", None, json!({}))),
    ] {
        let unknown = unknown.expect_err("unknown");
        let reply = method_denial(&request.expect("accepted"));
        let (status, body) = (reply.status, reply.body);
        let body = String::from_utf8(body).expect("text").replace("tools/list", "tools/lisp");
        assert_eq!((status, body.into_bytes()), (unknown.status, unknown.body()));
    }
}
