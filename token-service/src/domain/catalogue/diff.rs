//! Definitions as people look at them.

use std::fmt::Write as _;

use similar::TextDiff;

use super::canonical::Json;

/// What changes from `approved` to `present`, as a unified diff of both in the form of [`pretty`]. Definitions with
/// different digests differ here too.
pub fn diff(approved: &str, present: &str) -> String {
    let (approved, present) = (pretty(approved), pretty(present));
    TextDiff::from_lines(&approved, &present).unified_diff().header("approved", "present").to_string()
}

/// Canonical, one member a line. What cannot be seen is spelt out: characters that hide text, or turn it around, are a
/// way to tell a model what its people do not read.
pub fn pretty(definition: &str) -> String {
    let text = match Json::read(definition) {
        Some(json) => json.pretty(),
        None => format!("{definition}\n"),
    };
    text.chars().fold(String::with_capacity(text.len()), |mut shown, character| {
        if is_invisible(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing into a text cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
        shown
    })
}

/// Characters of format and of variation, invisible spaces and letters, and tags (Unicode 16, `Cf` and
/// `Default_Ignorable_Code_Point`).
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
