//! The strict reader against `serde_json`, on documents nobody thought of.
#![cfg(not(target_family = "wasm"))]

use portcullis_filter_core::json::{Document, Kind, Limits, Value};
use proptest::prelude::*;

/// The tree that `serde_json` would make of the same document.
fn tree(value: Value<'_, '_>) -> serde_json::Value {
    match value.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool => value.as_bool().expect("a bool").into(),
        Kind::Number => {
            serde_json::from_str(value.as_number_text().expect("a number")).expect("serde_json reads it")
        }
        Kind::String => value.as_str().expect("a string").into_owned().into(),
        Kind::Array => value.items().map(tree).collect(),
        Kind::Object => value.members().map(|(key, value)| (key.into_owned(), tree(value))).collect(),
    }
}

/// Accepted means that `serde_json` accepts it too and reads the same.
fn agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
    let theirs = serde_json::from_slice::<serde_json::Value>(bytes);
    if let Ok(document) = Document::read(bytes, &Limits::default()) {
        let theirs = theirs.map_err(|error| TestCaseError::fail(format!("they refuse: {error}")))?;
        prop_assert_eq!(tree(document.root()), theirs);
        check_spans(document.root(), bytes)?;
    }
    Ok(())
}

/// Every value's raw bytes are a document of their own with the same meaning.
fn check_spans(value: Value<'_, '_>, bytes: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!(&bytes[value.span()], value.raw());
    let alone = Document::read(value.raw(), &Limits::default());
    prop_assert_eq!(alone.ok().map(|document| tree(document.root())), Some(tree(value)));
    for (key, member) in value.members() {
        prop_assert_eq!(value.get(&key).map(|found| found.span()), Some(member.span()));
    }
    value.items().try_for_each(|item| check_spans(item, bytes))
}

fn any_tree() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 24, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::hash_map(".{0,6}", inner, 0..24)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// Text made of the pieces JSON is made of, rarely well put together.
fn near_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["{", "}", "[", "]", ",", ":", "\"", " ", "\n"]),
        4 => prop::sample::select(vec!["\"a\":", "\"b\":", "\"\\u0061\":", "\"\":", "\"a\"", "\"\\ud83d\\ude00\""]),
        2 => prop::sample::select(vec!["null", "true", "0", "-1", "1.5", "1e5", "1E-7", "-0", "1e308", "18446744073709551616"]),
        1 => prop::sample::select(vec!["\\", "\\u00", "\\ud800", "é", "\u{0}", "01", "1.", "+", "nul", "\u{feff}", "'"]),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_serde_json_writes_is_read_alike(value in any_tree(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.expect("serialises");
        // U+0000 in a key is the only thing in these trees that we refuse and serde_json does not.
        prop_assume!(!text.contains("\\u0000"));
        let document = Document::read(text.as_bytes(), &Limits::default());
        prop_assert!(document.is_ok(), "{:?} in {}", document, text);
        agrees(text.as_bytes())?;
    }

    #[test]
    fn mutations_never_panic_and_never_change_the_meaning_for_one_side_only(
        value in any_tree(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4)
    ) {
        let mut bytes = serde_json::to_vec(&value).expect("serialises");
        for (place, byte, how) in changes {
            let place = place.index(bytes.len() + 1);
            match how {
                0 => bytes.insert(place, byte),
                1 if place < bytes.len() => { bytes.remove(place); }
                _ if place < bytes.len() => bytes[place] = byte,
                _ => {}
            }
        }
        agrees(&bytes)?;
    }

    #[test]
    fn near_json_is_read_alike(text in near_json()) {
        agrees(text.as_bytes())?;
    }

    #[test]
    fn any_bytes_are_read_alike(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        agrees(&bytes)?;
    }

    #[test]
    fn any_cut_of_a_container_is_refused(value in any_tree(), cut in any::<prop::sample::Index>()) {
        let bytes = serde_json::to_vec(&vec![value]).expect("serialises");
        prop_assert!(Document::read(&bytes[..cut.index(bytes.len())], &Limits::default()).is_err());
    }

    #[test]
    fn a_repeated_key_is_found_among_any_number(
        count in 1..40_usize, which in any::<prop::sample::Index>(), escaped: bool
    ) {
        let name = |key: usize| format!("key{key}");
        let mut members: Vec<_> = (0..count).map(|key| format!("{:?}:{key}", name(key))).collect();
        let twin = name(which.index(count));
        members.push(if escaped { format!(r#""\u006b{}":0"#, &twin[1..]) } else { format!("{twin:?}:0") });
        let text = format!("{{{}}}", members.join(","));
        let error = Document::read(text.as_bytes(), &Limits::default()).expect_err("a duplicate");
        prop_assert_eq!(error.to_string(), format!("duplicate key {twin:?} at byte {}", text.rfind(",\"").expect("last") + 1));
    }
}
