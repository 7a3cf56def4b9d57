//! Keys that some parsers take for one another.

/// Whether two keys are the same but for the case of their letters. Go's decoder takes one for the other, most do not.
pub fn same_but_for_case(one: &str, other: &str) -> bool {
    one.chars().flat_map(fold).eq(other.chars().flat_map(fold))
}

/// To capitals and back, so that all forms of a letter become one: the long s, the Kelvin sign and both Turkish i's too,
/// which fold to ASCII letters in one library or another.
fn fold(character: char) -> impl Iterator<Item = char> {
    let character = if character == '\u{130}' { 'i' } else { character };
    character.to_uppercase().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::same_but_for_case;

    #[test]
    fn twins() {
        for (key, known) in [
            ("Name", "name"),
            ("PARAMS", "params"),
            ("param\u{17F}", "params"),
            ("ta\u{17F}\u{212A}ID", "taskId"),
            ("\u{130}d", "id"),
            ("\u{131}d", "ID"),
            ("straße", "STRASSE"),
            ("ΣΑΣ", "σας"),
        ] {
            assert!(same_but_for_case(key, known), "{key}");
        }
        for (key, known) in
            [("names", "name"), ("nаme", "name"), ("", "name"), ("name ", "name"), ("na\u{301}me", "name")]
        {
            assert!(!same_but_for_case(key, known), "{key}");
        }
    }
}
