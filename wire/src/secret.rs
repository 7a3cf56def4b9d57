//! A string that cannot be printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret on its way from the token-service to the filter. `Debug` hides it and there is no `Display`; the one way
/// to the text is [`SecretText::expose`], so that every use can be found by name.
///
/// It serialises in clear, because the wire is where it has to go.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::SecretText;

    #[test]
    fn debug_hides_the_text() {
        assert_eq!(format!("{:?}", SecretText::new("hunter2".into())), "[secret]");
    }
}
