//! The inside of a string: finding its end and reading its escapes.

use std::borrow::Cow;

use super::error::ReadErrorKind;

/// What stopped a scan.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain {
    /// Bytes before the next quote, backslash or control character, or before the end.
    pub(super) length: usize,
    /// Whether bytes above 0x7F were among them, or right behind them.
    pub(super) non_ascii: bool,
}

const LANES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = LANES << 7;
const QUOTES: u64 = LANES.wrapping_mul(b'"' as u64);
const BACKSLASHES: u64 = LANES.wrapping_mul(b'\\' as u64);
const SPACES: u64 = LANES.wrapping_mul(b' ' as u64);

/// The high bit of every byte of `word` that ends a plain run. Bits above the lowest one may be wrong, because the
/// subtractions borrow; the lowest is right.
fn stops(word: u64) -> u64 {
    let quote = word ^ QUOTES;
    let backslash = word ^ BACKSLASHES;
    let is_quote = quote.wrapping_sub(LANES) & !quote;
    let is_backslash = backslash.wrapping_sub(LANES) & !backslash;
    let is_control = word.wrapping_sub(SPACES) & !word;
    (is_quote | is_backslash | is_control) & HIGH_BITS
}

/// Measures the run of bytes that stand for themselves at the start of `bytes`, eight at a time.
pub(super) fn plain_run(bytes: &[u8]) -> Plain {
    let mut rest = bytes;
    let mut seen = 0_u64;
    let mut length = 0_usize;
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        seen |= word;
        let stop = stops(word);
        if stop != 0 {
            let before = stop.trailing_zeros() >> 3;
            length = length.wrapping_add(usize::try_from(before).unwrap_or(0));
            return Plain { length, non_ascii: seen & HIGH_BITS != 0 };
        }
        length = length.wrapping_add(8);
        rest = behind;
    }
    for byte in rest {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            break;
        }
        seen |= u64::from(*byte);
        length = length.wrapping_add(1);
    }
    Plain { length, non_ascii: seen & HIGH_BITS != 0 }
}

/// Reads one escape at the start of `bytes`, which begin with its backslash: the character and the escape's length,
/// or what is wrong with it.
pub(super) fn escape(bytes: &[u8]) -> Result<(char, usize), ReadErrorKind> {
    let simple = match bytes.get(1) {
        None => return Err(ReadErrorKind::UnexpectedEnd),
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{C}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(bytes),
        Some(_) => return Err(ReadErrorKind::BadEscape),
    };
    Ok((simple, 2))
}

fn unicode_escape(bytes: &[u8]) -> Result<(char, usize), ReadErrorKind> {
    let first = code_unit(bytes.get(2..))?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 6));
    }
    // A code unit that is no character is one half of a surrogate pair; the other half must follow.
    let Some([b'\\', b'u']) = bytes.get(6..8) else { return Err(ReadErrorKind::LoneSurrogate) };
    let second = code_unit(bytes.get(8..))?;
    let mut pair = char::decode_utf16([first, second].map(|unit| u16::try_from(unit).unwrap_or(0)));
    match pair.next() {
        Some(Ok(character)) => Ok((character, 12)),
        _ => Err(ReadErrorKind::LoneSurrogate),
    }
}

fn code_unit(digits: Option<&[u8]>) -> Result<u32, ReadErrorKind> {
    let digits = digits.and_then(|digits| digits.get(..4)).ok_or(ReadErrorKind::UnexpectedEnd)?;
    digits.iter().try_fold(0_u32, |unit, digit| {
        let value = char::from(*digit).to_digit(16).ok_or(ReadErrorKind::BadEscape)?;
        Ok(unit << 4 | value)
    })
}

/// The text of a string's content (what stands between its quotes), which the reader has accepted. `escaped` says
/// whether it holds escapes; without them nothing is copied.
pub(super) fn unescape(content: &[u8], escaped: bool) -> Cow<'_, str> {
    if !escaped {
        return String::from_utf8_lossy(content);
    }
    let mut text = String::with_capacity(content.len());
    let mut rest = content;
    loop {
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        let (before, behind) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
        text.push_str(&String::from_utf8_lossy(before));
        let Ok((character, length)) = escape(behind) else { return Cow::Owned(text) };
        text.push(character);
        rest = behind.get(length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::{escape, plain_run, unescape};
    use crate::json::ReadErrorKind;

    #[test]
    fn a_run_ends_at_the_first_stop_wherever_it_stands() {
        for stop in [b'"', b'\\', 0, 0x1F, b'\n'] {
            for filler in [b'a', b' ', b'!', b'#', b'[', b']', 0x7F, 0x80, 0xFF] {
                for position in 0..40 {
                    let mut bytes = vec![filler; 48];
                    bytes[position] = stop;
                    let run = plain_run(&bytes);
                    assert_eq!(run.length, position, "stop {stop} in {filler}");
                    if position > 0 {
                        assert_eq!(run.non_ascii, filler > 0x7F);
                    }
                }
            }
        }
        assert_eq!(plain_run(b"0123456789").length, 10);
    }

    #[test]
    fn escapes() {
        for (text, expected) in [
            (r"\n", Ok(('\n', 2))),
            (r"\/x", Ok(('/', 2))),
            (r"\u0041", Ok(('A', 6))),
            (r"\uD83D\uDE00!", Ok(('😀', 12))),
            (r"\", Err(ReadErrorKind::UnexpectedEnd)),
            (r"\u004", Err(ReadErrorKind::UnexpectedEnd)),
            (r"\x41", Err(ReadErrorKind::BadEscape)),
            (r"\u00+1", Err(ReadErrorKind::BadEscape)),
            (r"\uD83D", Err(ReadErrorKind::LoneSurrogate)),
            (r"\uD83Dxxxxxx", Err(ReadErrorKind::LoneSurrogate)),
            (r"\uD83D\u0041", Err(ReadErrorKind::LoneSurrogate)),
            (r"\uDE00\uD83D", Err(ReadErrorKind::LoneSurrogate)),
        ] {
            assert_eq!(escape(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(unescape(r"a\u0062\\c\n".as_bytes(), true), "ab\\c\n");
    }
}
