//! Requests nobody thought of, against a plain reading with `serde_json`.
#![cfg(not(target_family = "wasm"))]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use portcullis_filter_core::json::Limits;
use portcullis_filter_core::mcp::{Fault, McpHeaders, MessageKind, Request, check_media_type, read_request};
use proptest::prelude::*;
use serde_json::{Value, json};

const MODERN: &str = "2026-07-28";
const METHODS: [&str; 10] = [
    "tools/call",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "tools/list",
    "tasks/get",
    "completion/complete",
    "initialize",
    "server/discover",
    "notifications/cancelled",
];

/// What a server with a common JSON library takes the request for: its method and the names in it.
fn plain_reading(body: &Value) -> (String, Vec<String>) {
    let method = body["method"].as_str().unwrap_or_default().to_owned();
    let params = &body["params"];
    let name = match method.as_str() {
        "tools/call" | "prompts/get" => params["name"].as_str(),
        "resources/read" | "resources/subscribe" => params["uri"].as_str(),
        "tasks/get" => params["taskId"].as_str(),
        "completion/complete" => params["ref"]["name"].as_str().or(params["ref"]["uri"].as_str()),
        _ => None,
    };
    (method, name.map(str::to_owned).into_iter().collect())
}

fn own_reading(request: &Request) -> (String, Vec<String>) {
    let targets = request.targets.iter().map(|target| target.name.clone());
    (request.method_name.clone(), targets.chain(request.task_ids.iter().cloned()).collect())
}

fn gather(list: &[(&str, String)]) -> Result<McpHeaders, Fault> {
    let list: Vec<_> =
        list.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.clone().into_bytes())).collect();
    McpHeaders::gather(&list)
}

fn read(list: &[(&str, String)], body: &[u8]) -> Result<Request, Fault> {
    read_request(body, &gather(list)?, &Limits::default())
}

/// As a client encodes a name for its header.
fn header_value(name: &str) -> String {
    format!("=?base64?{}?=", BASE64_STANDARD.encode(name))
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{1,8}", "\\PC{0,12}", Just("=?base64?eA==?=".to_owned()), Just(" x ".to_owned())]
}

fn any_body() -> impl Strategy<Value = Value> {
    body_of(&METHODS, prop::option::of(prop::sample::select(vec![MODERN, "2025-11-25"])))
}

/// Modern requests whose name has a header.
fn named_modern_body() -> impl Strategy<Value = Value> {
    body_of(&["tools/call", "prompts/get", "resources/read", "tasks/get"], Just(Some(MODERN)))
}

fn body_of(
    methods: &'static [&'static str],
    version: impl Strategy<Value = Option<&'static str>>,
) -> impl Strategy<Value = Value> {
    let method = prop::sample::select(methods.to_vec());
    (method, any_name(), version, any::<bool>()).prop_map(|(method, name, version, resource)| {
        let reference = if resource {
            json!({"type": "ref/resource", "uri": name})
        } else {
            json!({"type": "ref/prompt", "name": name})
        };
        let mut params =
            json!({"name": name, "uri": name, "taskId": name, "ref": reference, "arguments": {"name": "other"}});
        if let Some(version) = version {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientCapabilities": {}
            });
        }
        let mut body = json!({"jsonrpc": "2.0", "method": method, "params": params});
        if !method.starts_with("notifications/") {
            body["id"] = json!(7);
        }
        body
    })
}

/// Headers that agree with `body`.
fn fitting_headers(body: &Value) -> Vec<(&'static str, String)> {
    let (method, names) = plain_reading(body);
    let mut list = vec![("mcp-method", method)];
    list.extend(names.first().map(|name| ("mcp-name", header_value(name))));
    let version = &body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
    list.extend(version.as_str().map(|version| ("mcp-protocol-version", version.to_owned())));
    list
}

