//! Answers to unknown names: which are recognised, and that nothing else is; natively and on wasm32.

use portcullis_filter_core::json::{Document, Limits};
use portcullis_filter_core::mcp::Target;
use portcullis_filter_core::response::unknown::says_unknown;
use portcullis_wire::policy::Kind;
use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

fn judge(message: &Value, kind: Kind, name: &str) -> bool {
    let bytes = message.to_string().into_bytes();
    let document = Document::read(&bytes, &Limits::default()).expect("strict JSON");
    says_unknown(&document.root(), &Target { kind, name: name.to_owned() })
}

fn error(code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}})
}

fn tool_error(text: &str) -> Value {
    let content = json!([{"type": "text", "text": text}]);
    json!({"jsonrpc": "2.0", "id": 1, "result": {"content": content, "isError": true}})
}

#[wasm_bindgen_test(unsupported = test)]
fn errors_of_the_official_sdks_are_recognised() {
    for (code, message, kind) in [
        (-32602, "tool not found", Kind::Tool),
        (-32602, "Tool x not found", Kind::Tool),
        (-32602, "MCP error -32602: Tool x not found", Kind::Tool),
        (-32602, "Unknown tool: x", Kind::Tool),
        (-32601, "Unknown tool: x", Kind::Tool),
        (-32602, "unknown tool \"x\"", Kind::Tool),
        (-32602, "Unknown tool: 'x'", Kind::Tool),
        (-32602, "Tool not found: x", Kind::Tool),
        (-32602, "prompt 'x' not found", Kind::Prompt),
        (-32602, "MCP error -32602: Prompt x not found", Kind::Prompt),
        (0, "Unknown prompt: x", Kind::Prompt),
        (-32602, "Unknown prompt", Kind::Prompt),
        (-32602, "MCP error -32602: Resource x not found", Kind::Resource),
        (-32602, "Unknown resource: x", Kind::Resource),
        (-32002, "Unknown resource URI: 'x'", Kind::Resource),
        (-32602, "Resource not found", Kind::Resource),
        (-32002, "whatever it says", Kind::Resource),
    ] {
        assert!(judge(&error(code, message), kind, "x"), "{message}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_error_that_only_repeats_the_uri_is_that_of_an_unknown_resource() {
    let with_data = |data: Value| {
        let mut message = error(-32602, "no such thing");
        message["error"]["data"] = data;
        message
    };
    let good = with_data(json!({"uri": "x"}));
    assert!(judge(&good, Kind::Resource, "x"));
    assert!(!judge(&good, Kind::Tool, "x"));
    for data in [json!({"uri": "y"}), json!({"uri": "x", "line": 3}), json!({}), json!("x"), json!(["x"])] {
        assert!(!judge(&with_data(data), Kind::Resource, "x"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn results_of_the_official_sdks_are_recognised() {
    for text in ["MCP error -32602: Tool x not found", "Tool x not found", "Unknown tool: x"] {
        assert!(judge(&tool_error(text), Kind::Tool, "x"), "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn other_errors_are_left_alone() {
    for (code, message, kind) in [
        (-32602, "Tool y not found", Kind::Tool),
        (-32602, "Tool X not found", Kind::Tool),
        (-32602, "Tool x not found in the cache", Kind::Tool),
        (-32602, "Tool x  not found", Kind::Tool),
        (-32602, "Tool 'x\" not found", Kind::Tool),
        (-32602, "MCP error: Tool x not found", Kind::Tool),
        (-32603, "tool not found", Kind::Tool),
        (-32602, "Prompt not found", Kind::Tool),
        (-32602, "Unknown tool: ", Kind::Tool),
        (-32602, "Invalid arguments for tool x", Kind::Tool),
        (-32601, "Method not found", Kind::Prompt),
        (-32002, "whatever it says", Kind::Prompt),
        (-32602, "not found", Kind::Resource),
        (-32602, "", Kind::Resource),
    ] {
        assert!(!judge(&error(code, message), kind, "x"), "{message}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_tool_says_is_left_alone() {
    for text in ["issue PC-9 not found", "Tool not found", "Unknown tool", "Tool x not found.", "x", ""] {
        assert!(!judge(&tool_error(text), Kind::Tool, "x"), "{text}");
    }
    let good = tool_error("Tool x not found");
    assert!(!judge(&good, Kind::Prompt, "x"), "only tools answer so");
    let mut success = good.clone();
    success["result"]["isError"] = json!(false);
    assert!(!judge(&success, Kind::Tool, "x"));
    let mut longer = good.clone();
    longer["result"]["content"] = json!([good["result"]["content"][0], {"type": "text", "text": "Try y."}]);
    assert!(!judge(&longer, Kind::Tool, "x"));
}

#[wasm_bindgen_test(unsupported = test)]
fn strange_messages_are_left_alone() {
    let both = json!({"error": {"code": -32602, "message": "tool not found"}, "result": {}});
    for message in [
        both,
        json!([]),
        json!({}),
        json!({"error": null, "result": null}),
        json!({"error": "tool not found"}),
        json!({"error": {"message": ["tool not found"]}}),
        json!({"result": {"isError": true}}),
        json!({"result": {"isError": true, "content": [7]}}),
        json!({"method": "notifications/message", "params": {"error": {"message": "Unknown tool: x"}}}),
    ] {
        assert!(!judge(&message, Kind::Tool, "x"), "{message}");
    }
}
