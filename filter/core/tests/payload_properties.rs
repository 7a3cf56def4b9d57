//! Payloads that nobody thought of: what a pointer names is in no record, however it is spelt, cut, or split.
#![cfg(not(target_family = "wasm"))]

use std::fmt::Write as _;
use std::sync::Arc;

use portcullis_filter_core::payload::{self, Capture, View, Views};
use portcullis_filter_core::response::headers::BodyPlan;
use portcullis_filter_core::response::pipeline::{Observed, ResponsePipeline, Subject};
use portcullis_filter_core::step::ResponseChunk;
use portcullis_wire::payload::{Capture as Wire, Redaction};
use portcullis_wire::policy::{CompiledPolicy, Policy};
use portcullis_wire::watch::PayloadPolicy;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

const CANARIES: [&str; 2] = ["CANARY", "424242424242"];
const HIDDEN: &str = "[redacted]";

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        (-99_i64..99).prop_map(Into::into),
        "[a-e ✓é\"\\\\\n\u{2028}]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((select(KEYS.to_vec()), inner), 0..4).prop_map(|members| members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

const KEYS: [&str; 8] = ["a", "b", "é\"", "0", "1", "x/y~", "", "*"];
const STEPS: [&str; 9] = ["a", "b", "é\"", "0", "1", "x~1y~0", "", "*", "c"];

fn any_pointers() -> impl Strategy<Value = Vec<String>> {
    let pointer = vec(select(STEPS.to_vec()), 1..4).prop_map(|steps| format!("/{}", steps.join("/")));
    vec(pointer, 1..5)
}

fn canary(number: usize) -> Value {
    match number % 5 {
        0 => json!("a CANARY é"),
        1 => json!(424_242_424_242_u64),
        2 => json!({ "CANARY": ["\"CANARY\\"] }),
        3 => json!(["CANARY", 1]),
        _ => json!(json!({ "a": "CANARY" }).to_string()),
    }
}

/// Puts `value` wherever `pointer` leads.
fn put(document: &mut Value, pointer: &str, value: &Value) {
    let steps: Vec<String> =
        pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    put_at(document, &steps, value);
}

fn put_at(document: &mut Value, steps: &[String], value: &Value) {
    let Some((step, rest)) = steps.split_first() else {
        *document = value.clone();
        return;
    };
    match document {
        Value::Object(members) => {
            members
                .iter_mut()
                .filter(|(key, _)| step == "*" || *key == step)
                .for_each(|(_, found)| put_at(found, rest, value));
        }
        Value::Array(items) => items
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| step == "*" || *step == index.to_string())
            .for_each(|(_, found)| put_at(found, rest, value)),
        _ => {}
    }
}

/// JSON as some other writer might write it: white space, escapes.
struct Speller<'w> {
    whims: std::iter::Cycle<std::slice::Iter<'w, u8>>,
}

impl Speller<'_> {
    fn whim(&mut self) -> u8 {
        self.whims.next().copied().unwrap_or(0)
    }

    fn space(&mut self) -> &'static str {
        ["", "", " ", "\n\t"][usize::from(self.whim() % 4)]
    }

    fn text(&mut self, text: &str) -> String {
        let mut spelt = String::from("\"");
        for character in text.chars() {
            let unit = u32::from(character);
            if self.whim().is_multiple_of(4) && unit < 0xD800 {
                write!(spelt, "\\u{unit:04X}").expect("writes");
            } else {
                let written = serde_json::to_string(&character).expect("writes");
                spelt.push_str(&written[1..written.len() - 1]);
            }
        }
        spelt.push('"');
        spelt
    }

    fn value(&mut self, value: &Value) -> String {
        let (before, after) = (self.space(), self.space());
        let written = match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.value(item)).collect();
                format!("[{}{}]", items.join(","), self.space())
            }
            Value::Object(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|(key, value)| format!("{}{}:{}", self.space(), self.text(key), self.value(value)))
                    .collect();
                format!("{{{}{}}}", members.join(","), self.space())
            }
            scalar => scalar.to_string(),
        };
        format!("{before}{written}{after}")
    }
}

/// Whether a canary is there to be read, behind however many levels of escapes.
fn tells(shown: &str) -> bool {
    let mut text = shown.to_owned();
    for _ in 0..5 {
        if CANARIES.iter().any(|canary| text.contains(canary)) {
            return true;
        }
        text = unescape(&text);
    }
    false
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('u') => {
                let unit: String = characters.by_ref().take(4).collect();
                let unit = u32::from_str_radix(&unit, 16).ok().and_then(char::from_u32);
                plain.push(unit.unwrap_or('?'));
            }
            other => plain.extend(other),
        }
    }
    plain
}

fn views(redact: Redaction, limit: u32) -> Views {
    Views::compile(&Wire { policy: PayloadPolicy::Redacted, limit, redact })
}

fn chunks<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let starts = std::iter::once(0).chain(places.iter().copied());
    starts.zip(places.iter().copied().chain([bytes.len()])).map(|(from, to)| &bytes[from..to]).collect()
}