/// The text of a `tools/call` whose `params` have these members, in this order, with white space around them; and the
/// members that no retry adds, as they are written.
fn retry_of(order: &[usize], space: &str, with_responses: bool) -> (String, Vec<String>) {
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let members = [
        r#""requestState":"pcl-state.a,b}""#.to_owned(),
        r#""inputResponses" : {"portcullis_connect":{"action":"accept"},"k":[1,{}]}"#.to_owned(),
        r#""name":"search""#.to_owned(),
        r#""arguments": {"n": 9007199254740993, "inputResponses":1,"requestState":"x"}"#.to_owned(),
        format!(r#""_meta":{meta}"#),
    ];
    let order: Vec<usize> = order.iter().copied().filter(|index| with_responses || *index != 1).collect();
    let params: Vec<&str> = order.iter().map(|index| members[*index].as_str()).collect();
    let params = params.join(&format!("{space},{space}"));
    let text = format!(
        r#"{{"jsonrpc":"2.0",{space}"params":{{{space}{params}{space}}},"id":7,"method":"tools/call"}}"#
    );
    (text, order.into_iter().filter(|index| *index > 1).map(|index| members[index].clone()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_retry_without_what_is_ours_is_the_same_request(
        order in Just(vec![0_usize, 1, 2, 3, 4]).prop_shuffle(),
        space in "[ \\n\\t]{0,2}",
        with_responses: bool,
        request_state in prop::option::of("\\PC{0,8}"),
        input_responses in prop::option::of(prop::sample::select(vec!["{}", r#"{"k": {"action":"decline"}}"#])),
    ) {
        let (text, theirs) = retry_of(&order, &space, with_responses);
        let body: Value = serde_json::from_str(&text).expect("JSON");
        let list = fitting_headers(&body);
        let request = read(&list, text.as_bytes()).expect("good");
        let retry = request.retry.as_ref().expect("ours");
        prop_assert_eq!(retry.state.as_str(), "pcl-state.a,b}");
        let restored = retry
            .restore(text.as_bytes(), request_state.as_deref(), input_responses)
            .expect("an object");

        let mut expected = body;
        let params = expected["params"].as_object_mut().expect("an object");
        params.remove("requestState");
        params.remove("inputResponses");
        if let Some(state) = &request_state {
            params.insert("requestState".into(), state.as_str().into());
        }
        if let Some(responses) = input_responses {
            params.insert("inputResponses".into(), serde_json::from_str(responses).expect("JSON"));
        }
        prop_assert_eq!(&serde_json::from_slice::<Value>(&restored).expect("JSON"), &expected);
        let again = read(&list, &restored).expect("as good as before");
        prop_assert_eq!(again.retry.is_some(), request_state.is_some_and(|state| state.starts_with("pcl-state.")));
        prop_assert_eq!(own_reading(&again), own_reading(&request));
        // All else is as it was written, in the same order.
        let restored = String::from_utf8(restored).expect("text");
        let mut at = 0;
        for member in theirs {
            let found = restored[at..].find(&member);
            prop_assert!(found.is_some(), "{} is not in {}", member, restored);
            at += found.unwrap_or_default() + member.len();
        }
    }

    #[test]
    fn what_is_accepted_is_what_servers_read(body in any_body()) {
        let list = fitting_headers(&body);
        if let Ok(request) = read(&list, body.to_string().as_bytes()) {
            prop_assert_eq!(own_reading(&request), plain_reading(&body));
        }
    }

    #[test]
    fn no_mutation_is_read_otherwise_than_by_servers(
        body in any_body(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
        with_headers: bool,
    ) {
        let list = if with_headers { fitting_headers(&body) } else { Vec::new() };
        let mut bytes = body.to_string().into_bytes();
        for (place, byte, how) in changes {
            let place = place.index(bytes.len());
            match how {
                0 => bytes.insert(place, byte),
                1 => { bytes.remove(place); }
                _ => bytes[place] = byte,
            }
        }
        if let Ok(request) = read(&list, &bytes) {
            let servers = serde_json::from_slice::<Value>(&bytes).expect("accepted is valid");
            prop_assert_eq!(own_reading(&request), plain_reading(&servers));
            let has_id = servers.get("id").is_some();
            prop_assert_eq!(request.kind == MessageKind::Notification, !has_id);
        }
    }

    #[test]
    fn a_modern_request_that_contradicts_its_headers_is_refused(
        body in named_modern_body(), which in 0..3_usize, other in any_name()
    ) {
        let mut list = fitting_headers(&body);
        let text = body.to_string();
        prop_assert!(read(&list, text.as_bytes()).is_ok());
        prop_assume!(plain_reading(&body).1 != [other.clone()]);
        list[which].1 = header_value(&other);
        prop_assert!(read(&list, text.as_bytes()).is_err());
        list.remove(which);
        prop_assert!(read(&list, text.as_bytes()).is_err());
    }

    #[test]
    fn faults_are_always_sound_json(bytes in prop::collection::vec(any::<u8>(), 0..60), body in any_body(), cut: prop::sample::Index) {
        let text = body.to_string();
        for bytes in [&bytes[..], &text.as_bytes()[..cut.index(text.len())]] {
            let fault = read(&[], bytes).expect_err("refused");
            let answer: Value = serde_json::from_slice(&fault.body()).expect("JSON");
            prop_assert_eq!(&answer["error"]["code"], &json!(fault.code));
        }
    }

    #[test]
    fn any_headers_are_judged_without_panic(
        list in prop::collection::vec((
            prop::sample::select(vec!["mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id", "last-event-id", "content-type", "content-encoding"]),
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..12),
                "application/json(;[ a-z=\"8-]{0,12})?".prop_map(String::into_bytes),
                "=\\?base64\\?[A-Za-z0-9+/=]{0,8}\\?=".prop_map(String::into_bytes),
            ],
        ), 0..5),
        body in any_body(),
    ) {
        let list: Vec<_> = list.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value)).collect();
        let _ = check_media_type(&list);
        if let Ok(headers) = McpHeaders::gather(&list) {
            let _ = read_request(body.to_string().as_bytes(), &headers, &Limits::default());
        }
    }
}
