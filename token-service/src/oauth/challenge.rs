//! `WWW-Authenticate` (RFC 9110, section 11.6.1), read tolerantly.
//!
//! ```text
//! challenges = challenge *( "," challenge )
//! challenge  = scheme [ SP ( token68 / parameter *( "," parameter ) ) ]
//! parameter  = name "=" ( token / quoted-string )
//! ```
//!
//! The comma separates challenges and parameters alike, so a word is a scheme if no `=` follows it. What makes no
//! sense is passed over; nothing here can fail, and nothing is read beyond [`MAX_BYTES`].

/// How much is read of all values together. Cutting a challenge short loses parameters and invents none: it is cut at
/// a comma, and if that is inside of a quoted string, a string without an end is not taken.
const MAX_BYTES: usize = 8 * 1024;

/// What a Bearer challenge says that concerns us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BearerChallenge {
    pub resource_metadata: Option<String>,
    pub scope: Option<String>,
    pub error: Option<String>,
}

/// The first Bearer challenge among the values of the header.
pub fn bearer(values: &[&str]) -> Option<BearerChallenge> {
    let mut left = MAX_BYTES;
    values.iter().find_map(|value| {
        let read = truncated(value, left);
        left -= read.len();
        bearer_in(read)
    })
}

fn truncated(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let comma = text.as_bytes()[..most].iter().rposition(|byte| *byte == b',');
    comma.map_or("", |end| &text[..end])
}

fn bearer_in(value: &str) -> Option<BearerChallenge> {
    let mut reader = Reader { rest: value };
    let mut found = None;
    while let Some(item) = reader.next() {
        match (item, &mut found) {
            (Item::Scheme(scheme), None) if scheme.eq_ignore_ascii_case("bearer") => {
                found = Some(BearerChallenge::default());
            }
            (Item::Scheme(_), Some(_)) => break,
            (Item::Parameter(name, text), Some(challenge)) => challenge.take(name, text),
            (Item::Scheme(_) | Item::Parameter(..), None) => {}
        }
    }
    found
}

impl BearerChallenge {
    /// Names are the same in any case; of one that is given twice, the first counts.
    fn take(&mut self, name: &str, text: String) {
        let field = match name.to_ascii_lowercase().as_str() {
            "resource_metadata" => &mut self.resource_metadata,
            "scope" => &mut self.scope,
            "error" => &mut self.error,
            _ => return,
        };
        field.get_or_insert(text);
    }
}

