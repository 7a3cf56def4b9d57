//! Server-sent events, one at a time, byte for byte.
//!
//! Lines end in CR, LF or CRLF, an empty line ends an event (WHATWG HTML, 9.2.6). Chunks end anywhere. What passes
//! when:
//!
//! - A complete line that is no `data` passes at once while its event has no `data` yet, so keep-alive comments are
//!   never late. No such line is ever changed, so there is nothing to wait for.
//! - From its first `data` line on, an event is held until it is complete, and then judged by its data: the values of
//!   its `data` lines joined with LF.
//! - What is incomplete when the stream ends is dropped, as clients must do themselves.
//!
//! Output does not depend on how the input was cut into chunks.

use std::ops::Range;

use memchr::memchr2;

use super::event::{data_of, end_of_line_end, is_data, with_data};
use crate::step::ResponseChunk;

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What becomes of one event.
#[derive(Debug, PartialEq, Eq)]
pub enum EventEdit {
    Keep,
    /// Remove its data. Its other fields stay, so that an `id` or `retry` still counts; clients dispatch nothing.
    Drop,
    /// Put this in place of its data.
    Replace(Vec<u8>),
}

/// What to do with an event, or a single line, that is longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlong {
    /// Let it through unjudged, and judge the next one again.
    Pass,
    /// End the stream.
    End,
}

/// Splits a stream into events and puts it together again.
#[derive(Debug)]
pub struct EventStream {
    limit: usize,
    overlong: Overlong,
    /// What came and is not decided yet: an event from its first `data` line on, or a line.
    held: Vec<u8>,
    scan: Scan,
    /// Whether an overlong event was let through.
    passed_overlong: bool,
    ended: bool,
}

/// Where in the stream we are. Offsets count from the start of the held bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    /// Before this all bytes have been looked at.
    at: usize,
    /// Where the current line begins.
    line: usize,
    /// A byte order mark can no longer come.
    begun: bool,
    event: Event,
    passed: Passed,
    /// In an overlong event: the current line has bytes that have passed.
    line_passed: bool,
    line_end: LineEnd,
}

/// What is known of the current event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Event {
    #[default]
    WithoutData,
    WithData,
    /// Overlong; passes unjudged.
    Passing,
}

/// What of the current event has passed before its first `data` line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Passed {
    /// Nothing, and nothing of the stream before it either.
    #[default]
    NothingEver,
    Nothing,
    Lines,
    /// The last of them ended in a CR, to which a LF must not come too close.
    LinesAndCr,
}

/// Whether a LF that comes next belongs to the line end before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LineEnd {
    #[default]
    Complete,
    /// The last byte was a CR.
    AfterCr,
    /// The last byte was a CR, and it was dropped.
    AfterDroppedCr,
}

impl EventStream {
    /// `limit` bounds the bytes of one event from its first `data` line on, and of any line.
    pub fn new(limit: usize, overlong: Overlong) -> Self {
        Self {
            limit,
            overlong,
            held: Vec::new(),
            scan: Scan::default(),
            passed_overlong: false,
            ended: false,
        }
    }

    /// Bytes that are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Changes the limit for what comes next.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether the stream was ended because of an overlong event. What comes after is swallowed.
    pub fn ended(&self) -> bool {
        self.ended
    }

    pub fn passed_overlong(&self) -> bool {
        self.passed_overlong
    }

