//! The spelling of gateway API keys: `pcl_<environment>_<id>_<secret>_<checksum>`.
//!
//! - `environment`: 1 to 8 lower-case letters and digits, so that a key of the test system is told from a live one.
//! - `id`: 10 characters of base 62; public, names the key in logs.
//! - `secret`: 43 characters of base 62, 256 bits of entropy.
//! - `checksum`: CRC-32 of all before it, 6 characters of base 62. It lets a secret scanner and the filter tell a key
//!   from noise without asking anybody.
//!
//! The token-service keeps [`ApiKey::digest`] only. With 256 bits of entropy a slow hash would protect nothing and
//! give strangers a way to burn CPU.

use crate::digest::Digest;
use crate::secret::SecretText;

const PREFIX: &str = "pcl_";
const ID_LENGTH: usize = 10;
const SECRET_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An API key that is spelt right; whether it exists is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub environment: String,
    /// Names the key; not a secret.
    pub id: String,
    /// SHA-256 over the secret part and the id: what is stored and compared.
    pub digest: Digest,
}

/// Whether a text claims to be one of our API keys, which decides how a bearer credential is read.
pub fn looks_like_api_key(text: &str) -> bool {
    text.starts_with(PREFIX)
}

impl ApiKey {
    /// Reads a key; `None` for every misspelling, the checksum included.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (body, checksum) = text.rsplit_once('_')?;
        if checksum.as_bytes() != base62(u64::from(crc32fast::hash(body.as_bytes()))) {
            return None;
        }
        let mut parts = rest.split('_');
        let (environment, id, secret, _checksum) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let well_formed = parts.next().is_none()
            && valid_environment(environment)
            && is_base62(id, ID_LENGTH)
            && is_base62(secret, SECRET_LENGTH);
        well_formed.then(|| Self {
            environment: environment.to_owned(),
            id: id.to_owned(),
            digest: digest(id, secret),
        })
    }

    /// Spells a new key from `entropy` (at least 53 random bytes): the key's text, to be shown once, and its parts.
    /// `None` if there is too little entropy or the environment is malformed.
    pub fn spell(environment: &str, entropy: &[u8]) -> Option<(SecretText, Self)> {
        if !valid_environment(environment) {
            return None;
        }
        let symbols: Vec<u8> = entropy.iter().filter_map(|byte| unbiased_symbol(*byte)).collect();
        let id = String::from_utf8(symbols.get(..ID_LENGTH)?.to_vec()).ok()?;
        let secret = symbols.get(ID_LENGTH..ID_LENGTH.checked_add(SECRET_LENGTH)?)?;
        let secret = String::from_utf8(secret.to_vec()).ok()?;
        let body = format!("{PREFIX}{environment}_{id}_{secret}");
        let checksum = base62(u64::from(crc32fast::hash(body.as_bytes())));
        let text = format!("{body}_{}", String::from_utf8_lossy(&checksum));
        let digest = digest(&id, &secret);
        Some((SecretText::new(text), Self { environment: environment.to_owned(), id, digest }))
    }
}

/// How many random bytes to give [`ApiKey::spell`]: bytes above 247 are thrown away to keep the symbols unbiased, and
/// 128 bytes fall short of the 53 needed about never.
pub const SPELL_ENTROPY: usize = 128;

fn digest(id: &str, secret: &str) -> Digest {
    Digest::of("portcullis-api-key-v1", &[id.as_bytes(), secret.as_bytes()])
}

fn valid_environment(text: &str) -> bool {
    (1..=8).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_base62(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn unbiased_symbol(byte: u8) -> Option<u8> {
    // 248 = 4 × 62.
    (byte < 248).then(|| ALPHABET.get(usize::from(byte % 62)).copied()).flatten()
}

fn base62(mut number: u64) -> [u8; CHECKSUM_LENGTH] {
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        if let Some(symbol) = ALPHABET.get(usize::try_from(number % 62).unwrap_or(0)) {
            *digit = *symbol;
        }
        number /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> String {
        let entropy: Vec<u8> = (0..128).collect();
        ApiKey::spell("test", &entropy).expect("enough entropy").0.expose().to_owned()
    }

    #[test]
    fn spelt_keys_parse() {
        let entropy: Vec<u8> = (100..=255).collect();
        let (text, key) = ApiKey::spell("live", &entropy).expect("enough entropy");
        assert_eq!(ApiKey::parse(text.expose()), Some(key));
        assert!(looks_like_api_key(text.expose()));
    }

    #[test]
    fn misspelt_keys_do_not() {
        let key = sample();
        assert!(ApiKey::parse(&key).is_some());
        for bad in
            [&key[1..], &key[..key.len() - 1], &key.to_lowercase(), &key.replace("test", "live"), "", "pcl_"]
        {
            assert_eq!(ApiKey::parse(bad), None, "{bad}");
        }
        assert!(ApiKey::spell("TEST", &[1; 128]).is_none());
        assert!(ApiKey::spell("test", &[1; 10]).is_none());
    }

    proptest! {
        #[test]
        fn one_changed_character_is_noticed(position in 0_usize..70, replacement in "[0-9A-Za-z_]") {
            let key = sample();
            let position = position % key.len();
            let mut changed = key.clone();
            changed.replace_range(position..=position, &replacement);
            prop_assume!(changed != key);
            prop_assert_eq!(ApiKey::parse(&changed), None);
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".*") {
            let _ = ApiKey::parse(&text);
        }
    }
}