enum Item<'a> {
    Scheme(&'a str),
    Parameter(&'a str, String),
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
            let first = self.rest.chars().next()?;
            let word = self.take_while(is_token);
            if word.is_empty() {
                // Whatever it is, it cannot begin anything; a quoted string goes as one.
                if first == '"' {
                    self.quoted();
                } else {
                    self.rest = self.rest.strip_prefix(first).unwrap_or_default();
                }
                continue;
            }
            let after = self.rest.trim_start_matches([' ', '\t']);
            let Some(value) = after.strip_prefix('=') else { return Some(Item::Scheme(word)) };
            self.rest = value.trim_start_matches([' ', '\t']);
            let text = if self.rest.starts_with('"') {
                self.quoted()
            } else {
                // An empty one is the padding of a token68.
                Some(self.take_while(|byte| !matches!(byte, b',' | b' ' | b'\t')).to_owned())
            };
            match text {
                Some(text) if !text.is_empty() => return Some(Item::Parameter(word, text)),
                _ => {}
            }
        }
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(|byte| !keep(byte)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A quoted string with its escapes undone. One that does not end takes all that is left.
    fn quoted(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((position, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[position + 1..];
                    return Some(text);
                }
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                other => text.push(other),
            }
        }
        self.rest = "";
        None
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn challenge(metadata: Option<&str>, scope: Option<&str>, error: Option<&str>) -> BearerChallenge {
        let [resource_metadata, scope, error] = [metadata, scope, error].map(|text| text.map(str::to_owned));
        BearerChallenge { resource_metadata, scope, error }
    }

    #[test]
    fn as_servers_write_it() {
        for (value, expected) in [
            ("Bearer", challenge(None, None, None)),
            ("bearer realm=x", challenge(None, None, None)),
            (
                r#"Bearer resource_metadata="https://a.example/m""#,
                challenge(Some("https://a.example/m"), None, None),
            ),
            (
                r#"Bearer error="invalid_token", scope="a b", resource_metadata="u""#,
                challenge(Some("u"), Some("a b"), Some("invalid_token")),
            ),
            (
                "Bearer scope=a,error=insufficient_scope",
                challenge(None, Some("a"), Some("insufficient_scope")),
            ),
            ("Bearer SCOPE = \"a\" , Error\t=\te", challenge(None, Some("a"), Some("e"))),
            (
                r#"Bearer error_description="a \"b\", scope=\"evil\"", scope="good""#,
                challenge(None, Some("good"), None),
            ),
            (r#"Bearer scope="a\\b""#, challenge(None, Some(r"a\b"), None)),
            (
                "Bearer resource_metadata=https://a.example/m?x=1, scope=s",
                challenge(Some("https://a.example/m?x=1"), Some("s"), None),
            ),
            (r#"Bearer scope="first", scope="second""#, challenge(None, Some("first"), None)),
            (r#"Bearer scope="""#, challenge(None, None, None)),
        ] {
            assert_eq!(bearer(&[value]), Some(expected), "{value}");
        }
    }

    #[test]
    fn among_others() {
        let expected = Some(challenge(None, Some("s"), None));
        for value in [
            r#"Basic realm="Bearer scope=\"evil\"", Bearer scope="s""#,
            r#"Digest qop="auth, auth-int", nonce=n, Bearer scope=s, DPoP algs="ES256", scope="other""#,
            r"Negotiate dGVzdA==, Bearer scope=s",
            r#"Basic, Bearer scope="s", Basic realm="x", scope="other""#,
            r#",, ;; Bearer scope="s""#,
        ] {
            assert_eq!(bearer(&[value]), expected, "{value}");
        }
        assert_eq!(bearer(&["Basic realm=x", "Bearer scope=s", "Bearer scope=t"]), expected);
        for none in [&[][..], &[""], &["Basic realm=\"Bearer\""], &["NotBearer scope=s"], &["scope=s"]] {
            assert_eq!(bearer(none), None, "{none:?}");
        }
    }

    #[test]
    fn what_is_cut_short_is_not_taken() {
        assert_eq!(
            bearer(&[r#"Bearer error=e, resource_metadata="https://a.exam"#]),
            Some(challenge(None, None, Some("e")))
        );
        for value in ["\"aaa", "aaa"] {
            let long = format!("Bearer error=e, scope={value}{}", "a".repeat(MAX_BYTES));
            assert_eq!(bearer(&[&long]), Some(challenge(None, None, Some("e"))));
        }
        let inside = format!("Bearer error=e, scope=\"a,{}\"", "a".repeat(MAX_BYTES));
        assert_eq!(bearer(&[&inside]), Some(challenge(None, None, Some("e"))));
        let filler = "x".repeat(MAX_BYTES);
        assert_eq!(bearer(&[&filler, "Bearer scope=s"]), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(Bearer|Basic|[ ,=\"\\\\a-z\u{e4}\t;]){0,40}") {
            let _ = bearer(&[&text, &text]);
        }

        #[test]
        fn any_value_survives_quoting(scope in "[ -~\u{e4}]{1,40}", before in "(Basic realm=\"x\", )?") {
            let quoted = scope.replace('\\', "\\\\").replace('"', "\\\"");
            let read = bearer(&[&format!("{before}Bearer scope=\"{quoted}\", error=e")]);
            prop_assert_eq!(read, Some(challenge(None, Some(&scope), Some("e"))));
        }
    }
}
