//! Records as a company's agents leave them.

use portcullis_token_service::record_store::{Fields, NewRecord};
use portcullis_token_service::records::otlp::{
    AnyValue, Export, KeyValue, LogRecord, ResourceLogs, Scalar, ScopeLogs,
};
use prost::Message as _;

pub(super) const START_US: u64 = 1_795_428_000_000_000;
/// From one record to the next.
pub(super) const APART_US: u64 = 100;
pub(super) const PER_EXPORT: u64 = 50;

/// The same record for the same number; ten in a millisecond.
pub(super) fn record(number: u64) -> NewRecord {
    // Spreads neighbours.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    let pick = |many: u64, salt: u64| (mixed >> salt) % many;
    let denied = pick(50, 3) == 0;
    let failed = !denied && pick(100, 7) == 0;
    let text = |text: String| Some(text);
    let caller = pick(20_000, 11);
    let fields = Fields {
        request_id: text(format!("{mixed:016x}-{number:019x}")),
        trace_id: text(format!("{number:016x}{mixed:016x}")),
        source: text(format!("10.0.{}.{}", pick(256, 5), pick(256, 9))),
        user_agent: text("an-agent/1.0".into()),
        http_method: text("POST".into()),
        server: text(format!("server-{}", pick(20, 13))),
        workspace: text(format!("team-{}", caller % 200)),
        workspace_id: text(format!("wsp_{:032x}", caller % 200)),
        caller: text(format!("mem_{caller:032x}")),
        caller_name: text(format!("Member {caller}")),
        credential: text("member_key".into()),
        key: text(format!("key{caller:07}")),
        version: text("2026-07-28".into()),
        method: text("tools/call".into()),
        kind: text("tool".into()),
        name: text(format!("tool_{}", pick(300, 17))),
        decision: text(if denied { "deny" } else { "allow" }.into()),
        rule: denied.then(|| "workspace/tools.deny:delete_*".to_owned()),
        decision_id: denied.then(|| format!("dec_{number:0100x}")),
        revision: text("12345".into()),
        error_code: denied.then(|| "-32602".to_owned()),
        details: text("via_upstream".into()),
        upstream_host: text("203.0.113.7:443".into()),
        status: Some(if failed { 502 } else { 200 }),
        latency_ms: Some(pick(400, 19)),
        upstream_ms: Some(pick(400, 19)),
        bytes_in: Some(400),
        bytes_out: Some(2_000),
        parameters: text("{\"name\":\"x\",\"arguments\":{\"query\":\"the gate is stuck\"}}".into()),
        ..Fields::default()
    };
    let mut uid = [0; 16];
    let (first, second) = uid.split_at_mut(8);
    first.copy_from_slice(&mixed.to_be_bytes());
    second.copy_from_slice(&number.to_be_bytes());
    NewRecord { started_us: START_US + number * APART_US, uid, fields }
}

/// As Envoy sends it.
pub(super) fn export(number: u64) -> Vec<u8> {
    let log_record = |number: u64| {
        let record = record(number);
        let named = portcullis_token_service::record_store::FIELDS;
        let texts = record.fields.texts().map(|text| text.map(str::to_owned));
        let numbers = record.fields.numbers().map(|number| number.map(|number| number.to_string()));
        let sent = record.fields.payloads().map(|text| text.map(str::to_owned));
        let values = texts.into_iter().chain(numbers).chain(sent);
        let uid = ("log.record.uid", Some(format!("{number:036x}")));
        let pairs = named.iter().map(|field| field.attribute).zip(values).chain([uid]);
        let attribute = |(name, value): (&str, Option<String>)| {
            let text = value.unwrap_or_else(|| "-".to_owned());
            let value = AnyValue { scalar: Some(Scalar::Text(text.into_bytes())) };
            KeyValue { key: name.into(), value: Some(value) }
        };
        let attributes = pairs.map(attribute).collect();
        LogRecord { time_unix_nano: record.started_us * 1_000, attributes, trace_id: Vec::new() }
    };
    let first = number * PER_EXPORT;
    let log_records = (first..first + PER_EXPORT).map(log_record).collect();
    let scope_logs = vec![ScopeLogs { log_records }];
    Export { resource_logs: vec![ResourceLogs { scope_logs }] }.encode_to_vec()
}
