use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Standard;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue as StandardValue, ArrayValue, KeyValue as StandardPair,
};
use opentelemetry_proto::tonic::logs::v1 as standard;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

const NOW: Timestamp = Timestamp(1_795_428_000_000);
const NANOS: u64 = 1_795_428_000_000_123_000;

fn pair(name: &str, value: &[u8]) -> KeyValue {
    let scalar = Some(Scalar::Text(value.to_vec()));
    KeyValue { key: name.into(), value: Some(AnyValue { scalar }) }
}

fn log_record(pairs: &[(&str, &[u8])]) -> LogRecord {
    let attributes = pairs.iter().map(|(name, value)| pair(name, value)).collect();
    LogRecord { time_unix_nano: NANOS, attributes, trace_id: Vec::new() }
}

fn export(log_records: Vec<LogRecord>) -> Export {
    Export { resource_logs: vec![ResourceLogs { scope_logs: vec![ScopeLogs { log_records }] }] }
}

fn fields(pairs: &[(&str, &[u8])]) -> Fields {
    let named = [&[("log.record.uid", &b"1"[..])], pairs].concat();
    read_record(log_record(&named), NOW).expect("a record").fields
}

#[test]
fn what_a_standard_sender_writes_is_read() {
    let pair = |name: &str, value| StandardPair {
        key: name.to_owned(),
        value: Some(StandardValue { value: Some(value) }),
        ..StandardPair::default()
    };
    let record = standard::LogRecord {
        time_unix_nano: NANOS,
        severity_text: "skipped".to_owned(),
        trace_id: vec![0xab; 16],
        attributes: vec![
            pair("log.record.uid", Standard::StringValue("one".to_owned())),
            pair("http.response.status_code", Standard::IntValue(404)),
            pair("portcullis.server", Standard::StringValue("linear".to_owned())),
            pair("team", Standard::BoolValue(true)),
            pair("list", Standard::ArrayValue(ArrayValue::default())),
            pair("error.type", Standard::StringValue("-32602".to_owned())),
        ],
        ..standard::LogRecord::default()
    };
    let scope_logs = vec![standard::ScopeLogs { log_records: vec![record], ..Default::default() }];
    let resource_logs = vec![standard::ResourceLogs { scope_logs, ..Default::default() }];
    let bytes = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    let (records, rejected, _) = read(Export::decode(&bytes[..]).expect("the same messages"), NOW);
    assert_eq!((records.len(), rejected), (1, 0));
    assert_eq!(records[0].started_us, NANOS / 1_000);
    let expected = Fields {
        status: Some(404),
        server: Some("linear".to_owned()),
        trace_id: Some("ab".repeat(16)),
        attributes: Some(r#"{"team":"true"}"#.to_owned()),
        ..Fields::default()
    };
    assert_eq!(records[0].fields, expected);
}

#[test]
fn what_does_not_apply_is_absent() {
    assert_eq!(fields(&[("portcullis.name", b"-"), ("portcullis.server", b"")]), Fields::default());
}

#[test]
fn a_text_that_is_not_utf8_costs_nobody_else() {
    let bad = log_record(&[("log.record.uid", b"1"), ("user_agent.original", b"a\xffb")]);
    let good = log_record(&[("log.record.uid", b"2")]);
    let bytes = export(vec![bad, good]).encode_to_vec();
    let (records, rejected, _) = read(Export::decode(&bytes[..]).expect("decodes"), NOW);
    assert_eq!((records.len(), rejected), (2, 0));
    assert_eq!(records[0].fields.user_agent.as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn records_without_time_or_name_are_rejected() {
    let mut timeless = log_record(&[("log.record.uid", b"1")]);
    timeless.time_unix_nano = 0;
    let mut early = log_record(&[("log.record.uid", b"1")]);
    early.time_unix_nano = u64::MAX;
    let nameless = log_record(&[("portcullis.server", b"linear")]);
    for (record, why) in
        [(timeless, Rejection::NoTime), (early, Rejection::Future), (nameless, Rejection::Nameless)]
    {
        let good = log_record(&[("portcullis.request_id", b"1")]);
        let (records, rejected, said) = read(export(vec![record, good]), NOW);
        assert_eq!((records.len(), rejected, said), (1, 1, Some(why)));
    }
}

#[test]
fn the_same_record_has_the_same_uid() {
    let uid = |name: &[u8], nanos| {
        let record = LogRecord { time_unix_nano: nanos, ..log_record(&[("log.record.uid", name)]) };
        read_record(record, NOW).expect("a record").uid
    };
    assert_eq!(uid(b"1", NANOS), uid(b"1", NANOS));
    assert_ne!(uid(b"1", NANOS), uid(b"2", NANOS));
    assert_ne!(uid(b"1", NANOS), uid(b"1", NANOS + 1_000));
}

#[test]
fn too_much_is_cut() {
    let long = vec![b'x'; 100_000];
    let kept = fields(&[("portcullis.name", &long), ("gen_ai.tool.call.result", &long), ("further", &long)]);
    assert_eq!(kept.name.map(|text| text.len()), Some(1_024));
    assert_eq!(kept.response.map(|text| text.len()), Some(66_560));
    assert!(kept.attributes.is_some_and(|text| text.len() < 2 * LONGEST_VALUE));

    let names: Vec<String> = (0..300).map(|number| format!("further.{number}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &long[..])).collect();
    let kept = fields(&many).attributes.expect("some");
    let kept: Map<String, Value> = serde_json::from_str(&kept).expect("JSON");
    assert!((1..=MOST_FURTHER).contains(&kept.len()), "{}", kept.len());

    let (records, rejected, why) = read(export(vec![log_record(&[("log.record.uid", b"1")]); 3_000]), NOW);
    assert_eq!((records.len(), rejected, why), (MOST_RECORDS, 1_000, Some(Rejection::TooMany)));
}

#[test]
fn an_export_of_nothing_but_frames_takes_little_memory() {
    // Two bytes for each log record.
    let frames = [0x12, 0x00].repeat(MOST_BYTES / 2);
    let scope = ScopeLogs::decode(&frames[..]).expect("decodes");
    assert!(scope.log_records.len() * size_of::<LogRecord>() <= 32 * MOST_BYTES);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        if let Ok(export) = Export::decode(&bytes[..]) {
            let _ = read(export, NOW);
        }
    }

    #[test]
    fn any_attribute_is_kept_within_its_bounds(name in ".{0,40}", value in any::<Vec<u8>>()) {
        let kept = fields(&[(&name, &value)]);
        for text in kept.texts().into_iter().chain(kept.payloads()).flatten() {
            // What PostgreSQL cannot keep.
            prop_assert!(!text.contains('\0') && text.len() <= MOST_FURTHER_BYTES, "{text:?}");
        }
    }
}
