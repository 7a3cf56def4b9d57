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

/// Whether two meanings are the same, but for the last bit of doubles: by default `serde_json` reads some numbers of very
/// many digits one step beside the nearest double.
pub(super) fn are_same(one: &str, other: &str) -> bool {
    one == other || {
        let parts = |text| str::split(text, |letter: char| !letter.is_ascii_alphanumeric());
        let is_near = |(one, other): (&str, &str)| one == other || are_near(one, other);
        parts(one).count() == parts(other).count() && parts(one).zip(parts(other)).all(is_near)
    }
}

fn are_near(one: &str, other: &str) -> bool {
    let bits = |text: &str| u64::from_str_radix(text.strip_prefix('d')?, 16).ok();
    bits(one).zip(bits(other)).is_some_and(|(one, other)| one.abs_diff(other) <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_bit_of_a_double_may_differ() {
        let meaning =
            |number: f64, word: &str| format!("{{{}:[{},{}]}}", text("n"), super::number(number), text(word));
        let next = f64::from_bits(1.5_f64.to_bits() + 1);
        assert!(are_same(&meaning(1.5, "a"), &meaning(next, "a")));
        assert!(!are_same(&meaning(1.5, "a"), &meaning(1.6, "a")));
        assert!(!are_same(&meaning(1.5, "a"), &meaning(1.5, "b")));
        assert!(!are_same("[n]", "[n,n]"));
    }
}