proptest! {
    #[test]
    fn what_a_pointer_names_is_in_no_record(
        members in vec((select(KEYS.to_vec()), any_value()), 1..4),
        pointers in any_pointers(),
        numbers in vec(any::<usize>(), 4),
        whims in vec(any::<u8>(), 1..40),
        limit in 256_u32..600,
        end in any::<Index>(),
        cuts in vec(any::<Index>(), 0..4),
    ) {
        let mut params: Value = members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let mut expected = params.clone();
        for (pointer, number) in pointers.iter().zip(&numbers) {
            put(&mut params, pointer, &canary(*number));
            put(&mut expected, pointer, &json!(HIDDEN));
        }
        // A place inside of what another pointer hides.
        for pointer in &pointers {
            put(&mut params, pointer, &canary(numbers[0]));
            put(&mut expected, pointer, &json!(HIDDEN));
        }
        let payload = Speller { whims: whims.iter().cycle() }.value(&params).into_bytes();
        let redact = Redaction { parameters: pointers, response: Vec::new() };
        let whole = payload::excerpt(&views(redact.clone(), 65_536).parameters, &payload).expect("not empty");
        let read: Value = serde_json::from_str(&whole.text).expect("JSON");
        prop_assert_eq!(read, expected);
        let view = views(redact, limit).parameters;
        let shown = payload::excerpt(&view, &payload).expect("not empty").text;
        prop_assert!(!tells(&shown), "{shown}");
        prop_assert!(shown.len() <= 600, "{} bytes", shown.len());
        // However much of it came, and in whatever pieces.
        let payload = &payload[..end.index(payload.len() + 1)];
        let mut capture = Capture::new(view.clone());
        for chunk in chunks(payload, &cuts) {
            capture.push(chunk, usize::MAX);
        }
        prop_assert_eq!(&capture.excerpt(), &payload::excerpt(&view, payload));
        let mut unfinished = Capture::new(view);
        unfinished.push(payload, usize::MAX);
        unfinished.push(&vec![b' '; 300_000], usize::MAX);
        for shown in [capture.excerpt(), unfinished.excerpt()].into_iter().flatten() {
            prop_assert!(!tells(&shown.text), "{}", shown.text);
        }
    }

    #[test]
    fn what_structured_content_hides_its_copy_hides_too(
        content in vec((select(KEYS.to_vec()), any_value()), 1..4),
        pointers in any_pointers(),
        number in any::<usize>(),
        whims in vec(any::<u8>(), 1..40),
        limit in 256_u32..1_000,
    ) {
        let mut content: Value = content.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        for pointer in &pointers {
            put(&mut content, pointer, &canary(number));
        }
        let mut speller = Speller { whims: whims.iter().cycle() };
        let copy = speller.value(&content);
        let result = json!({"content": [{"type": "text", "text": copy}], "structuredContent": content});
        let payload = speller.value(&json!({"jsonrpc": "2.0", "id": 1, "result": result}));
        let response = pointers.iter().map(|pointer| format!("/structuredContent{pointer}")).collect();
        let view = views(Redaction { parameters: Vec::new(), response }, limit).response;
        let shown = payload::excerpt(&view, payload.as_bytes()).expect("not empty").text;
        prop_assert!(!tells(&shown), "{shown}");
    }

    #[test]
    fn records_do_not_depend_on_how_a_body_was_split(
        pieces in vec(select(BODY.to_vec()), 0..12),
        plan in select(vec![BodyPlan::Pass, BodyPlan::Json, BodyPlan::HeldJson, BodyPlan::Sse]),
        subject in select(vec![Subject::Call(None), Subject::Stream]),
        policy in select(vec![PayloadPolicy::Off, PayloadPolicy::Digest, PayloadPolicy::Redacted, PayloadPolicy::Full]),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let body = pieces.concat().into_bytes();
        let redact = Redaction { parameters: Vec::new(), response: vec!["/a".to_owned()] };
        let view = Views::compile(&Wire { policy, limit: 256, redact }).response;
        let whole = run(plan, &subject, &view, &[&body]);
        prop_assert_eq!(&run(plan, &subject, &view, &chunks(&body, &cuts)), &whole);
        let bytes: Vec<&[u8]> = body.chunks(1).chain([&b""[..]]).collect();
        prop_assert_eq!(&run(plan, &subject, &view, &bytes), &whole);
    }
}

const BODY: [&str; 12] = [
    r#"{"jsonrpc":"2.0","id":1,"result":{"a":"CANARY","b":"é✓"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"error":{"code":-5,"message":"m"}}"#,
    r#"{"id":1,"result":{"isError":true,"content":[]}}"#,
    r#"{"method":"notifications/progress"}"#,
    "data: ",
    "\n\n",
    "\r\n",
    ": note\n",
    "id: 1\n",
    "{",
    "\u{2028}",
    " ",
];

fn run(plan: BodyPlan, subject: &Subject, view: &View, chunks: &[&[u8]]) -> (Vec<u8>, Observed) {
    let mut pipeline = ResponsePipeline::new(plan, subject.clone(), Arc::default(), view.clone());
    let policy = CompiledPolicy::from(Policy::default());
    let mut output = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        match pipeline.push(&policy, chunk, number + 1 == chunks.len()) {
            ResponseChunk::Keep => output.extend_from_slice(chunk),
            ResponseChunk::Replace(bytes) => output.extend(bytes),
        }
    }
    (output, pipeline.observed().clone())
}
