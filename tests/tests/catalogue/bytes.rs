//! Bytes as the catalogue writes them: text with `${names}` in it, and pieces that would be too long or too odd to write.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis_tests::idp::IdentityProvider;
use serde::Deserialize;

/// A text, or pieces one after the other.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Bytes {
    Text(String),
    Pieces(Vec<Piece>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Piece {
    Text(String),
    Hex(Hex),
    Repeat(Repeat),
    Count(Count),
    Encoded(Encoded),
    Signed(Signed),
}

/// Bytes by two digits each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hex {
    hex: String,
}

/// The same again and again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repeat {
    repeat: Box<Bytes>,
    times: usize,
}

/// `count` times `of`, in which `${n}` is the number, with commas in between.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    count: usize,
    of: Box<Bytes>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encoded {
    encode: Encoding,
    of: Box<Bytes>,
}

/// A token of the company's identity provider, with header and claims as they are written here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    header: Option<Box<Bytes>>,
    signed: Box<Bytes>,
}

/// Of a token whose header is of no interest.
const USUAL_HEADER: &str = r#"{"alg":"EdDSA","typ":"JWT","kid":"key-1"}"#;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Encoding {
    Base64,
    /// As in tokens.
    Base64url,
    #[serde(rename = "utf-16le")]
    Utf16Le,
    #[serde(rename = "utf-16be")]
    Utf16Be,
    #[serde(rename = "utf-32le")]
    Utf32Le,
}

/// What `${name}` stands for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    values: BTreeMap<&'static str, Vec<u8>>,
    provider: Option<Arc<IdentityProvider>>,
}

impl Variables {
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Vec<u8>>) {
        self.values.insert(name, value.into());
    }

    /// Who signs tokens.
    pub(crate) fn signed_by(&mut self, provider: &Arc<IdentityProvider>) {
        self.provider = Some(Arc::clone(provider));
    }

    fn with(&self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        let mut more = self.clone();
        more.set(name, value);
        more
    }
}

impl Bytes {
    /// # Errors
    /// If something in it is not there or not what it says.
    pub(crate) fn make(&self, variables: &Variables) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => fill(text, variables),
            Self::Pieces(pieces) => {
                let parts: Result<Vec<_>, _> = pieces.iter().map(|piece| piece.make(variables)).collect();
                Ok(parts?.concat())
            }
        }
    }

    /// Where it has to be text.
    pub(crate) fn text(&self, variables: &Variables) -> Result<String, String> {
        String::from_utf8(self.make(variables)?).map_err(|error| error.to_string())
    }
}

impl Piece {
    fn make(&self, variables: &Variables) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => fill(text, variables),
            Self::Hex(hex) => bytes_of(&hex.hex),
            Self::Repeat(repeat) => Ok(repeat.repeat.make(variables)?.repeat(repeat.times)),
            Self::Count(count) => {
                let each = |number: usize| count.of.make(&variables.with("n", number.to_string()));
                let each: Result<Vec<_>, _> = (0..count.count).map(each).collect();
                Ok(each?.join(&b","[..]))
            }
            Self::Signed(signed) => {
                let provider = variables.provider.as_ref().ok_or("nobody signs tokens here")?;
                let header = signed.header.as_ref().map(|header| header.make(variables)).transpose()?;
                let header = header.unwrap_or_else(|| USUAL_HEADER.as_bytes().to_vec());
                let claims = signed.signed.make(variables)?;
                Ok(provider.sign_written(&header, &claims).into_bytes())
            }
            Self::Encoded(encoded) => encoded.encode.encode(&encoded.of.make(variables)?),
        }
    }
}

impl Encoding {
    fn encode(self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let text = || std::str::from_utf8(bytes).map_err(|error| error.to_string());
        Ok(match self {
            Self::Base64 => STANDARD.encode(bytes).into_bytes(),
            Self::Base64url => URL_SAFE_NO_PAD.encode(bytes).into_bytes(),
            Self::Utf16Le => text()?.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Self::Utf16Be => text()?.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Self::Utf32Le => text()?.chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect(),
        })
    }
}

fn fill(text: &str, variables: &Variables) -> Result<Vec<u8>, String> {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (name, rest) = part.split_once('}').ok_or_else(|| format!("an open ${{ in {text:?}"))?;
        let value =
            variables.values.get(name).ok_or_else(|| format!("nothing is called ${{{name}}} here"))?;
        filled.extend_from_slice(value);
        filled.extend_from_slice(rest.as_bytes());
    }
    Ok(filled)
}

fn bytes_of(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let count = hex.chars().filter(|letter| *letter != ' ').count();
    if digits.len() != count || count % 2 == 1 {
        return Err(format!("{hex:?} is not hexadecimal"));
    }
    let byte = |pair: &[u32]| pair.iter().fold(0, |byte, digit| byte * 16 + digit);
    Ok(digits.chunks(2).filter_map(|pair| u8::try_from(byte(pair)).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(yaml: &str) -> Result<Vec<u8>, String> {
        let mut variables = Variables::default();
        variables.set("key", "k-1");
        serde_saphyr::from_str::<Bytes>(yaml).expect("bytes").make(&variables)
    }

    #[test]
    fn every_piece() {
        for (yaml, bytes) in [
            (r#""a ${key} b""#, &b"a k-1 b"[..]),
            (r#"["a", {hex: "ff 00"}, "b"]"#, b"a\xff\0b"),
            (r#"[{repeat: "ab", times: 3}]"#, b"ababab"),
            (r#"[{count: 3, of: "k${n}"}]"#, b"k0,k1,k2"),
            (r#"[{encode: base64, of: "a?"}]"#, b"YT8="),
            (r#"[{encode: utf-16le, of: "a"}]"#, b"a\0"),
        ] {
            assert_eq!(made(yaml).as_deref(), Ok(bytes), "{yaml}");
        }
        for yaml in [r#""${other}""#, r#""${key""#, r#"[{hex: "f"}]"#, r#"[{hex: "xx"}]"#] {
            made(yaml).expect_err(yaml);
        }
    }
}
