//! Words that people and programs write.

/// The longest name of a program that is shown, in characters.
const LONGEST_NAME: usize = 64;

/// The known word that is so near that it was probably meant.
pub(crate) fn did_you_mean<'known>(word: &str, known: &[&'known str]) -> Option<&'known str> {
    let near = |candidate: &&str| strsim::damerau_levenshtein(word, candidate);
    let best = known.iter().copied().min_by_key(near)?;
    (near(&best) <= 1 + word.len() / 4).then_some(best)
}

/// The name that a program gives itself, as it can be shown: on one line, short, in the order in which it reads. `None` if nothing is left.
pub(crate) fn presentable(name: &str) -> Option<String> {
    // Characters that turn the direction of text or take no room could make a name look like another, or like ours.
    let hidden = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    let shown: String = name.chars().filter(|letter| !hidden(*letter)).take(LONGEST_NAME).collect();
    let shown = shown.trim();
    (!shown.is_empty()).then(|| shown.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_made_presentable() {
        for (given, shown) in [
            ("claude-code", Some("claude-code")),
            ("  Größe ✔ ", Some("Größe ✔")),
            ("a\r\nb\u{1b}[31m", Some("ab[31m")),
            ("\u{202e}raeniL", Some("raeniL")),
            ("\u{200b}\u{feff} ", None),
            ("", None),
        ] {
            assert_eq!(presentable(given).as_deref(), shown, "{given:?}");
        }
        assert_eq!(presentable(&"x".repeat(10_000)).map(|name| name.len()), Some(LONGEST_NAME));
    }

    proptest! {
        #[test]
        fn a_shown_name_is_short_and_has_no_hidden_letters(name in any::<String>()) {
            if let Some(shown) = presentable(&name) {
                prop_assert!(shown.chars().count() <= LONGEST_NAME && !shown.trim().is_empty());
                prop_assert_eq!(presentable(&shown), Some(shown.clone()));
                prop_assert!(!shown.chars().any(char::is_control));
            }
        }
    }
}
