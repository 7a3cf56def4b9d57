//! Text that stays on its line, for logs.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Writes characters as JSON escapes, `\u2028`, that some readers take for the end of a line, that are controls, or that
/// turn the direction of writing. Those of ASCII are left to whoever writes the record, who has to escape them anyway.
/// Inside of JSON the meaning stays the same.
pub fn printable(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() || !text.chars().any(is_escaped) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_escaped(character) {
            // Writing to a string does not fail.
            write!(escaped, "\\u{:04x}", u32::from(character)).unwrap_or_default();
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

fn is_escaped(character: char) -> bool {
    matches!(character, '\u{7F}'..='\u{9F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_disguises_a_line_is_written_out() {
        let written = |text: &'static str| printable(text.into()).into_owned();
        assert_eq!(written("a\u{2028}b\u{85}c\u{202E}d\u{9B}31m"), r"a\u2028b\u0085c\u202ed\u009b31m");
        for plain in ["", "plain", "żółć ✓ 日本", "a\tb\r\n\u{1B}[31m"] {
            assert_eq!(written(plain), plain);
            assert!(matches!(printable(plain.into()), Cow::Borrowed(_)));
        }
    }
}
