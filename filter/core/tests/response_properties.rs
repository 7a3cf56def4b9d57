//! Responses that nobody thought of: however they are cut, the same comes out, and it is what was promised.
#![cfg(not(target_family = "wasm"))]

use std::sync::Arc;

use portcullis_filter_core::json::{Document, Limits};
use portcullis_filter_core::mcp::ListKind;
use portcullis_filter_core::payload::{self, Capture, View};
use portcullis_filter_core::response::list::{ListContext, Verdict, judge};
use portcullis_filter_core::response::mask::Mask;
use portcullis_filter_core::response::needles::Needles;
use portcullis_filter_core::response::sse::{EventEdit, EventStream, Overlong};
use portcullis_filter_core::step::ResponseChunk;
use portcullis_wire::policy::{CompiledPolicy, Kind, Level, LevelRules, NameRules, Pattern, Policy};
use portcullis_wire::watch::PayloadPolicy;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Cuts `bytes` at these places.
fn chunks<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut from = 0;
    let mut chunks = Vec::new();
    for place in places.into_iter().chain([bytes.len()]) {
        chunks.push(&bytes[from..place]);
        from = place;
    }
    chunks
}

fn collect<'b>(
    chunks: impl IntoIterator<Item = &'b [u8]>,
    mut push: impl FnMut(&[u8], bool) -> ResponseChunk,
) -> Vec<u8> {
    let mut output = Vec::new();
    let mut chunks = chunks.into_iter().peekable();
    while let Some(chunk) = chunks.next() {
        match push(chunk, chunks.peek().is_none()) {
            ResponseChunk::Keep => output.extend_from_slice(chunk),
            ResponseChunk::Replace(bytes) => output.extend_from_slice(&bytes),
        }
    }
    output
}

// Event streams.

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "data: a",
        "data:drop",
        "data: swap",
        "data",
        "data:",
        "id: 1",
        "event: x",
        "retry: 5",
        ": note",
        "unknown",
        "é✓",
        "\u{FEFF}",
        "\r",
        "\n",
        "\r\n",
        "\n\n",
        "\r\r",
        "\r\n\r\n",
        " ",
    ];
    let lines = vec(select(pieces.to_vec()), 0..30).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![lines, vec(any::<u8>(), 0..40)]
}

fn edit(data: &[u8]) -> EventEdit {
    let contains = |word: &[u8]| data.windows(word.len()).any(|window| window == word);
    if contains(b"drop") {
        EventEdit::Drop
    } else if contains(b"swap") {
        EventEdit::Replace(b"one\ntwo".to_vec())
    } else {
        EventEdit::Keep
    }
}

fn rewrite(chunks: &[&[u8]], limit: usize, overlong: Overlong) -> (Vec<u8>, bool) {
    let mut stream = EventStream::new(limit, overlong);
    let output = collect(chunks.iter().copied(), |chunk, end| stream.push(chunk, end, &mut edit));
    (output, stream.ended())
}

/// The events that a client dispatches, by the letter of WHATWG HTML 9.2.6: type, data, last event id.
fn dispatched(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut bytes = stream.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            other => lines.last_mut().expect("one line").push(other),
        }
    }
    lines.pop();
    let (mut events, mut data, mut kind, mut id) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                events.push((std::mem::take(&mut kind), std::mem::take(&mut data), id.clone()));
            }
            kind.clear();
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = colon.map_or((&line[..], &b""[..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"event" => kind = value.to_vec(),
            b"id" => id = value.to_vec(),
            _ => {}
        }
    }
    events
}

proptest! {
    #[test]
    fn streams_come_out_the_same_however_they_are_cut(
        stream in any_stream(),
        cuts in vec(any::<Index>(), 0..6),
        limit in 5_usize..60,
        pass in any::<bool>(),
    ) {
        let overlong = if pass { Overlong::Pass } else { Overlong::End };
        let whole = rewrite(&[&stream], limit, overlong);
        prop_assert_eq!(&rewrite(&chunks(&stream, &cuts), limit, overlong), &whole);
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(&rewrite(if bytes.is_empty() { &[b""] } else { &bytes }, limit, overlong), &whole);
        for at in 0..=stream.len() {
            prop_assert_eq!(&rewrite(&[&stream[..at], &stream[at..]], limit, overlong), &whole);
        }
    }

    #[test]
    fn clients_see_every_event_that_was_not_dropped(stream in any_stream()) {
        let (output, _) = rewrite(&[&stream], usize::MAX, Overlong::End);
        let expected: Vec<_> = dispatched(&stream)
            .into_iter()
            .filter_map(|(kind, data, id)| match edit(&data) {
                EventEdit::Keep => Some((kind, data, id)),
                EventEdit::Replace(data) => Some((kind, data, id)),
                EventEdit::Drop => None,
            })
            .collect();
        prop_assert_eq!(dispatched(&output), expected);
    }

    #[test]
    fn kept_streams_are_kept_byte_for_byte(stream in any_stream()) {
        let mut events = EventStream::new(usize::MAX, Overlong::End);
        let output = collect([stream.as_slice()], |chunk, end| events.push(chunk, end, &mut |_| EventEdit::Keep));
        prop_assert!(stream.starts_with(&output));
        prop_assert_eq!(dispatched(&stream[output.len()..]), vec![]);
    }
}

