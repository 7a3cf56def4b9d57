//! What policy says about calls, beyond their names.

use portcullis_filter_core::step::{ResponseChunk, Step};
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::story::{Gateway, JSON, Request, body_of, call, granted, legacy_call, let_go, reply};

/// A lease with this policy.
fn lease(policy: &Value) -> Value {
    let mut lease = granted(&[]);
    lease["policy"] = policy.clone();
    lease
}

fn with(policy: &Value) -> Gateway {
    Gateway::knowing(&lease(policy))
}

fn only_acme() -> Value {
    json!({"levels": [{"level": "workspace", "arguments": [
        {"tool": "create_*", "argument": "/repo", "is": {"prefix": "acme/"}},
    ]}]})
}

/// A modern and a legacy call with these arguments, which are JSON text so that they can be spelt in any way.
fn calls(tool: &str, arguments: &str) -> [Request; 2] {
    let spell = |mut request: Request| {
        let body = String::from_utf8(request.body).expect("UTF-8");
        let (before, behind) = body.split_once(r#""name":"#).expect("a name");
        let body = format!(r#"{before}"arguments":{arguments},"name":{behind}"#);
        request.body = body.into_bytes();
        request.without("content-length")
    };
    [spell(Request::new("tools/call", &json!({"name": tool}))), spell(legacy_call(tool))]
}

fn is_let_go(gateway: &mut Gateway, request: &Request) -> bool {
    let stream = gateway.open(request);
    matches!(gateway.send_body(stream, &request.body), Step::Forward { .. })
}

#[wasm_bindgen_test(unsupported = test)]
fn an_argument_is_judged_on_its_value_whatever_its_spelling() {
    let mut gateway = with(&only_acme());
    for (arguments, allowed) in [
        (r#"{"repo":"acme/site"}"#, true),
        (r#"{"x":[{"repo":"evil/"}], "re\u0070o" : "\u0061cme/site"}"#, true),
        (r#"{"repo":"evil/site"}"#, false),
        (r#"{"repo":["acme/site"]}"#, false),
        (r#"{"repo":"acme/site","Repo":"evil/site"}"#, false),
        (r#"{"nested":{"repo":"acme/site"}}"#, false),
        ("{}", false),
        ("[]", false),
        (r#""acme/site""#, false),
    ] {
        for request in calls("create_issue", arguments) {
            assert_eq!(is_let_go(&mut gateway, &request), allowed, "{arguments}");
        }
        for request in calls("search", arguments) {
            assert!(is_let_go(&mut gateway, &request), "{arguments}");
        }
    }
    // Without any arguments at all.
    assert!(!is_let_go(&mut gateway, &legacy_call("create_issue")));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_number_is_judged_by_its_exact_value_and_however_deep_it_is() {
    let deep = |at: &str| format!("{}{at}{}", r#"{"a":["#.repeat(12), "]}".repeat(12));
    let pointer = "/a/0".repeat(12);
    let mut gateway = with(&json!({"levels": [{"level": "key", "arguments": [
        {"tool": "pay", "argument": pointer, "is": {"range": {"min": 0, "max": 9_007_199_254_740_992_u64}}},
    ]}]}));
    for (number, allowed) in [
        ("9007199254740992", true),
        ("9007199254740993", false),
        ("9.007199254740992e15", true),
        ("9007199254740992.0000001", false),
        ("-0", true),
        ("-1e-30", false),
        (r#""7""#, false),
    ] {
        for request in calls("pay", &deep(number)) {
            assert_eq!(is_let_go(&mut gateway, &request), allowed, "{number}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_model_is_told_which_argument_and_not_what_it_should_be() {
    for (request, is_modern) in
        calls("create_issue", r#"{"repo":"evil/site"}"#).into_iter().zip([true, false])
    {
        let mut gateway = with(&only_acme());
        let stream = gateway.open(&request);
        let reply = reply(gateway.send_body(stream, &request.body));
        assert_eq!((reply.status, reply.details.as_str()), (200, "portcullis_policy_denied"));
        let body = body_of(&reply);
        assert_eq!((&body["id"], &body["error"]), (&json!(1), &Value::Null));
        let result = &body["result"];
        assert_eq!(result["isError"], true);
        assert_eq!(result["resultType"] == "complete", is_modern);
        assert_eq!(result["content"][0]["type"], "text");
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains("/repo") && !text.contains("acme"), "{text}");
        let record = gateway.record(stream);
        assert_eq!(
            (record["decision"].as_str(), record["rule"].as_str()),
            ("deny", "workspace/arguments:/repo")
        );
        assert_eq!(record["error_code"], "-31001");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_denied_name_is_unknown_whatever_the_arguments() {
    let mut policy = only_acme();
    policy["levels"][0]["tools"] = json!({"deny": ["create_issue"]});
    for request in calls("create_issue", r#"{"repo":"evil/site"}"#) {
        let mut gateway = with(&policy);
        let stream = gateway.open(&request);
        let body = body_of(&reply(gateway.send_body(stream, &request.body)));
        assert_eq!(body["error"], json!({"code": -32602, "message": "Unknown tool: create_issue"}));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_sensitive_tool_waits_until_it_is_sure_that_the_caller_may() {
    let policy = json!({"levels": [{"level": "member", "sensitive": ["delete_*"]}]});
    for request in [call("delete_all"), legacy_call("delete_all")] {
        let mut gateway = with(&policy);
        assert!(is_let_go(&mut gateway, &request));
        // The watch has answered for the last time: after its hold and some more, nothing is sure any more.
        gateway.pass_ms(15_000);
        gateway.tick();
        assert!(is_let_go(&mut gateway, &call("search")), "other tools go on");
        let stream = gateway.open(&request);
        let refused = reply(gateway.send_body(stream, &request.body));
        assert_eq!((refused.status, refused.details.as_str()), (503, "portcullis_unverified"));
        assert!(refused.headers.iter().any(|(name, _)| name == "retry-after"));
        assert_eq!(body_of(&refused)["error"]["code"], -31003);
        let record = gateway.record(stream);
        assert_eq!((record["decision"].as_str(), record["rule"].as_str()), ("deny", "member/sensitive"));
    }
}

/// The tools of this list that are shown under a policy.
fn shown(gateway: &mut Gateway, names: &[&str]) -> Vec<String> {
    let tools: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    let stream = let_go(gateway, &Request::new("tools/list", &json!({})));
    gateway.respond(stream, &[(":status", "200"), JSON]);
    let list = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).to_string();
    let shown = match gateway.response_body(stream, list.as_bytes(), true) {
        ResponseChunk::Keep => list.into_bytes(),
        ResponseChunk::Replace(shown) => shown,
    };
    let shown: Value = serde_json::from_slice(&shown).expect("JSON");
    let tools = shown["result"]["tools"].as_array().expect("a list");
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn argument_rules_and_sensitive_tools_stay_listed() {
    let mut policy = only_acme();
    policy["levels"][0]["sensitive"] = json!(["*"]);
    assert_eq!(shown(&mut with(&policy), &["create_issue", "search"]), ["create_issue", "search"]);
}

#[cfg(not(target_family = "wasm"))]
mod properties {
    use portcullis_wire::policy::{KnownTools, LevelRules, NameRules, NewTools, Pattern, Policy};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn any_level() -> impl Strategy<Value = LevelRules> {
        let list = || vec("[ab*]{0,3}".prop_map(Pattern), 0..3);
        let new_tools =
            prop_oneof![Just(NewTools::Allow), Just(NewTools::AllowIfReadOnly), Just(NewTools::Hold)];
        let names = (proptest::option::weighted(0.3, list()), list());
        (names, proptest::bool::weighted(0.3), new_tools, list()).prop_map(
            |((allow, deny), read_only, new_tools, sensitive)| LevelRules {
                tools: NameRules { allow, deny },
                read_only,
                new_tools,
                sensitive,
                ..LevelRules::default()
            },
        )
    }

    const NAMES: [&str; 7] = ["a", "b", "aa", "ab", "ba", "bb", "aba"];

    fn some_names() -> impl Strategy<Value = Vec<String>> {
        proptest::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len())
            .prop_map(|names| names.into_iter().map(str::to_owned).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_tool_is_shown_exactly_if_a_call_of_it_is_let_go(
            levels in vec(any_level(), 0..4),
            reading in some_names(),
            approved in some_names(),
        ) {
            let policy = Policy { levels, known: KnownTools { reading, approved } };
            let mut gateway = with(&serde_json::to_value(&policy).expect("JSON"));
            let callable: Vec<&str> =
                NAMES.into_iter().filter(|name| is_let_go(&mut gateway, &call(name))).collect();
            let by_legacy: Vec<&str> =
                NAMES.into_iter().filter(|name| is_let_go(&mut gateway, &legacy_call(name))).collect();
            prop_assert_eq!(&callable, &by_legacy);
            prop_assert_eq!(shown(&mut gateway, &NAMES), callable);
        }
    }
}
