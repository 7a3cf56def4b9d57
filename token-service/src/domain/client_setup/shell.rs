//! Commands to paste.

use super::{Language, Snippet};

/// One command. Words that mean something to a shell are put in single quotes, which PowerShell reads in the same way.
///
/// A word with a NUL, which no program can be given, or with a line break, which would be half a command when it is
/// pasted, is left out together with everything else: the command is empty. [`super::Target`] has neither.
pub(super) fn command(words: &[&str]) -> Snippet {
    let is_one_line = words.iter().all(|word| !word.contains(['\n', '\r']));
    let text =
        if is_one_line { shlex::try_join(words.iter().copied()).unwrap_or_default() } else { String::new() };
    Snippet::new(Language::Shell, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_words_and_nothing_more() {
        let words = [
            "plain",
            "https://mcp.example.com/linear/mcp",
            "two words",
            "it's",
            "\"quoted\"",
            "$(touch /tmp/x)",
            "`touch /tmp/x`",
            "${HOME}",
            "a;b&c|d>e<f",
            "!history",
            "*?[a]{b,c}~",
            "back\\slash",
            "#no-comment",
            "",
            "héllo",
        ];
        let text = command(&words).text;
        let script = format!("for word in {text}; do printf '%s\\n' \"$word\"; done");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), words.map(|word| format!("{word}\n")).concat());
    }

    #[test]
    fn what_no_pasted_command_can_hold_is_refused() {
        for word in ["two\nlines", "a\rb", "nul\0"] {
            assert_eq!(command(&["program", word]).text, "", "{word:?}");
        }
    }

    #[test]
    fn a_variable_is_left_to_the_client() {
        let text = command(&["--header", "Authorization: Bearer ${KEY}"]).text;
        assert_eq!(text, "--header 'Authorization: Bearer ${KEY}'");
    }
}