// Masks.

/// Overwrites every byte of every occurrence of every needle.
fn mask_slowly(body: &[u8], needles: &[&str]) -> Vec<u8> {
    let mut output = body.to_vec();
    for needle in needles.iter().map(|needle| needle.as_bytes()) {
        for at in 0..body.len() {
            if body[at..].starts_with(needle) {
                output[at..at + needle.len()].fill(b'*');
            }
        }
    }
    output
}

proptest! {
    #[test]
    fn masking_chunks_is_masking_the_whole(
        needles in vec("[ab]{8,10}", 1..3),
        pieces in vec("[ab]{1,12}|[abc]{1,6}", 0..12),
        cuts in vec(any::<Index>(), 0..8),
        planted in any::<Index>(),
    ) {
        let mut pieces = pieces;
        pieces.push(planted.get(&needles).clone());
        let body = pieces.concat().into_bytes();
        let texts: Vec<&str> = needles.iter().map(String::as_str).collect();
        let expected = mask_slowly(&body, &texts);
        let shared = Arc::new(Needles::of_values(texts.iter().copied()));
        let run = |chunks: Vec<&[u8]>| {
            let mut mask = Mask::new(Arc::clone(&shared));
            (collect(chunks, |chunk, end| mask.push(chunk, end)), mask.has_masked())
        };
        prop_assert_eq!(run(vec![&body]), (expected.clone(), true));
        prop_assert_eq!(run(chunks(&body, &cuts)), (expected.clone(), true));
        prop_assert_eq!(run(body.chunks(1).collect()), (expected.clone(), true));
        let mut whole = body.clone();
        prop_assert!(shared.mask(&mut whole) && shared.occur_in(&body));
        prop_assert_eq!(whole, expected);
    }
}

// Lists.

fn any_policy() -> impl Strategy<Value = Policy> {
    let list = vec("[ab*]{0,3}".prop_map(Pattern), 0..4);
    let rules =
        (proptest::option::of(list.clone()), list).prop_map(|(allow, deny)| NameRules { allow, deny });
    let level = rules.prop_map(|rules| LevelRules {
        level: Level::Workspace,
        tools: rules,
        prompts: NameRules::default(),
        ..LevelRules::default()
    });
    vec(level, 0..3).prop_map(|levels| Policy { levels, ..Policy::default() })
}

