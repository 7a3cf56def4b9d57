//! Event streams, event by event; natively and on wasm32.

use portcullis_filter_core::response::sse::{EventEdit, EventStream, Overlong};
use portcullis_filter_core::step::ResponseChunk;
use wasm_bindgen_test::wasm_bindgen_test;

/// Drops events that say "drop", replaces those that say "swap", and notes what it was asked.
fn judge(data: &[u8], asked: &mut Vec<String>) -> EventEdit {
    let text = String::from_utf8_lossy(data).into_owned();
    let edit = match text.as_str() {
        text if text.contains("drop") => EventEdit::Drop,
        text if text.contains("swap") => EventEdit::Replace(b"one\ntwo".to_vec()),
        _ => EventEdit::Keep,
    };
    asked.push(text);
    edit
}

fn stream() -> EventStream {
    EventStream::new(1000, Overlong::End)
}

fn push(stream: &mut EventStream, chunk: &str) -> String {
    text(stream.push(chunk.as_bytes(), false, &mut |data| judge(data, &mut Vec::new())), chunk)
}

fn text(answer: ResponseChunk, chunk: &str) -> String {
    match answer {
        ResponseChunk::Keep => chunk.to_owned(),
        ResponseChunk::Replace(bytes) => String::from_utf8(bytes).expect("UTF-8"),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn untouched_events_are_not_copied() {
    let whole = "id: 1\nevent: message\nretry: 5\nwhat: ever\ndata: {}\n\n: ping\n\ndata:\nid: 2\n\n\n\n";
    let answer = stream().push(whole.as_bytes(), false, &mut |_| EventEdit::Keep);
    assert_eq!(answer, ResponseChunk::Keep);
}

#[wasm_bindgen_test(unsupported = test)]
fn data_lines_are_joined_and_only_they_change() {
    for (input, output) in [
        ("data: swap\n\n", "data: one\ndata: two\n\n"),
        (
            "id: 1\r\ndata:swap\r\n: note\r\ndata: more\r\nretry: 9\r\n\r\n",
            "id: 1\r\ndata: one\r\ndata: two\r\n: note\r\nretry: 9\r\n\r\n",
        ),
        ("data: swap\r\r", "data: one\rdata: two\r\r"),
        // A LF that came to stand behind a CR would be no empty line any more.
        ("data: swap\rdata: a\n\n", "data: one\rdata: two\r\n\n"),
        ("\u{FEFF}data: swap\n\n", "\u{FEFF}data: one\ndata: two\n\n"),
    ] {
        assert_eq!(push(&mut stream(), input), output, "{input:?}");
    }
    let mut asked = Vec::new();
    let input = b"data: a\ndata:  b\ndata\ndatabase: no\n\ndata\n\ndata:\n\n";
    let _ = stream().push(input, false, &mut |data| judge(data, &mut asked));
    assert_eq!(asked, ["a\n b\n"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn dropped_events_leave_their_other_fields() {
    for (input, output) in [
        ("\ndata: drop\n\ndata: a\n\n", "\ndata: a\n\n"),
        ("data: drop\nid: 7\n\n", "id: 7\n\n"),
        // A byte order mark must not come to stand first: it would turn an unknown field into data.
        ("data: drop\n\n\u{FEFF}data: a\n\n", "\n\u{FEFF}data: a\n\n"),
        ("data: drop\n\u{FEFF}data: a\n\n", "\n\u{FEFF}data: a\n\n"),
        // The fields in front have passed, so the event has to end before the next begins.
        ("event: x\rdata: drop\n\ndata: a\n\n", "event: x\r\n\ndata: a\n\n"),
        ("event: x\ndata: drop\n\ndata: a\n\n", "event: x\n\ndata: a\n\n"),
    ] {
        assert_eq!(push(&mut stream(), input), output, "{input:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn keep_alives_pass_at_once_unless_data_is_pending() {
    let mut stream = stream();
    assert_eq!(push(&mut stream, ": ping\nda"), ": ping\n");
    assert_eq!(push(&mut stream, "ta: a\n: held\n"), "");
    assert_eq!(push(&mut stream, "\n: pi"), "data: a\n: held\n\n");
    assert_eq!(push(&mut stream, "ng\r"), ": ping\r");
    assert_eq!(push(&mut stream, "\n"), "\n");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_event_ends_with_the_cr_of_its_empty_line() {
    let mut stream = stream();
    assert_eq!(push(&mut stream, "data: a\r\n\r"), "data: a\r\n\r");
    assert_eq!(push(&mut stream, "\ndata: drop\r\n\r"), "\n");
    // The LF belongs to the line end that was dropped.
    assert_eq!(push(&mut stream, "\ndata: b\n\n"), "data: b\n\n");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_event_that_is_cut_short_never_passes() {
    for cut in ["data: {\"result\":1}", "data: {\"result\":1}\n", "data: {\"result\":1}\r\n"] {
        let answer = stream().push(cut.as_bytes(), true, &mut |_| panic!("not complete"));
        assert_eq!(text(answer, cut), "", "{cut:?}");
    }
    let answer = stream().push(b": ping\n\nid: 3", true, &mut |_| EventEdit::Keep);
    assert_eq!(text(answer, ""), ": ping\n\n");
}

#[wasm_bindgen_test(unsupported = test)]
fn overlong_events_end_the_stream() {
    let mut stream = EventStream::new(20, Overlong::End);
    assert_eq!(push(&mut stream, "data: a\n\nid: 1\n"), "data: a\n\nid: 1\n");
    // The blank line ends the event whose id has passed.
    assert_eq!(push(&mut stream, "data: 0123456789\ndata: 0123456789"), "\n");
    assert!(stream.ended());
    assert_eq!(push(&mut stream, "\n\ndata: b\n\n"), "");

    // A line without end, and a comment too long.
    for line in ["data: 0123456789012345", ": 01234567890123456789\n"] {
        let mut stream = EventStream::new(20, Overlong::End);
        assert_eq!(push(&mut stream, line), "");
        assert!(stream.ended(), "{line:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn overlong_events_may_pass_unjudged() {
    let mut stream = EventStream::new(20, Overlong::Pass);
    assert_eq!(push(&mut stream, "data: drop 0123"), "");
    assert_eq!(push(&mut stream, "456789"), "data: drop 0123456789");
    assert_eq!(push(&mut stream, "\n"), "\n");
    assert_eq!(push(&mut stream, "data: drop\n\ndata: drop\n\n"), "data: drop\n\n");
    assert!(stream.passed_overlong() && !stream.ended());
}

#[wasm_bindgen_test(unsupported = test)]
fn many_empty_events_cost_nothing() {
    let chunk = "\n".repeat(1_000_000);
    assert_eq!(stream().push(chunk.as_bytes(), false, &mut |_| EventEdit::Drop), ResponseChunk::Keep);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_long_event_in_tiny_chunks_takes_linear_time() {
    let mut stream = EventStream::new(2_000_000, Overlong::End);
    let mut chunks = 0;
    assert_eq!(push(&mut stream, "data: "), "");
    while chunks < 500_000 {
        assert_eq!(push(&mut stream, "ab"), "");
        chunks += 1;
    }
    assert_eq!(push(&mut stream, "\n\n").len(), 6 + 1_000_000 + 2);
}
