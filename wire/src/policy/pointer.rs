//! JSON pointers (RFC 6901).

/// A pointer below some value: at least one step away from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(steps) = text.strip_prefix('/') else {
            return Err("does not begin with `/`, as a JSON pointer does");
        };
        steps
            .split('/')
            .map(unescape)
            .collect::<Option<_>>()
            .map(Self)
            .ok_or("has a `~` without 0 or 1 behind it")
    }

    pub fn steps(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

fn unescape(step: &str) -> Option<String> {
    let mut text = String::with_capacity(step.len());
    let mut characters = step.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '~' => match characters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(text)
}

/// The place in an array that a step names: digits without a leading zero.
pub fn array_index(step: &str) -> Option<usize> {
    let is_index = step.bytes().all(|byte| byte.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    step.parse().ok().filter(|_| is_index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers() {
        let steps = |text: &str| Pointer::parse(text).map(|pointer| pointer.0.join(" "));
        assert_eq!(steps("/repo"), Ok("repo".into()));
        assert_eq!(steps("/a~1b/m~0n/~01/0"), Ok("a/b m~n ~1 0".into()));
        assert_eq!(steps("/"), Ok(String::new()));
        for bad in ["", "repo", "/a~", "/a~2", "#/a"] {
            assert!(steps(bad).is_err(), "{bad}");
        }
        for (step, index) in
            [("0", Some(0)), ("10", Some(10)), ("01", None), ("-", None), ("+1", None), ("", None)]
        {
            assert_eq!(array_index(step), index, "{step}");
        }
    }
}