fn any_entry() -> impl Strategy<Value = (Option<String>, String)> {
    prop_oneof![
        8 => "[ab]{0,3}".prop_map(|name| (Some(name.clone()), format!(r#"{{"x":[1, 2],"name" : "{name}"}}"#))),
        1 => "[ab]{1,3}".prop_map(|name| {
            let escaped: String = name.replace('a', "\\u0061").replace('b', "\\u0062");
            (Some(name), format!(r#"{{ "name":"{escaped}","n":1.50e3 }}"#))
        }),
        1 => select(vec!["7", "{}", r#"{"name":7}"#, r#"{"name":"a","Name":"b"}"#, "null", "[]"])
            .prop_map(|text| (None, text.to_owned())),
    ]
}

proptest! {
    #[test]
    fn lists_keep_exactly_what_is_allowed_and_unique(
        policy in any_policy(),
        entries in vec(any_entry(), 0..8),
        gap in select(vec!["", " ", "\n  "]),
        modern in any::<bool>(),
    ) {
        let texts: Vec<&str> = entries.iter().map(|(_, text)| text.as_str()).collect();
        let (front, back) = (r#"{"jsonrpc":"2.0", "id":1,"result":{"tools":["#, r#"],"nextCursor":"","n":9007199254740993}}"#);
        let message = format!("{front}{gap}{}{gap}{back}", texts.join(&format!("{gap},{gap}")));
        let kept: Vec<&str> = entries
            .iter()
            .filter(|(name, _)| name.as_ref().is_some_and(|name| {
                policy.decide(Kind::Tool, name).is_allowed()
                    && entries.iter().filter(|(other, _)| other.as_ref() == Some(name)).count() == 1
            }))
            .map(|(_, text)| text.as_str())
            .collect();
        let document = Document::read(message.as_bytes(), &Limits::default()).expect("valid");
        let list = ListContext { kind: ListKind::Tools, request_id: "1".into(), modern, ttl_cap_ms: 5 };
        let output = match judge(&document, &CompiledPolicy::from(policy), Some(&list)) {
            Verdict::Keep => message.clone(),
            Verdict::Replace(bytes) => String::from_utf8(bytes).expect("UTF-8"),
            other => panic!("{other:?}"),
        };
        let end = if modern { r#","cacheScope":"private","ttlMs":0}}"# } else { "}}" };
        let back = format!("{}{end}", &back[..back.len() - 2]);
        let inside = output.strip_prefix(front).and_then(|rest| rest.strip_suffix(&back)).expect("the rest stays");
        if kept.len() == entries.len() {
            prop_assert_eq!(inside.len(), message.len() - front.len() - (back.len() - end.len() + 2));
        }
        let again = Document::read(output.as_bytes(), &Limits::default()).expect("still valid");
        let left: Vec<String> = again
            .root()
            .get("result")
            .and_then(|result| result.get("tools"))
            .expect("the array stays")
            .items()
            .map(|item| String::from_utf8(item.raw().to_vec()).expect("UTF-8"))
            .collect();
        prop_assert_eq!(left, kept);
    }
}

// Log excerpts.

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[a-z ✓é\"\\\\\n]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            vec(("[a-h ✓\"]{0,6}", inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn redacted(payload: &[u8], limit: usize) -> String {
    let view = View::new(PayloadPolicy::Redacted, limit);
    payload::excerpt(&view, payload).expect("not empty").text
}

/// Plants a secret somewhere in a document: under a key, in a text, in JSON inside a string.
fn plant(value: &serde_json::Value, way: usize, padding: usize) -> serde_json::Value {
    const SECRET: &str = "ghp_CANARYCANARYCANARY";
    let padding = "x".repeat(padding);
    let secret = match way {
        0 => serde_json::json!({ "api_key": "CANARY" }),
        1 => serde_json::json!({ "Private-Key": [{ "deep": "CANARY" }] }),
        2 => serde_json::json!(format!("{padding} {SECRET} and more")),
        3 => {
            serde_json::json!({ "text": serde_json::json!({ "pad": padding, "password": "CANARY" }).to_string() })
        }
        4 => serde_json::json!(format!("{padding}\n-----BEGIN PRIVATE KEY-----\nCANARY\n")),
        5 => serde_json::json!({ "name": "Authorization", "value": "CANARY" }),
        6 => serde_json::json!({ SECRET: 1 }),
        _ => serde_json::json!(format!(
            "curl -H 'Authorization: Bearer CANARYCANARY' https://x/?access_token=CANARYCANARY"
        )),
    };
    serde_json::json!([value, padding, secret])
}

proptest! {
    #[test]
    fn secrets_never_show_wherever_the_excerpt_ends(
        value in any_json(),
        way in 0_usize..8,
        padding in 0_usize..300,
        limit in 0_usize..700,
        pretty in any::<bool>(),
    ) {
        let value = plant(&value, way, padding);
        let payload = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.expect("writes");
        let shown = redacted(&payload, limit);
        prop_assert!(!shown.contains("CANARY"), "{shown}");
        prop_assert!(shown.len() <= limit.max(60), "{} bytes", shown.len());
        let full = redacted(&payload, usize::MAX);
        let read: Result<serde_json::Value, _> = serde_json::from_str(&full);
        prop_assert!(read.is_ok(), "{full}");
        prop_assert!(full.contains("[redacted]"));
    }

    #[test]
    fn what_holds_no_secret_is_shown_as_it_is(value in any_json()) {
        let payload = serde_json::to_string(&value).expect("writes");
        prop_assert_eq!(redacted(payload.as_bytes(), usize::MAX), payload);
    }

    #[test]
    fn excerpts_never_fail(payload in vec(any::<u8>(), 0..200), limit in 0_usize..300, cuts in vec(any::<Index>(), 0..4)) {
        for policy in [PayloadPolicy::Off, PayloadPolicy::Digest, PayloadPolicy::Redacted, PayloadPolicy::Full] {
            let mut capture = Capture::new(View::new(policy, limit));
            for chunk in chunks(&payload, &cuts) {
                capture.push(chunk, usize::MAX);
            }
            prop_assert_eq!(capture.excerpt(), payload::excerpt(&View::new(policy, limit), &payload));
        }
    }
}
