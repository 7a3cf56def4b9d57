//! Making API keys.

use portcullis_wire::api_key::{ApiKey, SPELL_ENTROPY};
use portcullis_wire::secret::SecretText;

use crate::clock::{Entropy, random};

/// A new API key: its text, to be shown once and then forgotten, and what is kept of it. `None` if `environment` is
/// not 1 to 8 lower-case letters and digits.
pub fn spell(environment: &str, entropy: &dyn Entropy) -> Option<(SecretText, ApiKey)> {
    ApiKey::spell(environment, &random::<SPELL_ENTROPY>(entropy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    #[test]
    fn keys_are_spelt_right_and_differ() {
        let (text, key) = spell("live", &SystemEntropy).expect("a good environment");
        let (_, other) = spell("live", &SystemEntropy).expect("a good environment");
        assert_eq!(ApiKey::parse(text.expose()).as_ref(), Some(&key));
        assert!(key.id != other.id && key.digest != other.digest);
        assert!(spell("LIVE", &SystemEntropy).is_none());
    }
}
