//! Lists and notifications, message by message; natively and on wasm32.

use portcullis_filter_core::json::{Document, Limits};
use portcullis_filter_core::mcp::ListKind;
use portcullis_filter_core::response::list::{ListContext, Verdict, judge, rejection};
use portcullis_wire::policy::{CompiledPolicy, Level, LevelRules, NameRules, Pattern, Policy};
use wasm_bindgen_test::wasm_bindgen_test;

/// Takes away everything that begins with `secret`.
fn policy() -> CompiledPolicy {
    let rules = || NameRules { allow: None, deny: vec![Pattern("secret*".to_owned())] };
    let level = LevelRules {
        level: Level::Workspace,
        tools: rules(),
        prompts: rules(),
        resources: rules(),
        ..LevelRules::default()
    };
    Policy { levels: vec![level], ..Policy::default() }.into()
}

fn list(kind: ListKind, modern: bool) -> ListContext {
    ListContext { kind, request_id: "1".into(), modern, ttl_cap_ms: 60_000 }
}

fn verdict(message: &str, list: Option<&ListContext>) -> Verdict {
    let document = Document::read(message.as_bytes(), &Limits::default()).expect("valid JSON");
    judge(&document, &policy(), list)
}

fn edited(message: &str, list: Option<&ListContext>) -> String {
    match verdict(message, list) {
        Verdict::Keep => message.to_owned(),
        Verdict::Replace(bytes) => String::from_utf8(bytes).expect("UTF-8"),
        other => panic!("{other:?}"),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn each_list_is_filtered_by_its_identity() {
    for (kind, field, identity) in [
        (ListKind::Tools, "tools", "name"),
        (ListKind::Prompts, "prompts", "name"),
        (ListKind::Resources, "resources", "uri"),
        (ListKind::ResourceTemplates, "resourceTemplates", "uriTemplate"),
    ] {
        let message = format!(
            r#"{{"id":1,"result":{{"{field}":[{{"{identity}":"secret:1"}}, {{"{identity}":"open", "z":1.0}} ,{{"{identity}":"secret:2"}}]}}}}"#
        );
        let expected = format!(r#"{{"id":1,"result":{{"{field}":[{{"{identity}":"open", "z":1.0}}]}}}}"#);
        // With the list asked for, and by shape alone.
        assert_eq!(edited(&message, Some(&list(kind, false))), expected);
        assert_eq!(edited(&message, None), expected);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn entries_that_nobody_can_name_go() {
    let entries = r#"{"name":"a"},{"name":"twice","v":1},{"name":7},{},3,{"name":"tw\u0069ce"},{"name":"b","NAME":"secret"},{"name":"Twice"}"#;
    let message = format!(r#"{{"result":{{"tools":[{entries}]}}}}"#);
    let expected = r#"{"result":{"tools":[{"name":"a"},{"name":"Twice"}]}}"#;
    assert_eq!(edited(&message, Some(&list(ListKind::Tools, false))), expected);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_emptied_page_keeps_its_cursor() {
    let message = r#"{"result":{"tools":[ {"name":"secret"} ],"nextCursor":""}}"#;
    let expected = r#"{"result":{"tools":[  ],"nextCursor":""}}"#;
    assert_eq!(edited(message, Some(&list(ListKind::Tools, false))), expected);
    assert_eq!(verdict(r#"{"result":{"tools":[]}}"#, Some(&list(ListKind::Tools, false))), Verdict::Keep);
}

#[wasm_bindgen_test(unsupported = test)]
fn modern_lists_are_private_and_short_lived() {
    let modern = list(ListKind::Tools, true);
    for (given, expected) in [
        ("", r#","cacheScope":"private","ttlMs":0"#),
        (r#","cacheScope":"public","ttlMs":1000"#, r#","cacheScope":"private","ttlMs":1000"#),
        (r#","ttlMs":60001,"cacheScope":"private""#, r#","ttlMs":60000,"cacheScope":"private""#),
        (r#","ttlMs":-1,"cacheScope":7"#, r#","ttlMs":0,"cacheScope":"private""#),
        (r#","ttlMs":99999999999999999999999"#, r#","ttlMs":60000,"cacheScope":"private""#),
        (r#","ttlMs":1.5"#, r#","ttlMs":0,"cacheScope":"private""#),
        (r#","ttlMs":"soon""#, r#","ttlMs":0,"cacheScope":"private""#),
    ] {
        let message = |rest: &str| format!(r#"{{"result":{{"tools":[]{rest}}}}}"#);
        assert_eq!(edited(&message(given), Some(&modern)), message(expected));
    }
    // Nothing to change.
    let good = r#"{"result":{"tools":[],"ttlMs":5,"cacheScope":"private"}}"#;
    assert_eq!(verdict(good, Some(&modern)), Verdict::Keep);
}

#[wasm_bindgen_test(unsupported = test)]
fn legacy_lists_get_no_new_members() {
    let legacy = list(ListKind::Tools, false);
    assert_eq!(verdict(r#"{"result":{"tools":[{"name":"a"}]}}"#, Some(&legacy)), Verdict::Keep);
    assert_eq!(
        edited(r#"{"result":{"tools":[],"cacheScope":"public","ttlMs":70000}}"#, Some(&legacy)),
        r#"{"result":{"tools":[],"cacheScope":"private","ttlMs":60000}}"#
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn what_readers_would_read_differently_is_rejected() {
    let tools = list(ListKind::Tools, false);
    for message in [
        r#"{"result":{"tools":[],"Tools":[]}}"#,
        r#"{"result":{"tools":[],"tool\u017f":[]}}"#,
        r#"{"result":{"tools":[]},"Result":{}}"#,
        r#"{"result":{"tools":[]},"error":{"code":1}}"#,
        r#"{"result":{"tools":[]},"method":"x"}"#,
        r#"{"result":{"tools":{}}}"#,
        r#"{"result":{}}"#,
        r#"{"result":7}"#,
        r#"[{"result":{"tools":[]}}]"#,
        r#""text""#,
    ] {
        assert_eq!(verdict(message, Some(&tools)), Verdict::Reject, "{message}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn everything_else_is_left_alone() {
    let tools = list(ListKind::Tools, true);
    for message in [
        r#"{"id":1,"error":{"code":-32601,"message":"secret"}}"#,
        r#"{"error":"invalid_request"}"#,
        r#"{"detail":"Not Found"}"#,
        r#"{"method":"notifications/progress","params":{"progressToken":1}}"#,
        r#"{"id":4,"method":"elicitation/create","params":{"tools":[{"name":"secret"}]}}"#,
    ] {
        assert_eq!(verdict(message, Some(&tools)), Verdict::Keep, "{message}");
    }
    // A tool result is no list.
    let result = r#"{"result":{"content":[{"type":"text","text":"secret"}],"structuredContent":{"tools":["secret"]}}}"#;
    assert_eq!(verdict(result, None), Verdict::Keep);
    // A null error beside a result is no error.
    let both = r#"{"error":null,"result":{"tools":[{"name":"secret"}]}}"#;
    assert_eq!(edited(both, None), r#"{"error":null,"result":{"tools":[]}}"#);
}

#[wasm_bindgen_test(unsupported = test)]
fn updates_of_denied_resources_are_dropped() {
    let update = |method: &str, params: &str| format!(r#"{{"method":"{method}","params":{params}}}"#);
    let updated = "notifications/resources/updated";
    assert_eq!(verdict(&update(updated, r#"{"uri":"open://a"}"#), None), Verdict::Keep);
    for (method, params) in [
        (updated, r#"{"uri":"secret://a"}"#),
        (r"notifications\/resources\/updated", r#"{"uri":"\u0073ecret://a"}"#),
        (updated, r#"{"uri":7}"#),
        (updated, "[]"),
    ] {
        assert_eq!(verdict(&update(method, params), None), Verdict::Drop, "{method} {params}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn rejections_carry_the_request_id_as_it_was() {
    for (id, member) in [(Some(r#""\u0061""#), r#""id":"\u0061","#), (Some("-7"), r#""id":-7,"#), (None, "")]
    {
        let error = String::from_utf8(rejection(id)).expect("UTF-8");
        assert!(
            error.starts_with(&format!(r#"{{"jsonrpc":"2.0",{member}"error":{{"code":-31005,"#)),
            "{error}"
        );
        Document::read(error.as_bytes(), &Limits::default()).expect("valid JSON");
    }
}
