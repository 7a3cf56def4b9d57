//! Finding the ends of JSON strings.

/// The position of the quote that ends a string whose content starts here.
pub(super) fn closing_quote(content: &[u8]) -> Option<usize> {
    let mut at = 0_usize;
    loop {
        let found = at.checked_add(memchr::memchr2(b'"', b'\\', content.get(at..)?)?)?;
        if content.get(found) == Some(&b'"') {
            return Some(found);
        }
        at = found.checked_add(2)?;
    }
}

/// The longest start of an unfinished string that ends between characters and between escapes.
pub(super) fn readable_start(content: &[u8]) -> &[u8] {
    let mut end = content.len();
    let mut at = 0_usize;
    while let Some(offset) = content.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        let escape = at.saturating_add(offset);
        // Six characters for a code unit; where it is the first half of a pair, twelve.
        let rest = content.get(escape..).unwrap_or_default();
        let width = match rest {
            [_, b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..] => 12,
            [_, b'u', ..] => 6,
            _ => 2,
        };
        if width > rest.len() {
            end = escape;
            break;
        }
        at = escape.saturating_add(width);
    }
    let start = content.get(..end).unwrap_or_default();
    match std::str::from_utf8(start) {
        Err(error) if error.error_len().is_none() => start.get(..error.valid_up_to()).unwrap_or_default(),
        _ => start,
    }
}