    /// What ends the event whose first lines have passed, so that it does not run into what comes instead of the rest.
    /// `None` in the middle of an event that passes unjudged: clients would take its beginning for all of it.
    pub fn terminator(&self) -> Option<&'static [u8]> {
        match (self.scan.event, self.scan.passed) {
            (Event::Passing, _) => None,
            (_, Passed::LinesAndCr) => Some(b"\n\n"),
            (_, Passed::Lines) => Some(b"\n"),
            (_, Passed::Nothing | Passed::NothingEver) => Some(b""),
        }
    }

    /// Takes the next chunk and gives what can pass, with every complete event judged by its data. Events whose data
    /// is empty are kept without being judged.
    pub fn push(
        &mut self,
        chunk: &[u8],
        end: bool,
        judge: &mut dyn FnMut(&[u8]) -> EventEdit,
    ) -> ResponseChunk {
        if self.ended {
            return ResponseChunk::Replace(Vec::new());
        }
        let fresh = self.held.is_empty();
        let mut held = std::mem::take(&mut self.held);
        if !fresh {
            held.extend_from_slice(chunk);
        }
        let bytes = if fresh { chunk } else { &held };
        let mut output = Output { bytes, passed: 0, copied: 0, changed: None };
        self.scan(&mut output, judge);
        if self.ended
            && let Some(end @ [_, ..]) = self.terminator()
        {
            output.replace(output.passed..output.passed, end);
        }
        let passed = output.passed;
        let keep = fresh && passed == bytes.len() && output.changed.is_none();
        let answer = if keep { ResponseChunk::Keep } else { ResponseChunk::Replace(output.finish()) };
        if !end && !self.ended {
            if fresh {
                held.extend_from_slice(chunk.get(passed..).unwrap_or_default());
            } else {
                held.drain(..passed.min(held.len()));
            }
            self.held = held;
        }
        self.scan.at = self.scan.at.saturating_sub(passed);
        self.scan.line = self.scan.line.saturating_sub(passed);
        answer
    }

    fn scan(&mut self, output: &mut Output<'_>, judge: &mut dyn FnMut(&[u8]) -> EventEdit) {
        let bytes = output.bytes;
        if !self.skip_byte_order_mark(output) {
            return;
        }
        loop {
            self.finish_line_end(output);
            let found = bytes.get(self.scan.at..).and_then(|rest| memchr2(b'\r', b'\n', rest));
            let line_end = found.map_or(bytes.len(), |offset| self.scan.at.saturating_add(offset));
            if self.scan.event != Event::Passing && line_end.saturating_sub(output.passed) > self.limit {
                match self.overlong {
                    Overlong::End => {
                        self.ended = true;
                        return;
                    }
                    Overlong::Pass => {
                        self.passed_overlong = true;
                        self.scan.event = Event::Passing;
                    }
                }
            }
            if found.is_none() {
                self.scan.at = bytes.len();
                if self.scan.event == Event::Passing {
                    self.scan.line_passed |= self.scan.line < bytes.len();
                    self.scan.line = bytes.len();
                    output.passed = bytes.len();
                }
                return;
            }
            let line = self.scan.line..line_end;
            self.scan.at = end_of_line_end(bytes, line_end);
            self.scan.line = self.scan.at;
            let after_cr = self.scan.at == bytes.len() && bytes.last() == Some(&b'\r');
            self.scan.line_end = if after_cr { LineEnd::AfterCr } else { LineEnd::Complete };
            self.take_line(bytes.get(line).unwrap_or_default(), output, judge);
        }
    }

    /// Decides about a line that has just ended.
    fn take_line(&mut self, line: &[u8], output: &mut Output<'_>, judge: &mut dyn FnMut(&[u8]) -> EventEdit) {
        let scan = &mut self.scan;
        let blank = line.is_empty() && !scan.line_passed;
        scan.line_passed = false;
        if blank {
            if scan.event == Event::WithData {
                let dropped_whole = output.judge_event(output.passed..scan.at, scan.passed, judge);
                if dropped_whole && scan.line_end == LineEnd::AfterCr {
                    scan.line_end = LineEnd::AfterDroppedCr;
                }
            }
            scan.event = Event::WithoutData;
            scan.passed = Passed::Nothing;
            output.passed = scan.at;
        } else if scan.event == Event::WithoutData && is_data(line) {
            scan.event = Event::WithData;
        } else if scan.event != Event::WithData {
            let ends_in_cr = output.bytes.get(..scan.at).is_some_and(|bytes| bytes.ends_with(b"\r"));
            scan.passed = if ends_in_cr { Passed::LinesAndCr } else { Passed::Lines };
            output.passed = scan.at;
        }
    }

    /// Takes the LF of a CRLF that was cut in two.
    fn finish_line_end(&mut self, output: &mut Output<'_>) {
        let scan = &mut self.scan;
        if scan.line_end == LineEnd::Complete || scan.at == output.bytes.len() {
            return;
        }
        let line_end = std::mem::take(&mut scan.line_end);
        if output.bytes.get(scan.at) == Some(&b'\n') {
            let next = scan.at.saturating_add(1);
            if line_end == LineEnd::AfterDroppedCr {
                output.replace(scan.at..next, b"");
            }
            if output.passed == scan.at {
                output.passed = next;
                if scan.passed == Passed::LinesAndCr {
                    scan.passed = Passed::Lines;
                }
            }
            scan.at = next;
            scan.line = next;
        }
    }

    /// Lets the mark at the start of the stream pass. False if it may have come in part.
    fn skip_byte_order_mark(&mut self, output: &mut Output<'_>) -> bool {
        if self.scan.begun {
            return true;
        }
        if output.bytes.starts_with(BYTE_ORDER_MARK) {
            self.scan.at = BYTE_ORDER_MARK.len();
            self.scan.line = BYTE_ORDER_MARK.len();
            output.passed = BYTE_ORDER_MARK.len();
            self.scan.passed = Passed::Nothing;
        } else if BYTE_ORDER_MARK.starts_with(output.bytes) {
            return false;
        }
        self.scan.begun = true;
        true
    }
}

/// What leaves the stream during one push; copies only if something changes.
struct Output<'b> {
    bytes: &'b [u8],
    /// Before this everything is decided.
    passed: usize,
    copied: usize,
    changed: Option<Vec<u8>>,
}

impl Output<'_> {
    fn replace(&mut self, range: Range<usize>, with: &[u8]) {
        let changed = self.changed.get_or_insert_with(Vec::new);
        changed.extend_from_slice(self.bytes.get(self.copied..range.start).unwrap_or_default());
        changed.extend_from_slice(with);
        self.copied = range.end;
    }

    fn finish(self) -> Vec<u8> {
        let mut output = self.changed.unwrap_or_default();
        output.extend_from_slice(self.bytes.get(self.copied..self.passed).unwrap_or_default());
        output
    }

    /// Judges a complete event; `before` is what of it has passed already. Returns whether all of it was dropped.
    fn judge_event(
        &mut self,
        range: Range<usize>,
        before: Passed,
        judge: &mut dyn FnMut(&[u8]) -> EventEdit,
    ) -> bool {
        let event = self.bytes.get(range.clone()).unwrap_or_default();
        let data = data_of(event);
        if data.is_empty() {
            return false;
        }
        match judge(&data) {
            EventEdit::Keep => false,
            EventEdit::Replace(data) => {
                self.replace(range, &with_data(event, Some(&data), before));
                false
            }
            EventEdit::Drop => {
                let rest = with_data(event, None, before);
                // Without other fields only the empty line is left. It goes too, unless it ends what has passed or is
                // what keeps a byte order mark in the next event from being the stream's.
                let whole = before == Passed::Nothing && matches!(rest.as_slice(), b"\n" | b"\r" | b"\r\n");
                self.replace(range, if whole { b"" } else { &rest });
                whole
            }
        }
    }
}
