//! The lines of one server-sent event.

use std::borrow::Cow;

use memchr::memchr2;

use super::sse::{BYTE_ORDER_MARK, Passed};

/// The position after the line end (CR, LF or CRLF) at `at`.
pub(super) fn end_of_line_end(bytes: &[u8], at: usize) -> usize {
    let crlf = bytes.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n"));
    at.saturating_add(if crlf { 2 } else { 1 }).min(bytes.len())
}

pub(super) fn is_data(line: &[u8]) -> bool {
    line.strip_prefix(b"data").is_some_and(|rest| rest.is_empty() || rest.starts_with(b":"))
}

/// The value of a `data` line, without the one optional space.
fn data_value(line: &[u8]) -> &[u8] {
    let value = line.strip_prefix(b"data:").unwrap_or_default();
    value.strip_prefix(b" ").unwrap_or(value)
}

/// The lines of a complete event: each without and with its line end.
fn lines(event: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = event.get(at..).filter(|rest| !rest.is_empty())?;
        let content = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let whole = end_of_line_end(rest, content);
        at = at.saturating_add(whole);
        Some((rest.get(..content)?, rest.get(..whole)?))
    })
}

/// The values of an event's `data` lines, joined with LF.
pub(super) fn data_of(event: &[u8]) -> Cow<'_, [u8]> {
    let mut values = lines(event).map(|(line, _)| line).filter(|line| is_data(line)).map(data_value);
    let first = values.next().unwrap_or_default();
    let Some(second) = values.next() else { return Cow::Borrowed(first) };
    let mut joined = first.to_vec();
    for value in std::iter::once(second).chain(values) {
        joined.push(b'\n');
        joined.extend_from_slice(value);
    }
    Cow::Owned(joined)
}

/// The event with other data, or none, where its first `data` line was; `before` is what has passed before it.
pub(super) fn with_data(event: &[u8], data: Option<&[u8]>, before: Passed) -> Vec<u8> {
    let mut output = Vec::with_capacity(event.len());
    let mut data = data;
    for (line, whole) in lines(event) {
        if !is_data(line) {
            // Where a line ends in a CR and the next in a LF, the two meet when what stood between them is gone.
            let after_cr = output.last().map_or(before == Passed::LinesAndCr, |byte| *byte == b'\r');
            if after_cr && whole == b"\n" {
                output.push(b'\n');
            }
            // Ahead of everything else a byte order mark would be skipped, and what follows it be a field.
            if output.is_empty() && before == Passed::NothingEver && line.starts_with(BYTE_ORDER_MARK) {
                output.push(b'\n');
            }
            output.extend_from_slice(whole);
        } else if let Some(data) = data.take() {
            let line_end = whole.get(line.len()..).unwrap_or_default();
            for value in data.split(|byte| *byte == b'\n') {
                output.extend_from_slice(b"data: ");
                output.extend_from_slice(value);
                output.extend_from_slice(line_end);
            }
        }
    }
    output
}
