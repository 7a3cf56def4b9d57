//! Meanings, written as `tests/parsers/README.md` has it.

use std::fmt::Write as _;

use portcullis_filter_core::json::{Kind, Value};

pub(super) fn text(value: &str) -> String {
    let mut written = String::from("s");
    for byte in value.bytes() {
        let _infallible = write!(written, "{byte:02x}");
    }
    written
}

pub(super) fn number(value: f64) -> String {
    // Adding zero makes one of the two zeros.
    format!("d{:016x}", (value + 0.0).to_bits())
}

pub(super) fn object(mut members: Vec<String>) -> String {
    members.sort_unstable();
    format!("{{{}}}", members.join(","))
}

/// Of a value as the filter reads it.
pub(super) fn ours(value: Value<'_, '_>) -> String {
    match value.kind() {
        Kind::Null => "n".into(),
        Kind::Bool => if value.as_bool() == Some(true) { "t" } else { "f" }.into(),
        Kind::Number => {
            let read = value.as_number_text().and_then(|text| text.parse().ok());
            number(read.unwrap_or(f64::NAN))
        }
        Kind::String => text(&value.as_str().unwrap_or_default()),
        Kind::Array => format!("[{}]", value.items().map(ours).collect::<Vec<_>>().join(",")),
        Kind::Object => {
            object(value.members().map(|(key, value)| format!("{}:{}", text(&key), ours(value))).collect())
        }
    }
}

/// Of a value as `serde_json` reads it.
pub(super) fn tree(value: &serde_json::Value) -> String {
    use serde_json::Value::{Array, Bool, Null, Number, Object, String};
    match value {
        Null => "n".into(),
        Bool(value) => if *value { "t" } else { "f" }.into(),
        Number(value) => number(value.as_f64().unwrap_or(f64::NAN)),
        String(value) => text(value),
        Array(items) => format!("[{}]", items.iter().map(tree).collect::<Vec<_>>().join(",")),
        Object(members) => {
            object(members.iter().map(|(key, value)| format!("{}:{}", text(key), tree(value))).collect())
        }
    }
}
