use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn tool(text: &str) -> Definition {
    let list = Listed::read(EntryKind::Tool, &format!(r#"{{"tools":[{text}]}}"#), true).expect("a list");
    let [definition] = <[_; 1]>::try_from(list.definitions).expect("one");
    definition
}

/// JSON with as much white space as is given, its members backwards if told to, and letters of texts escaped.
fn respelt(value: &Value, space: &str, backwards: bool, escaped: bool) -> String {
    let text = |text: &str| {
        let plain = Value::from(text).to_string();
        if !escaped {
            return plain;
        }
        text.encode_utf16().fold(String::from("\""), |mut all, unit| {
            write!(all, "\\u{unit:04X}").expect("writes");
            all
        }) + "\""
    };
    let again = |value: &Value| respelt(value, space, backwards, escaped);
    let join = |mut parts: Vec<String>| {
        if backwards {
            parts.reverse();
        }
        parts.join(&format!("{space},{space}"))
    };
    match value {
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| format!("{}{space}:{space}{}", text(name), again(value));
            format!("{{{space}{}{space}}}", join(members.iter().map(member).collect()))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(again).collect();
            format!("[{space}{}{space}]", items.join(&format!("{space},{space}")))
        }
        Value::String(content) => text(content),
        other => other.to_string(),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c\\PC]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{0,2}", inner, 0..4)
                .prop_map(|members| Value::from(serde_json::Map::from_iter(members))),
        ]
    })
}

proptest! {
    #[test]
    fn spelling_does_not_matter(value in any_json(), space in "[ \n\t]{0,2}", backwards: bool, escaped: bool) {
        let definition = json!({"name": "x", "inputSchema": value});
        let (one, other) = (definition.to_string(), respelt(&definition, &space, backwards, escaped));
        prop_assert_eq!(tool(&one).digest, tool(&other).digest);
        prop_assert_eq!(diff(&one, &other), "");
    }

    #[test]
    fn everything_else_does(one in any_json(), other in any_json()) {
        let definition = |value: &Value| json!({"name": "x", "inputSchema": value}).to_string();
        let texts = [definition(&one), definition(&other)];
        let is_same = tool(&texts[0]).digest == tool(&texts[1]).digest;
        prop_assert_eq!(is_same, one == other);
        prop_assert_eq!(diff(&texts[0], &texts[1]).is_empty(), is_same, "what differs is shown");
    }

    #[test]
    fn states_follow_from_digests(present in 0..2_u8, approved in prop::option::of(0..2_u8), gone: bool) {
        let digest = |number: u8| Digest::from_bytes([number; 32]);
        let state = State::of(&digest(present), approved.map(digest).as_ref(), gone);
        let expected = match approved {
            _ if gone => State::Gone,
            None => State::New,
            Some(approved) if approved == present => State::Approved,
            Some(_) => State::Changed,
        };
        prop_assert_eq!(state, expected);
    }
}

#[test]
fn what_readers_may_take_for_the_same_is_not() {
    let texts = [
        r#"{"name":"x","n":1}"#,
        r#"{"name":"x","n":1.0}"#,
        r#"{"name":"x","n":"1"}"#,
        r#"{"name":"x","n":1e400}"#,
        r#"{"name":"x","n":1,"m":null}"#,
        r#"{"name":"x","n":[1]}"#,
        r#"{"name":"x","n":1,"n":1}"#,
        r#"{"name":"x","n":1, "n":1}"#,
        r#"{"name":"x","n":2,"n":1}"#,
        "{\"name\":\"x\",\"n\":\"\u{e9}\"}",
        "{\"name\":\"x\",\"n\":\"e\u{301}\"}",
    ];
    for (position, one) in texts.iter().enumerate() {
        for other in &texts[..position] {
            assert_ne!(tool(one).digest, tool(other).digest, "{one} {other}");
            assert_ne!(diff(one, other), "", "{one} {other}");
        }
    }
    let list = |kind: EntryKind| {
        let result = json!({kind.field(): [{kind.identity(): "x"}]}).to_string();
        Listed::read(kind, &result, true).expect("a list").definitions.remove(0).digest
    };
    assert_ne!(list(EntryKind::Tool), list(EntryKind::Prompt), "kinds are kept apart");
}

#[test]
fn only_a_hint_that_is_true_makes_a_tool_read_only() {
    for (annotations, expected) in [
        (json!({"readOnlyHint": true}), true),
        (json!({"readOnlyHint": false}), false),
        (json!({"readOnlyHint": "true"}), false),
        (json!({"readonlyhint": true}), false),
        (json!({}), false),
        (json!(null), false),
    ] {
        let text = json!({"name": "x", "annotations": annotations}).to_string();
        assert_eq!(tool(&text).reads_only, expected, "{text}");
    }
    let twins = r#"{"tools":[{"name":"x","annotations":{"readOnlyHint":true}},{"name":"x"}]}"#;
    let twins = Listed::read(EntryKind::Tool, twins, true).expect("a list").definitions;
    assert_eq!(twins.len(), 1);
    assert!(!twins[0].reads_only && twins[0].text.starts_with('['), "{twins:?}");
}

#[test]
fn lists_are_read_within_bounds() {
    let kind = EntryKind::ResourceTemplate;
    assert_eq!(Listed::read(kind, r#"{"resources":[]}"#, true), None);
    assert_eq!(Listed::read(kind, r#"{"resourceTemplates":{}}"#, true), None);
    let long = "x".repeat(LONGEST_NAME + 1);
    let odd =
        json!({"tools": [{"name": ""}, {"name": 1}, {"title": "x"}, {"name": "a\nb"}, {"name": long}, 7]});
    let read = Listed::read(EntryKind::Tool, &odd.to_string(), true).expect("a list");
    assert_eq!(read.definitions, []);

    let many: Vec<_> = (0..=MOST_DEFINITIONS).map(|number| json!({"name": format!("{number:05}")})).collect();
    let read = Listed::read(EntryKind::Tool, &json!({"tools": many}).to_string(), true).expect("a list");
    assert_eq!((read.definitions.len(), read.is_whole), (MOST_DEFINITIONS, false));

    let large =
        |letter: &str| json!({"name": "x", "description": letter.repeat(LARGEST_DEFINITION)}).to_string();
    let (one, other) = (tool(&large("a")), tool(&large("b")));
    assert_eq!((one.text.as_str(), other.text.as_str()), ("", ""));
    assert_ne!(one.digest, other.digest);
    let deep = format!(r#"{{"name":"x","n":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(tool(&deep).name, "x", "depth is no way to crash");
}

#[test]
fn a_diff_shows_what_cannot_be_seen() {
    let plain = r#"{"name":"x","description":"Adds two numbers."}"#;
    let hidden = "{\"description\":\"Adds two numbers.\u{e0041}\u{202e}\",\"name\":\"x\"}";
    insta::assert_snapshot!(diff(plain, hidden), @r#"
    --- approved
    +++ present
    @@ -1,4 +1,4 @@
     {
    -  "description": "Adds two numbers.",
    +  "description": "Adds two numbers.\udb40\udc41\u202e",
       "name": "x"
     }
    "#);
    assert_eq!(pretty("no JSON"), "no JSON\n");
}
