//! The strict reader, document by document; natively and on wasm32.

use portcullis_filter_core::json::{Document, ErrorClass, Kind, Limits, ReadError, ReadErrorKind, Value};
use wasm_bindgen_test::wasm_bindgen_test;

fn read(bytes: &[u8]) -> Result<Document<'_>, ReadError> {
    Document::read(bytes, &Limits::default())
}

fn refusal(bytes: &[u8]) -> ReadError {
    read(bytes).expect_err(&format!("{} must be refused", String::from_utf8_lossy(bytes)))
}

fn nested(depth: usize) -> Vec<u8> {
    [vec![b'['; depth], vec![b']'; depth]].concat()
}

#[wasm_bindgen_test(unsupported = test)]
fn values_are_found_where_they_stand() {
    let bytes = br#" {"a" : [1, {"b":null}, "x\ny"], "\u0063":{"d":true}, "e":-1.5e3} "#;
    let document = read(bytes).expect("valid");
    let root = document.root();
    assert_eq!(root.kind(), Kind::Object);
    assert_eq!(root.raw(), bytes.trim_ascii());
    let keys: Vec<_> = root.members().map(|(key, _)| key.into_owned()).collect();
    assert_eq!(keys, ["a", "c", "e"]);

    let items: Vec<_> = root.get("a").expect("a").items().collect();
    assert_eq!(items.iter().map(Value::kind).collect::<Vec<_>>(), [Kind::Number, Kind::Object, Kind::String]);
    assert_eq!(items[0].as_u64(), Some(1));
    assert!(items[1].get("b").expect("b").is_null());
    assert_eq!(items[2].as_str().as_deref(), Some("x\ny"));
    assert_eq!(items[2].raw(), br#""x\ny""#);
    assert!(items[2].is_str("x\ny") && !items[2].is_str(r"x\ny"));

    assert_eq!(root.get("c").and_then(|c| c.get("d")).and_then(|d| d.as_bool()), Some(true));
    assert_eq!(root.get("e").and_then(|e| e.as_number_text()), Some("-1.5e3"));
    assert_eq!(root.get("e").and_then(|e| e.as_u64()), None);
    assert!(root.get("b").is_none() && root.get("d").is_none());

    let (key, value) = root.member_spans().nth(1).expect("second member");
    assert_eq!(&bytes[key.start..value.span().end], br#""\u0063":{"d":true}"#);
}

#[wasm_bindgen_test(unsupported = test)]
fn any_root_is_read() {
    for (text, kind) in [
        ("null", Kind::Null),
        ("false", Kind::Bool),
        ("-0.0", Kind::Number),
        ("0", Kind::Number),
        (r#""""#, Kind::String),
        ("[]", Kind::Array),
        ("{ }", Kind::Object),
        ("\t\r\n [ ] ", Kind::Array),
    ] {
        assert_eq!(read(text.as_bytes()).expect(text).root().kind(), kind, "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn other_kinds_have_no_members_items_or_text() {
    let document = read(br#"[{"a":1},[2],"3"]"#).expect("valid");
    let items: Vec<_> = document.root().items().collect();
    assert_eq!(items[0].items().count(), 0);
    assert_eq!(items[1].members().count(), 0);
    assert_eq!(items[2].items().count() + items[2].members().count(), 0);
    assert_eq!((items[0].as_str(), items[0].as_bool(), items[0].as_number_text()), (None, None, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_json_is_a_syntax_error() {
    for (text, offset) in [
        ("", 0),
        ("  \n", 3),
        ("{", 1),
        ("[1,]", 3),
        ("[,1]", 1),
        (r#"{"a":1,}"#, 7),
        (r#"{"a"}"#, 4),
        (r#"{"a":}"#, 5),
        (r#"{"a" 1}"#, 5),
        ("{a:1}", 1),
        ("{'a':1}", 1),
        ("{1:1}", 1),
        ("[1}", 2),
        (r#"{"a":1]"#, 6),
        ("]", 0),
        ("{}{}", 2),
        ("{} x", 3),
        ("{}\0", 2),
        ("1 2", 2),
        ("// c\n{}", 0),
        ("{/**/}", 1),
        ("\u{c}{}", 0),
        ("{}\u{a0}", 2),
        ("\u{2028}{}", 0),
        ("NaN", 0),
        ("Infinity", 0),
        ("-Infinity", 1),
        ("nul", 0),
        ("True", 0),
        ("truex", 4),
        ("+1", 0),
        ("01", 1),
        ("-", 1),
        ("-01", 2),
        (".5", 0),
        ("1.", 2),
        ("1.e5", 2),
        ("1e", 2),
        ("1e+", 3),
        ("0x10", 1),
        ("1_000", 1),
        ("\"a", 2),
        ("\"\\", 1),
        ("\"\\x41\"", 1),
        ("\"\\u12\"", 1),
        ("\"\\u12g4\"", 1),
        ("\"a\nb\"", 2),
        ("\"\0\"", 1),
        ("{\"a\tb\":1}", 3),
    ] {
        let error = refusal(text.as_bytes());
        assert_eq!((error.kind.class(), error.offset), (ErrorClass::Syntax, offset), "{text:?}: {error}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn duplicate_keys_are_refused_after_unescaping_at_any_depth() {
    for (text, key, offset) in [
        (r#"{"name":1,"name":2}"#, "name", 10),
        (r#"{"name":1,"n\u0061me":2}"#, "name", 10),
        (r#"{"\u006dethod":1,"method":1}"#, "method", 17),
        (r#"{"a":{"b":[{"c":1,"d":{},"c":1}]}}"#, "c", 25),
        (r#"{"a":1,"b":{"a":1,"b":2},"a":3}"#, "a", 25),
        (r#"{"":1,"":2}"#, "", 6),
        (r#"{"\uD83D\uDE00":1,"😀":2}"#, "😀", 18),
        (r#"{"a/b":1,"a\/b":2}"#, "a/b", 9),
        (r#"{"__proto__":1,"__proto__":1}"#, "__proto__", 15),
    ] {
        let error = refusal(text.as_bytes());
        assert_eq!(error.kind, ReadErrorKind::DuplicateKey(key.to_owned()), "{text}");
        assert_eq!((error.offset, error.kind.class()), (offset, ErrorClass::Ambiguity), "{text}");
    }
    // Equal keys of different objects, keys that differ in case or normalisation: all fine here.
    for text in
        [r#"[{"a":1},{"a":1}]"#, r#"{"a":{"a":{"a":1}}}"#, r#"{"a":1,"A":2}"#, "{\"é\":1,\"e\u{301}\":2}"]
    {
        assert!(read(text.as_bytes()).is_ok(), "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_message_names_the_duplicate_and_its_place() {
    assert_eq!(refusal(br#"{"name":1,"name":2}"#).to_string(), r#"duplicate key "name" at byte 10"#);
    let long = format!(r#"{{"{0}":1,"{0}":2}}"#, "k".repeat(10_000));
    assert!(refusal(long.as_bytes()).to_string().len() < 120);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_parsers_read_differently_is_refused() {
    for (bytes, kind, offset) in [
        (&b"\xEF\xBB\xBF{}"[..], ReadErrorKind::ByteOrderMark, 0),
        (b"[\"a\xFF\"]", ReadErrorKind::InvalidUtf8, 3),
        (b"[\"\xC0\xAF\"]", ReadErrorKind::InvalidUtf8, 2),
        (b"[\"\xED\xA0\x80\"]", ReadErrorKind::InvalidUtf8, 2),
        (b"[\"\xF4\x90\x80\x80\"]", ReadErrorKind::InvalidUtf8, 2),
        (b"[\"0123456789\xE2\x82\"]", ReadErrorKind::InvalidUtf8, 12),
        (b"{\"\x80\":1}", ReadErrorKind::InvalidUtf8, 2),
        (br#"["\ud800"]"#, ReadErrorKind::LoneSurrogate, 2),
        (br#"["\udc00\ud800"]"#, ReadErrorKind::LoneSurrogate, 2),
        (br#"{"\ud800x":1}"#, ReadErrorKind::LoneSurrogate, 2),
        (br#"{"a\u0000":1}"#, ReadErrorKind::NulInKey, 1),
        (b"[1e400]", ReadErrorKind::NumberOutOfRange, 1),
        (b"[-1E+999]", ReadErrorKind::NumberOutOfRange, 1),
    ] {
        let error = refusal(bytes);
        assert_eq!((error.kind.class(), error.offset), (ErrorClass::Ambiguity, offset), "{error}");
        assert_eq!(error.kind, kind);
    }
    for bytes in [&b"\xFF\xFE{\0}\0"[..], b"\xFE\xFF\0{\0}", b"{\0}\0", b"\0{\0}", b"\0\0\0{\0\0\0}"] {
        refusal(bytes);
    }
    for text in ["[1.7976931348623157e308]", "[1e-400]", r#"["\u0000"]"#, "[\"\u{FFFF}\u{10FFFF}\"]"] {
        assert!(read(text.as_bytes()).is_ok(), "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn depth_is_bounded() {
    assert!(read(&nested(64)).is_ok());
    for depth in [65, 500, 5_000, 1_000_000] {
        let error = refusal(&nested(depth));
        assert_eq!((error.kind, error.offset), (ReadErrorKind::TooDeep(64), 64));
    }
    refusal(&vec![b'['; 1_000_000]);
    refusal(&br#"{"a":"#.repeat(200_000));
    let sixty_five = format!(r#"{{"a":1,"ignored":{}1{}}}"#, r#"{"x":"#.repeat(64), "}".repeat(64));
    assert_eq!(refusal(sixty_five.as_bytes()).kind, ReadErrorKind::TooDeep(64));
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_values_and_numbers_are_bounded() {
    let object = |keys: usize| {
        let members: Vec<_> = (0..keys).map(|key| format!(r#""k{key}":{key}"#)).collect();
        format!("{{{}}}", members.join(","))
    };
    assert!(read(object(1024).as_bytes()).is_ok());
    assert_eq!(refusal(object(1025).as_bytes()).kind, ReadErrorKind::TooManyKeys(1024));
    assert_eq!(refusal(object(100_000).as_bytes()).kind, ReadErrorKind::TooManyKeys(1024));

    let array = |items: usize| format!("[{}0]", "0,".repeat(items - 1));
    assert!(read(array(99_999).as_bytes()).is_ok());
    assert_eq!(refusal(array(100_000).as_bytes()).kind, ReadErrorKind::TooManyNodes(100_000));

    for (length, accepted) in [(64, true), (65, false), (1_000_000, false)] {
        for number in ["1".repeat(length), format!("0.{}", "3".repeat(length - 2))] {
            assert_eq!(read(number.as_bytes()).is_ok(), accepted, "{length}");
        }
    }
    let error = refusal("9".repeat(65).as_bytes());
    assert_eq!((error.kind.class(), error.offset), (ErrorClass::Bound, 0));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_duplicate_is_found_among_many_keys() {
    let keys: Vec<_> = (0..1023).map(|key| format!(r#""{}{key}":0"#, "same-".repeat(200))).collect();
    assert!(read(format!("{{{}}}", keys.join(",")).as_bytes()).is_ok());
    let twice = format!("{{{},{}}}", keys.join(","), keys[500]);
    let error = refusal(twice.as_bytes());
    assert!(matches!(error.kind, ReadErrorKind::DuplicateKey(_)));
    assert_eq!(error.offset, twice.rfind(r#""same-"#).expect("last key"));
}

#[wasm_bindgen_test(unsupported = test)]
fn large_documents_are_read() {
    for filler in ["a", "é", r"\n", "😀"] {
        let text = format!(r#"{{"data":"{}"}}"#, filler.repeat((1 << 20) / filler.len()));
        let document = read(text.as_bytes()).expect("valid");
        let data = document.root().get("data").and_then(|data| data.as_str()).expect("a string");
        assert_eq!(data.chars().count(), (1 << 20) / filler.len());
    }
    let spaces = [vec![b' '; 1 << 20], b"{}".to_vec()].concat();
    assert!(read(&spaces).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn values_below_the_record_depth_are_validated_but_not_kept() {
    let limits = Limits { record_depth: 2, ..Limits::default() };
    let bytes = br#"{"params":{"name":"x","arguments":{"a":{"b":1}},"list":[1,2]},"z":1}"#;
    let document = Document::read(bytes, &limits).expect("valid");
    let params = document.root().get("params").expect("params");
    assert!(params.get("name").expect("name").is_str("x"));
    let arguments = params.get("arguments").expect("arguments");
    assert_eq!(arguments.raw(), br#"{"a":{"b":1}}"#);
    assert_eq!(arguments.members().count(), 0);
    assert_eq!(params.get("list").expect("list").items().count(), 0);
    assert_eq!(document.root().get("z").and_then(|z| z.as_u64()), Some(1));
    let duplicate = br#"{"params":{"arguments":{"a":{"b":1,"b":2}}}}"#;
    assert!(Document::read(duplicate, &limits).is_err());
}

#[wasm_bindgen_test(unsupported = test)]
fn debug_output_shows_no_content() {
    let document = read(br#"{"secret":"hunter2"}"#).expect("valid");
    let printed = format!("{document:?} {:?}", document.root());
    assert!(!printed.contains("secret") && !printed.contains("hunter2"), "{printed}");
}
